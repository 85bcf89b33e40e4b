package network_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

func sorted(list []string) []string { slices.Sort(list); return list }

func view[T any](h *house, fn func(tx *store.Tx) (T, error)) (T, error) {
	var out T
	err := h.store.Update(h.ctx, func(tx *store.Tx) error {
		var err error
		out, err = fn(tx)
		return err
	})
	return out, err
}

func TestSubnetRefusals(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network("10.0.0.0/24")
	no := false
	gw := addr("10.1.0.5")
	pools := func(s ...string) *[]cloud.AddressRange {
		out := []cloud.AddressRange{}
		for i := 0; i < len(s); i += 2 {
			out = append(out, cloud.AddressRange{Start: addr(s[i]), End: addr(s[i+1])})
		}
		return &out
	}
	for _, c := range []struct {
		name, cidr string
		change     func(*network.SubnetCreate)
		problem    string
		words      string
	}{
		{"overlap", "10.0.0.128/25", nil, "InvalidInput", "overlaps with another subnet"},
		{"no length", "0.0.0.0/0", nil, "InvalidInput", "0 is not allowed as CIDR prefix length"},
		{"too long for DHCP", "10.1.0.0/31", nil, "InvalidInput", "incompatible with DHCP"},
		{"multicast", "224.0.0.0/24", nil, "InvalidInput", "Multicast"},
		{"wrong version", "fd00::/64", func(r *network.SubnetCreate) { r.IPVersion = 4 }, "InvalidInput", "does not match the ip_version"},
		{"mode on IPv4", "10.1.0.0/24", func(r *network.SubnetCreate) { r.RAMode = "slaac" }, "InvalidInput", "ip_version is 4"},
		{"modes differ", "fd00::/64", func(r *network.SubnetCreate) { r.RAMode, r.AddressMode = "slaac", "dhcpv6-stateful" }, "InvalidInput", "same value"},
		{"mode without DHCP", "fd00::/64", func(r *network.SubnetCreate) { r.RAMode, r.EnableDHCP = "slaac", &no }, "InvalidInput", "enable_dhcp"},
		{"slaac not /64", "fd00::/48", func(r *network.SubnetCreate) { r.AddressMode = "slaac" }, "InvalidInput", "/64"},
		{"gateway in pool", "10.1.0.0/24", func(r *network.SubnetCreate) { r.Gateway, r.Pools = &gw, pools("10.1.0.2", "10.1.0.9") }, "GatewayConflictWithAllocationPools", ""},
		{"pool outside", "10.1.0.0/24", func(r *network.SubnetCreate) { r.Pools = pools("10.1.0.2", "10.1.1.9") }, "OutOfBoundsAllocationPool", ""},
		{"pool backwards", "10.1.0.0/24", func(r *network.SubnetCreate) { r.Pools = pools("10.1.0.9", "10.1.0.2") }, "InvalidAllocationPool", ""},
		{"pools overlap", "10.1.0.0/24", func(r *network.SubnetCreate) { r.Pools = pools("10.1.0.2", "10.1.0.9", "10.1.0.9", "10.1.0.20") }, "OverlappingAllocationPools", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			r := network.SubnetCreate{NetworkID: n.ID, CIDR: netip.MustParsePrefix(c.cidr), IPVersion: 4}
			if r.CIDR.Addr().Is6() {
				r.IPVersion = 6
			}
			if c.change != nil {
				c.change(&r)
			}
			before := h.dump()
			_, err := h.CreateSubnets(h.ctx, alice, r)
			if network.ProblemName(err) != c.problem || !strings.Contains(cloud.Message(err), c.words) {
				t.Errorf("got %v (%s)", err, network.ProblemName(err))
			}
			if before != h.dump() {
				t.Error("a refused subnet changed the database")
			}
		})
	}
}

func TestDefaultPools(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network()
	none := netip.Addr{}
	mid := addr("10.2.0.100")
	for _, c := range []struct {
		cidr    string
		gateway *netip.Addr
		want    string
	}{
		{"10.1.0.0/24", nil, "10.1.0.2-10.1.0.254"},
		{"10.2.0.0/24", &mid, "10.2.0.1-10.2.0.99 10.2.0.101-10.2.0.254"},
		{"10.3.0.0/29", &none, "10.3.0.1-10.3.0.6"},
		{"10.3.1.0/30", nil, "10.3.1.2-10.3.1.2"},
		{"fd00:1::/64", nil, "fd00:1::2-fd00:1::ffff:ffff:ffff:ffff"},
	} {
		sub := h.subnet(n.ID, c.cidr, func(r *network.SubnetCreate) { r.Gateway = c.gateway })
		got := []string{}
		for _, p := range sub.Pools {
			got = append(got, p.Start.String()+"-"+p.End.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.cidr, got, c.want)
		}
	}
}

