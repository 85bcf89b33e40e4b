package reconcile

import (
	"net/netip"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func TestOnlyDifferencesArePushed(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	before := len(w.node.networks)
	if err := w.SyncNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.node.networks) != before {
		t.Error("the same network was pushed twice")
	}
	w.write(func(tx *store.Tx) error {
		p, err := tx.Ports.Get("port-a")
		p.AdminStateUp = false
		return firstError(err, tx.Ports.Update(p))
	})
	if err := w.SyncNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.node.networks) != before+1 || w.node.networks[before].Ports[0].AdminUp {
		t.Errorf("the change was not pushed: %+v", w.node.networks)
	}
}

func TestNetworkGoesWithItsLastPort(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.write(func(tx *store.Tx) error { return tx.Ports.Delete("port-a") })
	if err := w.SyncNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(w.node.removed) != 1 || w.node.removed[0] != "network net" {
		t.Errorf("removed %v", w.node.removed)
	}
}

func TestFailedPushIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.write(func(tx *store.Tx) error {
		p, err := tx.Ports.Get("port-a")
		p.Host = "node-1"
		return firstError(err, tx.Ports.Update(p))
	})
	w.node.fail = cloud.E("test", cloud.Internal, "no netlink today")
	if err := w.SyncNodes(t.Context()); err == nil {
		t.Fatal("a failed push went unnoticed")
	}
	w.node.fail = nil
	if err := w.SyncNodes(t.Context()); err != nil || len(w.node.networks) != 1 {
		t.Errorf("%v, %d networks", err, len(w.node.networks))
	}
}

func TestRouterWithFloatingIP(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	addr := netip.MustParseAddr
	w.write(func(tx *store.Tx) error {
		return firstError(
			tx.Networks.Insert(cloud.Network{ID: "ext", External: true, MTU: 1500, Type: cloud.NetworkFlat, PhysicalNetwork: "public"}),
			tx.Subnets.Insert(cloud.Subnet{ID: "extsub", NetworkID: "ext", IPVersion: 4, CIDR: netip.MustParsePrefix("172.24.4.0/24"), Gateway: addr("172.24.4.1")}),
			tx.Routers.Insert(cloud.Router{ID: "r", AdminStateUp: true, EnableSNAT: true, GatewayNetworkID: "ext", GatewayPortID: "gw"}),
			tx.Ports.Insert(cloud.Port{ID: "gw", NetworkID: "ext", MAC: "fa:16:3e:00:01:01", DeviceID: "r", DeviceOwner: cloud.OwnerRouterGateway, FixedIPs: []cloud.FixedIP{{SubnetID: "extsub", IP: addr("172.24.4.10")}}}),
			tx.Ports.Insert(cloud.Port{ID: "if", NetworkID: "net", MAC: "fa:16:3e:00:01:02", DeviceID: "r", DeviceOwner: cloud.OwnerRouterInterface, FixedIPs: []cloud.FixedIP{{SubnetID: "sub", IP: addr("10.0.0.1")}}}),
			tx.FloatingIPs.Insert(cloud.FloatingIP{ID: "f", NetworkID: "ext", IP: addr("172.24.4.11"), PortID: "port-a", FixedIP: addr("10.0.0.11"), RouterID: "r"}),
		)
	})
	w.step()
	if len(w.node.networks) != 2 || len(w.node.routers) != 1 {
		t.Fatalf("%d networks, %d routers", len(w.node.networks), len(w.node.routers))
	}
	r := w.node.routers[0]
	if r.Gateway == nil || r.NextHops[0] != addr("172.24.4.1") || !r.SNAT || len(r.Interfaces) != 1 || len(r.FloatingIPs) != 1 {
		t.Errorf("the router is %+v", r)
	}
	if r.Interfaces[0].Addresses[0] != netip.MustParsePrefix("10.0.0.1/24") {
		t.Errorf("the interface has %v", r.Interfaces[0].Addresses)
	}
	for _, n := range w.node.networks {
		if n.ID == "net" && !n.Subnets[0].Routed {
			t.Error("the subnet is not known to be routed")
		}
	}
	w.write(func(tx *store.Tx) error {
		for _, id := range []string{"gw", "if"} {
			if p, err := tx.Ports.Get(id); err != nil || !p.Up {
				t.Errorf("port %s of a router that the node has: up %v, %v", id, p.Up, err)
			}
		}
		return nil
	})
	if got := w.node.specs[0].Meta.FloatingIPs; len(got) != 1 {
		t.Errorf("the metadata has floating IPs %v", got)
	}
}

