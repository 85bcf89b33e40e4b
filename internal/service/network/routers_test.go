package network_test

import (
	"net/netip"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
)

// public makes an external network.
func (h *house) public(cidr string) cloud.Network {
	h.t.Helper()
	yes, no := true, false
	n := must(h.CreateNetworks(h.ctx, admin, network.NetworkCreate{Name: "public", External: &yes}))(h.t)[0]
	must(h.CreateSubnets(h.ctx, admin, network.SubnetCreate{NetworkID: n.ID, CIDR: netip.MustParsePrefix(cidr), IPVersion: 4, EnableDHCP: &no}))(h.t)
	return n.Network
}

func (h *house) router(gateway string) cloud.Router {
	h.t.Helper()
	r := network.RouterCreate{Name: "r"}
	if gateway != "" {
		r.Gateway = &network.Gateway{NetworkID: gateway}
	}
	return must(h.CreateRouters(h.ctx, alice, r))(h.t)[0].Router
}

func TestRouterInterfaces(t *testing.T) {
	h := newHouse(t)
	n, subs := h.network("10.0.0.0/24", "10.0.1.0/24")
	r := h.router("")
	h.changes(map[string]int{"ports": 1, "addresses": 1}, func() error {
		v, err := h.AddInterface(h.ctx, alice, r.ID, network.Interface{SubnetID: subs[0].ID})
		if ips(v.Port)[0] != "10.0.0.1" {
			t.Errorf("the interface has %v", ips(v.Port))
		}
		return err
	})
	_, twin := h.network("10.0.0.0/25")
	for name, c := range map[string]struct {
		i       network.Interface
		kind    cloud.Kind
		problem string
	}{
		"twice":     {network.Interface{SubnetID: subs[0].ID}, cloud.Invalid, "BadRequest"},
		"overlap":   {network.Interface{SubnetID: twin[0].ID}, cloud.Invalid, "BadRequest"},
		"neither":   {network.Interface{}, cloud.Invalid, "BadRequest"},
		"both":      {network.Interface{SubnetID: subs[1].ID, PortID: "x"}, cloud.Invalid, "BadRequest"},
		"no subnet": {network.Interface{SubnetID: "x"}, cloud.NotFound, "SubnetNotFound"},
		"no port":   {network.Interface{PortID: "x"}, cloud.NotFound, "PortNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			h.unchanged(c.kind, c.problem, func() error {
				_, err := h.AddInterface(h.ctx, alice, r.ID, c.i)
				return err
			})
		})
	}
	h.t = t
	refused(t, h.DeleteRouter(h.ctx, alice, r.ID), cloud.Conflict, "RouterInUse")
	p := h.port(network.PortCreate{NetworkID: n.ID, FixedIPs: &[]network.IPRequest{{SubnetID: subs[1].ID}}})
	must(h.AddInterface(h.ctx, alice, r.ID, network.Interface{PortID: p.ID}))(t)
	refused(t, h.DeletePort(h.ctx, alice, p.ID), cloud.Conflict, "ServicePortInUse")

	hop := cloud.Route{Destination: netip.MustParsePrefix("192.168.0.0/16"), NextHop: addr("10.0.0.9")}
	must(h.UpdateRouter(h.ctx, alice, r.ID, network.RouterUpdate{Routes: &[]cloud.Route{hop}}))(t)
	_, err := h.RemoveInterface(h.ctx, alice, r.ID, network.Interface{SubnetID: subs[0].ID})
	refused(t, err, cloud.Conflict, "RouterInterfaceInUseByRoute")
	far := cloud.Route{Destination: hop.Destination, NextHop: addr("10.7.0.1")}
	_, err = h.AddRoutes(h.ctx, alice, r.ID, []cloud.Route{far})
	refused(t, err, cloud.Invalid, "InvalidRoutes")
	must(h.RemoveRoutes(h.ctx, alice, r.ID, []cloud.Route{hop}))(t)

	h.changes(map[string]int{"ports": -2, "addresses": -2, "routers": -1}, func() error {
		must(h.RemoveInterface(h.ctx, alice, r.ID, network.Interface{SubnetID: subs[0].ID}))(t)
		must(h.RemoveInterface(h.ctx, alice, r.ID, network.Interface{PortID: p.ID}))(t)
		return h.DeleteRouter(h.ctx, alice, r.ID)
	})
}