func TestEveryAddressOnce(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network("10.0.0.0/28") // 14 hosts: gateway, DHCP, 12 for ports
	seen := map[string]bool{"10.0.0.1": true}
	for range 12 {
		p := h.port(network.PortCreate{NetworkID: n.ID})
		if len(p.FixedIPs) != 1 || seen[ips(p)[0]] {
			t.Fatalf("%v was given already", ips(p))
		}
		seen[ips(p)[0]] = true
	}
	h.unchanged(cloud.Conflict, "IpAddressGenerationFailure", func() error {
		_, err := h.CreatePorts(h.ctx, alice, network.PortCreate{NetworkID: n.ID})
		return err
	})
}

func TestFixedIPs(t *testing.T) {
	h := newHouse(t)
	n, subs := h.network("10.0.0.0/24", "10.0.1.0/24")
	_, far := h.network("10.9.0.0/24")
	p := h.port(network.PortCreate{NetworkID: n.ID, FixedIPs: &[]network.IPRequest{{IP: addr("10.0.0.77")}, {SubnetID: subs[1].ID}}})
	if got := ips(p); len(got) != 2 || got[0] != "10.0.0.77" || !strings.HasPrefix(got[1], "10.0.1.") {
		t.Fatalf("%v", got)
	}
	for _, c := range []struct {
		name    string
		req     network.IPRequest
		kind    cloud.Kind
		problem string
	}{
		{"taken", network.IPRequest{IP: addr("10.0.0.77")}, cloud.Conflict, "IpAddressInUse"},
		{"nowhere", network.IPRequest{IP: addr("192.168.0.1")}, cloud.Invalid, "InvalidIpForNetwork"},
		{"other subnet's", network.IPRequest{SubnetID: subs[0].ID, IP: addr("10.0.1.5")}, cloud.Invalid, "InvalidIpForSubnet"},
		{"broadcast", network.IPRequest{IP: addr("10.0.0.255")}, cloud.Invalid, "InvalidIpForSubnet"},
		{"network's own", network.IPRequest{SubnetID: subs[0].ID, IP: addr("10.0.0.0")}, cloud.Invalid, "InvalidIpForSubnet"},
		{"other network's", network.IPRequest{SubnetID: far[0].ID}, cloud.Invalid, "InvalidInput"},
		{"no subnet", network.IPRequest{SubnetID: n.ID}, cloud.NotFound, "SubnetNotFound"},
		{"nothing", network.IPRequest{}, cloud.Invalid, "InvalidInput"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			h.unchanged(c.kind, c.problem, func() error {
				_, err := h.CreatePorts(h.ctx, alice, network.PortCreate{NetworkID: n.ID, FixedIPs: &[]network.IPRequest{c.req}})
				return err
			})
		})
	}
	h.t = t
	p = must(h.UpdatePort(h.ctx, alice, p.ID, network.PortUpdate{FixedIPs: &[]network.IPRequest{{IP: addr("10.0.0.78")}, {SubnetID: subs[1].ID}}}))(t)
	if got := ips(p); len(got) != 2 || !slices.Contains(got, "10.0.0.78") {
		t.Errorf("after the update: %v", got)
	}
	q := h.port(network.PortCreate{NetworkID: n.ID, FixedIPs: &[]network.IPRequest{{IP: addr("10.0.0.77")}}}) // given back
	h.changes(map[string]int{"ports": -1, "addresses": -1}, func() error { return h.DeletePort(h.ctx, alice, q.ID) })
}

