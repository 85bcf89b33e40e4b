package network_test

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
)

// behindRouter is a network of alice's behind a router with a way out, a port on
// it, and a floating IP.
func (h *house) behindRouter() (cloud.Router, cloud.Subnet, cloud.Port, cloud.FloatingIP) {
	h.t.Helper()
	ext := must(h.CreateNetworks(h.ctx, admin, network.NetworkCreate{Name: "ext", External: ref(true)}))(h.t)[0]
	must(h.CreateSubnets(h.ctx, admin, network.SubnetCreate{NetworkID: ext.ID, IPVersion: 4, CIDR: prefixes("172.24.4.0/24")[0]}))(h.t)
	n, subs := h.network("10.0.0.0/24")
	r := must(h.CreateRouters(h.ctx, alice, network.RouterCreate{Gateway: &network.Gateway{NetworkID: ext.ID}}))(h.t)[0]
	must(h.AddInterface(h.ctx, alice, r.ID, network.Interface{SubnetID: subs[0].ID}))(h.t)
	f := must(h.CreateFloatingIPs(h.ctx, alice, network.FloatingCreate{NetworkID: ext.ID}))(h.t)[0]
	return r.Router, subs[0], h.port(network.PortCreate{NetworkID: n.ID}), f.FloatingIP
}

func TestPortsOfAFloatingIPAreForwarded(t *testing.T) {
	h := newHouse(t)
	r, sub, p, f := h.behindRouter()
	ssh := network.ForwardingCreate{Protocol: "tcp", External: 2222, InnerPort: 22, PortID: p.ID}
	_, err := h.CreateForwardings(h.ctx, bob, f.ID, ssh)
	refused(t, err, cloud.NotFound, "FloatingIPNotFound")
	made := must(h.CreateForwardings(h.ctx, alice, f.ID, ssh))(t)[0]
	if made.RouterID != r.ID || made.Inner != p.FixedIPs[0].IP {
		t.Errorf("%+v", made)
	}
	_, err = h.CreateForwardings(h.ctx, alice, f.ID, network.ForwardingCreate{Protocol: "tcp", External: 2222, InnerPort: 80, PortID: p.ID})
	refused(t, err, cloud.Invalid, "BadRequest")
	seen := must(h.GetFloatingIP(h.ctx, alice, f.ID))(t)
	if seen.RouterID != r.ID || seen.Status() != "ACTIVE" || len(seen.Forwards) != 1 {
		t.Errorf("the floating IP is %+v", seen)
	}
	_, err = h.UpdateFloatingIP(h.ctx, alice, f.ID, network.FloatingUpdate{PortID: &p.ID})
	refused(t, err, cloud.Conflict, "FipInUseByPortForwarding")
	_, err = h.RemoveInterface(h.ctx, alice, r.ID, network.Interface{SubnetID: sub.ID})
	refused(t, err, cloud.Conflict, "RouterInterfaceInUseByFloatingIP")
	_, err = h.UpdateRouter(h.ctx, alice, r.ID, network.RouterUpdate{Gateway: &network.Gateway{}})
	refused(t, err, cloud.Conflict, "RouterExternalGatewayInUseByFloatingIp")
	changed := must(h.UpdateForwarding(h.ctx, alice, f.ID, made.ID, network.ForwardingUpdate{External: ref(2223)}))(t)
	if changed.External != 2223 || changed.Inner != made.Inner {
		t.Errorf("changed to %+v", changed)
	}
	if err := h.DeletePort(h.ctx, alice, p.ID); err != nil { // the forwarding goes with its port
		t.Fatal(err)
	}
	seen = must(h.GetFloatingIP(h.ctx, alice, f.ID))(t)
	if seen.RouterID != "" || seen.Status() != "DOWN" || len(seen.Forwards) != 0 {
		t.Errorf("the floating IP is %+v", seen)
	}
}

func TestForwardingsKeepTheirFloatingIP(t *testing.T) {
	h := newHouse(t)
	_, _, p, f := h.behindRouter()
	made := must(h.CreateForwardings(h.ctx, alice, f.ID, network.ForwardingCreate{Protocol: "udp", External: 53, InnerPort: 53, PortID: p.ID}))(t)[0]
	refused(t, h.DeleteFloatingIP(h.ctx, alice, f.ID), cloud.Conflict, "FipInUseByPortForwarding")
	if err := h.DeleteForwarding(h.ctx, alice, f.ID, made.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteFloatingIP(h.ctx, alice, f.ID); err != nil {
		t.Error(err)
	}
}

// TestRangesAreForwarded: port by port, or all to one; they may not meet others.
func TestRangesAreForwarded(t *testing.T) {
	h := newHouse(t)
	_, _, p, f := h.behindRouter()
	make := func(outer, outerEnd, inner, innerEnd int) (cloud.PortForwarding, error) {
		made, err := h.CreateForwardings(h.ctx, alice, f.ID, network.ForwardingCreate{Protocol: "tcp", External: outer, ExternalEnd: outerEnd, InnerPort: inner, InnerEnd: innerEnd, PortID: p.ID})
		if err != nil {
			return cloud.PortForwarding{}, err
		}
		return made[0], nil
	}
	many := must(make(2000, 2002, 20, 22))(t)
	if got := many.Ports(); len(got) != 3 || got[2] != [2]int{2002, 22} {
		t.Errorf("%v", got)
	}
	toOne := must(make(3000, 3001, 80, 0))(t)
	if got := toOne.Ports(); len(got) != 2 || got[1] != [2]int{3001, 80} {
		t.Errorf("%v", got)
	}
	for _, x := range [][4]int{
		{2002, 0, 99, 0}, {1999, 2000, 98, 99}, {4000, 0, 21, 0}, {4000, 4001, 22, 23}, // meet others
		{4000, 4002, 100, 101}, {4000, 0, 100, 101}, // do not fit each other
		{4000, 4000 + cloud.MaxForwardRange, 100, 0}, {4000, 0, 0, 0},
	} {
		_, err := make(x[0], x[1], x[2], x[3])
		refused(t, err, cloud.Invalid, "BadRequest")
	}
	changed := must(h.UpdateForwarding(h.ctx, alice, f.ID, many.ID, network.ForwardingUpdate{External: ref(2001), ExternalEnd: ref(0), InnerEnd: ref(0)}))(t)
	if got := changed.Ports(); len(got) != 1 || got[0] != [2]int{2001, 20} {
		t.Errorf("changed to %v", got)
	}
}