func TestRouterGateway(t *testing.T) {
	h := newHouse(t)
	pub := h.public("172.24.4.0/24")
	inner, _ := h.network("10.0.0.0/24")
	var r cloud.Router
	h.changes(map[string]int{"routers": 1, "ports": 1, "addresses": 1}, func() error { r = h.router(pub.ID); return nil })
	_, err := h.UpdateRouter(h.ctx, alice, r.ID, network.RouterUpdate{Gateway: &network.Gateway{NetworkID: inner.ID}})
	refused(t, err, cloud.Invalid, "BadRequest")
	no := false
	_, err = h.UpdateRouter(h.ctx, alice, r.ID, network.RouterUpdate{Gateway: &network.Gateway{NetworkID: pub.ID, EnableSNAT: &no}})
	refused(t, err, cloud.Forbidden, "PolicyNotAuthorized")
	v := must(h.UpdateRouter(h.ctx, admin, r.ID, network.RouterUpdate{Gateway: &network.Gateway{
		NetworkID: pub.ID, EnableSNAT: &no, FixedIPs: &[]network.IPRequest{{IP: addr("172.24.4.99")}},
	}}))(t)
	if v.EnableSNAT || len(v.GatewayIPs) != 1 || v.GatewayIPs[0].IP != addr("172.24.4.99") {
		t.Errorf("%+v", v)
	}
	refused(t, h.DeleteNetwork(h.ctx, admin, pub.ID), cloud.Conflict, "NetworkInUse")
	h.changes(map[string]int{"ports": -1, "addresses": -1}, func() error {
		_, err := h.UpdateRouter(h.ctx, alice, r.ID, network.RouterUpdate{Gateway: &network.Gateway{}})
		return err
	})
	if err := h.DeleteNetwork(h.ctx, admin, pub.ID); err != nil {
		t.Error(err)
	}
}

func TestFloatingIPs(t *testing.T) {
	h := newHouse(t)
	pub := h.public("172.24.4.0/24")
	n, subs := h.network("10.0.0.0/24")
	p := h.port(network.PortCreate{NetworkID: n.ID})
	var f network.FloatingView
	h.changes(map[string]int{"floating IPs": 1, "ports": 1, "addresses": 1}, func() error {
		made, err := h.CreateFloatingIPs(h.ctx, alice, network.FloatingCreate{NetworkID: pub.ID})
		f = made[0]
		return err
	})
	h.unchanged(cloud.NotFound, "ExternalGatewayForFloatingIPNotFound", func() error {
		_, err := h.UpdateFloatingIP(h.ctx, alice, f.ID, network.FloatingUpdate{PortID: &p.ID})
		return err
	})
	h.unchanged(cloud.Invalid, "BadRequest", func() error {
		_, err := h.CreateFloatingIPs(h.ctx, alice, network.FloatingCreate{NetworkID: n.ID})
		return err
	})
	h.unchanged(cloud.Forbidden, "PolicyNotAuthorized", func() error {
		_, err := h.CreateFloatingIPs(h.ctx, alice, network.FloatingCreate{NetworkID: pub.ID, IP: addr("172.24.4.40")})
		return err
	})
	r := h.router(pub.ID)
	must(h.AddInterface(h.ctx, alice, r.ID, network.Interface{SubnetID: subs[0].ID}))(t)
	f = must(h.UpdateFloatingIP(h.ctx, alice, f.ID, network.FloatingUpdate{PortID: &p.ID}))(t)
	if f.RouterID != r.ID || f.FixedIP != p.FixedIPs[0].IP || f.Status() != "ACTIVE" || f.Port.ID != p.ID {
		t.Errorf("%+v", f)
	}
	h.unchanged(cloud.Conflict, "FloatingIPPortAlreadyAssociated", func() error {
		_, err := h.CreateFloatingIPs(h.ctx, alice, network.FloatingCreate{NetworkID: pub.ID, PortID: p.ID})
		return err
	})
	h.unchanged(cloud.Conflict, "RouterInterfaceInUseByFloatingIP", func() error {
		_, err := h.RemoveInterface(h.ctx, alice, r.ID, network.Interface{SubnetID: subs[0].ID})
		return err
	})
	h.unchanged(cloud.Conflict, "RouterExternalGatewayInUseByFloatingIp", func() error {
		_, err := h.UpdateRouter(h.ctx, alice, r.ID, network.RouterUpdate{Gateway: &network.Gateway{}})
		return err
	})
	refused(t, h.DeleteFloatingIP(h.ctx, bob, f.ID), cloud.NotFound, "FloatingIPNotFound")
	refused(t, h.DeletePort(h.ctx, admin, f.OwnPortID), cloud.Conflict, "ServicePortInUse")

	h.changes(map[string]int{"ports": -1, "addresses": -1}, func() error { return h.DeletePort(h.ctx, alice, p.ID) })
	f = must(h.GetFloatingIP(h.ctx, alice, f.ID))(t)
	if f.PortID != "" || f.RouterID != "" || f.FixedIP.IsValid() || f.Status() != "DOWN" {
		t.Errorf("its port is gone, and it says %+v", f.FloatingIP)
	}
	h.changes(map[string]int{"floating IPs": -1, "ports": -1, "addresses": -1}, func() error { return h.DeleteFloatingIP(h.ctx, alice, f.ID) })
}

func TestNetworkGoesWithIdleFloatingIPs(t *testing.T) {
	h := newHouse(t)
	pub := h.public("172.24.4.0/24")
	must(h.CreateFloatingIPs(h.ctx, alice, network.FloatingCreate{NetworkID: pub.ID}))(t)
	h.changes(map[string]int{"networks": -1, "subnets": -1, "floating IPs": -1, "ports": -1, "addresses": -1}, func() error {
		return h.DeleteNetwork(h.ctx, admin, pub.ID)
	})
}