func TestIPv6Addresses(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network("10.0.0.0/24")
	early := h.port(network.PortCreate{NetworkID: n.ID, MAC: "FA:16:3E:00:00:02"})
	slaac := h.subnet(n.ID, "fd00:1::/64", func(r *network.SubnetCreate) { r.RAMode, r.AddressMode = "slaac", "slaac" })
	h.subnet(n.ID, "fd00:2::/64", func(r *network.SubnetCreate) { r.RAMode, r.AddressMode = "dhcpv6-stateful", "dhcpv6-stateful" })

	early = must(h.GetPort(h.ctx, alice, early.ID))(t)
	if got := ips(early); len(got) != 2 || got[1] != "fd00:1::f816:3eff:fe00:2" {
		t.Errorf("the port that was there has %v", got)
	}
	late := h.port(network.PortCreate{NetworkID: n.ID, MAC: "fa:16:3e:00:00:03"})
	if got := ips(late); len(got) != 3 || !strings.HasPrefix(got[1], "fd00:2::") || got[2] != "fd00:1::f816:3eff:fe00:3" {
		t.Errorf("the late port has %v", got)
	}
	h.unchanged(cloud.Invalid, "AllocationOnAutoAddressSubnet", func() error {
		_, err := h.CreatePorts(h.ctx, alice, network.PortCreate{NetworkID: n.ID, FixedIPs: &[]network.IPRequest{{SubnetID: slaac.ID, IP: addr("fd00:1::7")}}})
		return err
	})
	mac := "fa:16:3e:00:00:04"
	moved := must(h.UpdatePort(h.ctx, admin, late.ID, network.PortUpdate{MAC: &mac}))(t)
	if !slices.Contains(ips(moved), "fd00:1::f816:3eff:fe00:4") {
		t.Errorf("with another MAC the port has %v", ips(moved))
	}
	h.changes(map[string]int{"subnets": -1, "addresses": -3}, func() error { return h.DeleteSubnet(h.ctx, alice, slaac.ID) })
	if got := ips(must(h.GetPort(h.ctx, alice, early.ID))(t)); len(got) != 1 {
		t.Errorf("after the subnet is gone the port has %v", got)
	}
}

func TestPortPolicy(t *testing.T) {
	h := newHouse(t)
	yes, no := true, false
	n := must(h.CreateNetworks(h.ctx, admin, network.NetworkCreate{Shared: &yes}))(t)[0]
	sub := must(h.CreateSubnets(h.ctx, admin, network.SubnetCreate{NetworkID: n.ID, CIDR: netip.MustParsePrefix("10.0.0.0/24"), IPVersion: 4}))(t)[0]
	for name, r := range map[string]network.PortCreate{
		"MAC":          {MAC: "fa:16:3e:00:00:01"},
		"host":         {Host: "node-1"},
		"device owner": {DeviceOwner: cloud.OwnerDHCP},
		"security":     {PortSecurity: &no},
		"pairs":        {AllowedPairs: []network.PairRequest{{IP: netip.MustParsePrefix("10.0.0.9/32")}}},
		"address":      {FixedIPs: &[]network.IPRequest{{IP: addr("10.0.0.9")}}},
	} {
		r.NetworkID = n.ID
		h.unchanged(cloud.Forbidden, "PolicyNotAuthorized", func() error {
			_, err := h.CreatePorts(h.ctx, alice, r)
			if err == nil {
				t.Errorf("a guest of the network chose its %s", name)
			}
			return err
		})
	}
	p := h.port(network.PortCreate{NetworkID: n.ID, FixedIPs: &[]network.IPRequest{{SubnetID: sub.ID}}})
	_, err := h.GetPort(h.ctx, bob, p.ID)
	refused(t, err, cloud.NotFound, "PortNotFound")
	mac := "fa:16:3e:00:00:01"
	_, err = h.UpdatePort(h.ctx, alice, p.ID, network.PortUpdate{MAC: &mac})
	refused(t, err, cloud.Forbidden, "PolicyNotAuthorized")
}