func TestRemoteGroupBringsItsMembers(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.want("bb", 512)
	w.write(func(tx *store.Tx) error {
		errs := []error{
			tx.SecurityGroups.Insert(cloud.SecurityGroup{ID: "g", Name: "default"}),
			tx.SecurityRules.Insert(cloud.SecurityRule{ID: "rule", GroupID: "g", Direction: "ingress", Ethertype: "IPv4", PortMin: -1, PortMax: -1, RemoteGroupID: "g"}),
		}
		for _, id := range []string{"port-a", "port-bb"} {
			p, err := tx.Ports.Get(id)
			p.SecurityGroups = []string{"g"}
			errs = append(errs, err, tx.Ports.Update(p))
		}
		return firstError(errs...)
	})
	w.step()
	last := w.node.networks[len(w.node.networks)-1]
	if len(last.Groups) != 1 || len(last.Groups[0].Members) != 2 || len(last.Groups[0].Rules) != 1 {
		t.Errorf("the groups are %+v", last.Groups)
	}
}

func TestRoutersGoWhereTheyMay(t *testing.T) {
	w := newWorld(t)
	off := cloud.NetworkAgent{ID: "agent", Host: "node-1", Binary: cloud.AgentL3, Off: true}
	w.write(func(tx *store.Tx) error {
		h, err := tx.Hosts.Get("node-1")
		h.AvailabilityZone = "east"
		return firstError(
			err, tx.Hosts.Update(h), tx.NetworkAgents.Insert(off),
			tx.Routers.Insert(cloud.Router{ID: "anywhere"}), tx.Routers.Insert(cloud.Router{ID: "east", ZoneHints: []string{"east"}}),
			tx.Routers.Insert(cloud.Router{ID: "west", ZoneHints: []string{"west"}}),
		)
	})
	nodes := func() map[string]string {
		if err := w.SyncNodes(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		w.write(func(tx *store.Tx) error {
			rows, err := tx.Routers.List(store.Query{})
			for _, r := range rows {
				got[r.ID] = r.Node
			}
			return err
		})
		return got
	}
	if got := nodes(); got["anywhere"]+got["east"]+got["west"] != "" {
		t.Errorf("routers were placed on a node whose L3 agent is down: %v", got)
	}
	off.Off = false
	w.write(func(tx *store.Tx) error { return tx.NetworkAgents.Update(off) })
	if got := nodes(); got["anywhere"] != "node-1" || got["east"] != "node-1" || got["west"] != "" {
		t.Errorf("placed %v, want all but west on node-1", got)
	}
}

func TestForwardsAndScopesReachTheNode(t *testing.T) {
	w := newWorld(t)
	addr, prefix := netip.MustParseAddr, netip.MustParsePrefix
	w.write(func(tx *store.Tx) error {
		return firstError(
			tx.SubnetPools.Insert(cloud.SubnetPool{ID: "pool", AddressScopeID: "blue"}),
			tx.Networks.Insert(cloud.Network{ID: "ext", External: true, Type: cloud.NetworkFlat}),
			tx.Subnets.Insert(cloud.Subnet{ID: "extsub", NetworkID: "ext", IPVersion: 4, CIDR: prefix("172.24.4.0/24"), Gateway: addr("172.24.4.1")}),
			tx.Networks.Insert(cloud.Network{ID: "in"}),
			tx.Subnets.Insert(cloud.Subnet{ID: "insub", NetworkID: "in", IPVersion: 4, CIDR: prefix("10.5.0.0/24"), SubnetPoolID: "pool"}),
			tx.Routers.Insert(cloud.Router{ID: "r", AdminStateUp: true, GatewayNetworkID: "ext", GatewayPortID: "gw"}),
			tx.Ports.Insert(cloud.Port{ID: "gw", NetworkID: "ext", MAC: "a", DeviceID: "r", DeviceOwner: cloud.OwnerRouterGateway, FixedIPs: []cloud.FixedIP{{SubnetID: "extsub", IP: addr("172.24.4.10")}}}),
			tx.Ports.Insert(cloud.Port{ID: "if", NetworkID: "in", MAC: "b", DeviceID: "r", DeviceOwner: cloud.OwnerRouterInterface, FixedIPs: []cloud.FixedIP{{SubnetID: "insub", IP: addr("10.5.0.1")}}}),
			tx.FloatingIPs.Insert(cloud.FloatingIP{ID: "f", NetworkID: "ext", IP: addr("172.24.4.11"), RouterID: "r"}),
			tx.PortForwardings.Insert(cloud.PortForwarding{ID: "pf", FloatingIPID: "f", RouterID: "r", Protocol: "tcp", External: 2222, Inner: addr("10.5.0.9"), InnerPort: 22}),
			tx.PortForwardings.Insert(cloud.PortForwarding{ID: "pg", FloatingIPID: "f", RouterID: "r", Protocol: "udp", External: 3000, ExternalEnd: 3001, Inner: addr("10.5.0.9"), InnerPort: 30, InnerEnd: 31}),
		)
	})
	if err := w.SyncNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := w.node.routers[0]
	if r.Interfaces[0].Scope4 != "blue" || r.Gateway.Scope4 != "" || len(r.FloatingIPs) != 0 {
		t.Errorf("the router is %+v", r)
	}
	want := cloud.ForwardSpec{ID: "pf", Floating: addr("172.24.4.11"), Fixed: addr("10.5.0.9"), Protocol: "tcp", External: 2222, InnerPort: 22}
	last := cloud.ForwardSpec{ID: "pg", Floating: addr("172.24.4.11"), Fixed: addr("10.5.0.9"), Protocol: "udp", External: 3001, InnerPort: 31}
	if len(r.Forwards) != 3 || r.Forwards[0] != want || r.Forwards[2] != last {
		t.Errorf("forwards %+v, want %+v", r.Forwards, want)
	}
}

func TestBandwidthReachesTheNode(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.write(func(tx *store.Tx) error {
		n, err := tx.Networks.Get("net")
		n.QoSPolicyID = "slow"
		return firstError(
			err, tx.QoSPolicies.Insert(cloud.QoSPolicy{ID: "slow", Limits: []cloud.BandwidthLimit{{ID: "l", Direction: cloud.Ingress, Kbps: 1000, BurstKb: 100}}}),
			tx.Networks.Update(n),
		)
	})
	if err := w.SyncNodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := w.node.networks[len(w.node.networks)-1].Ports[0]
	if got.Ingress != (cloud.Bandwidth{Kbps: 1000, BurstKb: 100}) || got.Egress != (cloud.Bandwidth{}) {
		t.Errorf("ingress %+v, egress %+v", got.Ingress, got.Egress)
	}
}

// TestAPlaneIsComposedWhenSomethingOfItChanges: and not when networks come and go that
// nothing on the node is on.
func TestAPlaneIsComposedWhenSomethingOfItChanges(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	composed := 0
	w.Hook = func(point string) {
		if point == "reconcile.plane.composed" {
			composed++
		}
	}
	sync := func() int {
		t.Helper()
		composed = 0
		if err := w.SyncNodes(t.Context()); err != nil {
			t.Fatal(err)
		}
		return composed
	}
	sync()
	sync() // marks that the first left
	if sync() != 0 {
		t.Error("composed anew although nothing changed")
	}
	w.write(func(tx *store.Tx) error {
		return firstError(tx.Networks.Insert(cloud.Network{ID: "other", Name: "other"}),
			tx.Subnets.Insert(cloud.Subnet{ID: "of-other", NetworkID: "other", CIDR: netip.MustParsePrefix("10.9.0.0/24")}))
	})
	if sync() != 0 {
		t.Error("composed anew for a network that nothing here is on")
	}
	w.write(func(tx *store.Tx) error {
		return firstError(tx.Subnets.Delete("of-other"), tx.Networks.Delete("other"))
	})
	if sync() != 0 {
		t.Error("composed anew for its end")
	}
	for name, change := range map[string]func(tx *store.Tx) error{
		"the network": func(tx *store.Tx) error {
			n, err := tx.Networks.Get("net")
			n.MTU--
			return firstError(err, tx.Networks.Update(n))
		},
		"a subnet of it": func(tx *store.Tx) error {
			return tx.Subnets.Insert(cloud.Subnet{ID: "late", NetworkID: "net", CIDR: netip.MustParsePrefix("10.8.0.0/24")})
		},
		"a server's name": func(tx *store.Tx) error {
			s, err := tx.Servers.Get("a")
			s.Hostname = "b"
			return firstError(err, tx.Servers.Update(s))
		},
	} {
		before := len(w.node.networks)
		w.write(change)
		if sync() != 1 || len(w.node.networks) != before+1 {
			t.Errorf("%s changed: composed %d times, pushed %d", name, composed, len(w.node.networks)-before)
		}
		sync()
	}
	w.clock.Advance(memoLasts)
	if sync() != 1 {
		t.Error("not composed on the slow beat")
	}
}