func TestPortSecurity(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network("10.0.0.0/24")
	no := false
	p := h.port(network.PortCreate{NetworkID: n.ID})
	if len(p.SecurityGroups) != 1 {
		t.Fatalf("the port wears %v, not the default group", p.SecurityGroups)
	}
	_, err := h.UpdatePort(h.ctx, alice, p.ID, network.PortUpdate{PortSecurity: &no})
	refused(t, err, cloud.Conflict, "PortSecurityPortHasSecurityGroup")
	p = must(h.UpdatePort(h.ctx, alice, p.ID, network.PortUpdate{PortSecurity: &no, SecurityGroups: &[]string{}}))(t)
	if p.PortSecurity || len(p.SecurityGroups) > 0 {
		t.Errorf("%+v", p)
	}
	_, err = h.UpdatePort(h.ctx, alice, p.ID, network.PortUpdate{AllowedPairs: &[]network.PairRequest{{IP: netip.MustParsePrefix("10.9.0.0/16")}}})
	refused(t, err, cloud.Conflict, "AddressPairAndPortSecurityRequired")
	stateless := must(h.CreateGroups(h.ctx, alice, network.GroupCreate{Name: "s", Stateful: &no}))(t)[0]
	stateful := must(h.CreateGroups(h.ctx, alice, network.GroupCreate{Name: "t"}))(t)[0]
	_, err = h.CreatePorts(h.ctx, alice, network.PortCreate{NetworkID: n.ID, SecurityGroups: &[]string{stateless.ID, stateful.ID}})
	refused(t, err, cloud.Conflict, "SecurityGroupConflict")
	theirs := must(h.CreateGroups(h.ctx, bob, network.GroupCreate{Name: "b"}))(t)[0]
	_, err = h.CreatePorts(h.ctx, alice, network.PortCreate{NetworkID: n.ID, SecurityGroups: &[]string{theirs.ID}})
	refused(t, err, cloud.NotFound, "SecurityGroupNotFound")
}

func TestDHCPPortFollowsItsSubnets(t *testing.T) {
	h := newHouse(t)
	n, subs := h.network("10.0.0.0/24", "10.0.1.0/24")
	dhcp := func() []cloud.Port {
		ports := must(h.ListPorts(h.ctx, admin, network.Filter{NetworkIDs: []string{n.ID}}))(t)
		return slices.DeleteFunc(ports, func(p cloud.Port) bool { return p.DeviceOwner != cloud.OwnerDHCP })
	}
	if got := dhcp(); len(got) != 1 || len(got[0].FixedIPs) != 2 {
		t.Fatalf("%+v", got)
	}
	yes, no := true, false
	must(h.UpdateSubnet(h.ctx, alice, subs[0].ID, network.SubnetUpdate{EnableDHCP: &no}))(t)
	if got := dhcp(); len(got) != 1 || len(got[0].FixedIPs) != 1 || got[0].FixedIPs[0].SubnetID != subs[1].ID {
		t.Fatalf("%+v", got)
	}
	h.changes(map[string]int{"ports": -1, "addresses": -1, "subnets": -1}, func() error { return h.DeleteSubnet(h.ctx, alice, subs[1].ID) })
	must(h.UpdateSubnet(h.ctx, alice, subs[0].ID, network.SubnetUpdate{EnableDHCP: &yes}))(t)
	if got := dhcp(); len(got) != 1 || len(got[0].FixedIPs) != 1 {
		t.Fatalf("%+v", got)
	}
}

func TestComputePorts(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network("10.0.0.0/24")
	mine := h.port(network.PortCreate{NetworkID: n.ID})
	_, err := view(h, func(tx *store.Tx) (cloud.Port, error) {
		if _, err := h.CreatePortTx(tx, alice, network.PortCreate{NetworkID: n.ID, DeviceID: "vm", DeviceOwner: "compute:nova", Host: "node-1"}); err != nil {
			return cloud.Port{}, err
		}
		mine.DeviceID, mine.DeviceOwner, mine.Host = "vm", "compute:nova", "node-1"
		return h.BindPortTx(tx, mine)
	})
	if err != nil {
		t.Fatal(err)
	}
	other := mine
	other.DeviceID = "other"
	_, err = view(h, func(tx *store.Tx) (cloud.Port, error) { return h.BindPortTx(tx, other) })
	refused(t, err, cloud.Conflict, "PortInUse")
	ports := must(view(h, func(tx *store.Tx) ([]cloud.Port, error) { return h.PortsOfDeviceTx(tx, "vm") }))(t)
	if len(ports) != 2 {
		t.Fatalf("%+v", ports)
	}
	h.changes(map[string]int{"ports": -1, "addresses": -1}, func() error {
		return h.store.Update(h.ctx, func(tx *store.Tx) error { return h.ReleaseDeviceTx(tx, "vm") })
	})
	kept := must(h.GetPort(h.ctx, alice, mine.ID))(t)
	if diff := cmp.Diff([]string{"", "", ""}, []string{kept.DeviceID, kept.DeviceOwner, kept.Host}); diff != "" {
		t.Error(diff)
	}
}
