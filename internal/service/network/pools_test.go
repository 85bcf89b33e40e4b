package network_test

import (
	"net/netip"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func (h *house) pool(r network.PoolCreate) cloud.SubnetPool {
	h.t.Helper()
	return must(h.CreatePools(h.ctx, alice, r))(h.t)[0]
}

func TestSubnetsAreCutFromAPool(t *testing.T) {
	h := newHouse(t)
	length := 26
	p := h.pool(network.PoolCreate{Name: "p", Prefixes: prefixes("10.1.0.0/25", "10.1.0.128/25", "10.1.0.0/28"), DefaultPrefix: &length})
	if len(p.Prefixes) != 1 || p.Prefixes[0] != netip.MustParsePrefix("10.1.0.0/24") {
		t.Errorf("the prefixes were not joined: %v", p.Prefixes)
	}
	cut := func(change func(*network.SubnetCreate)) (cloud.Subnet, error) {
		n := must(h.CreateNetworks(h.ctx, alice, network.NetworkCreate{Name: "n"}))(t)[0]
		r := network.SubnetCreate{NetworkID: n.ID, IPVersion: 4, SubnetPoolID: p.ID}
		if change != nil {
			change(&r)
		}
		subs, err := h.CreateSubnets(h.ctx, alice, r)
		if err != nil {
			return cloud.Subnet{}, err
		}
		return subs[0], nil
	}
	small, wanted := 28, netip.MustParsePrefix("10.1.0.64/26")
	for _, step := range []struct {
		change func(*network.SubnetCreate)
		want   string
	}{
		{nil, "10.1.0.0/26"},
		{func(r *network.SubnetCreate) { r.CIDR = wanted }, "10.1.0.64/26"},
		{func(r *network.SubnetCreate) { r.PrefixLength = &small }, "10.1.0.128/28"},
		{nil, "10.1.0.192/26"},
		{func(r *network.SubnetCreate) { r.PrefixLength = &small }, "10.1.0.144/28"},
	} {
		sub, err := cut(step.change)
		if err != nil || sub.CIDR.String() != step.want || sub.SubnetPoolID != p.ID {
			t.Errorf("cut %v, %v, want %s", sub.CIDR, err, step.want)
		}
	}
	h.refusedCut(t, cut, func(r *network.SubnetCreate) { r.CIDR = wanted }, cloud.Conflict, "SubnetAllocationError")
	h.refusedCut(t, cut, nil, cloud.Conflict, "SubnetAllocationError")
	tiny, huge := 33, 4
	h.refusedCut(t, cut, func(r *network.SubnetCreate) { r.PrefixLength = &tiny }, cloud.Invalid, "MaxPrefixSubnetAllocationError")
	h.refusedCut(t, cut, func(r *network.SubnetCreate) { r.PrefixLength = &huge }, cloud.Invalid, "MinPrefixSubnetAllocationError")
	h.refusedCut(t, cut, func(r *network.SubnetCreate) { r.IPVersion = 6 }, cloud.Invalid, "BadRequest")
	refused(t, h.DeletePool(h.ctx, alice, p.ID), cloud.Conflict, "SubnetPoolDeleteError")
	_, err := h.UpdatePool(h.ctx, alice, p.ID, network.PoolUpdate{Prefixes: ref(prefixes("10.2.0.0/24"))})
	refused(t, err, cloud.Invalid, "IllegalSubnetPoolPrefixUpdate")
	_, err = h.GetPool(h.ctx, bob, p.ID)
	refused(t, err, cloud.NotFound, "SubnetPoolNotFound")
}

func ref[T any](v T) *T { return &v }

// refusedCut wants a cut to be refused.
func (h *house) refusedCut(t *testing.T, cut func(func(*network.SubnetCreate)) (cloud.Subnet, error), change func(*network.SubnetCreate), kind cloud.Kind, name string) {
	t.Helper()
	_, err := cut(change)
	refused(t, err, kind, name)
}

func TestPoolsOfAScopeDoNotOverlap(t *testing.T) {
	h := newHouse(t)
	scope := must(h.CreateScopes(h.ctx, alice, network.ScopeCreate{Name: "s", IPVersion: 4}))(t)[0]
	h.pool(network.PoolCreate{Name: "a", Prefixes: prefixes("10.1.0.0/16"), AddressScopeID: scope.ID})
	h.pool(network.PoolCreate{Name: "no scope", Prefixes: prefixes("10.1.0.0/16")})
	_, err := h.CreatePools(h.ctx, alice, network.PoolCreate{Name: "b", Prefixes: prefixes("10.1.2.0/24"), AddressScopeID: scope.ID})
	refused(t, err, cloud.Conflict, "AddressScopePrefixConflict")
	_, err = h.CreatePools(h.ctx, alice, network.PoolCreate{Name: "six", Prefixes: prefixes("fd00::/48"), AddressScopeID: scope.ID})
	refused(t, err, cloud.Invalid, "IllegalSubnetPoolIpVersionAssociationToAddressScope")
	_, err = h.CreatePools(h.ctx, bob, network.PoolCreate{Name: "b", Prefixes: prefixes("10.9.0.0/24"), AddressScopeID: scope.ID})
	refused(t, err, cloud.NotFound, "AddressScopeNotFound")
	refused(t, h.DeleteScope(h.ctx, alice, scope.ID), cloud.Conflict, "AddressScopeInUse")
}

func TestOneDefaultPoolAndItsQuota(t *testing.T) {
	h := newHouse(t)
	quota, length := 512, 24
	r := network.PoolCreate{Name: "p", Prefixes: prefixes("10.0.0.0/16"), IsDefault: true, Shared: true, DefaultQuota: &quota, DefaultPrefix: &length}
	_, err := h.CreatePools(h.ctx, alice, r)
	refused(t, err, cloud.Forbidden, "PolicyNotAuthorized")
	must(h.CreatePools(h.ctx, admin, r))(t)
	_, err = h.CreatePools(h.ctx, admin, r)
	refused(t, err, cloud.Invalid, "InvalidInput")
	for i, want := range []string{"", "", "SubnetPoolQuotaExceeded"} {
		n := must(h.CreateNetworks(h.ctx, alice, network.NetworkCreate{}))(t)[0]
		_, err := h.CreateSubnets(h.ctx, alice, network.SubnetCreate{NetworkID: n.ID, IPVersion: 4, UseDefaultPool: true})
		if network.ProblemName(err) != want {
			t.Errorf("subnet %d: %v, want %q", i, err, want)
		}
	}
}

func TestRBACLetsOneProjectUseANetwork(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network("10.0.0.0/24")
	grant := network.RBACCreate{ObjectType: "network", ObjectID: n.ID, Action: cloud.AccessShared, Target: "pb"}
	_, err := h.GetNetwork(h.ctx, bob, n.ID)
	refused(t, err, cloud.NotFound, "NetworkNotFound")
	_, err = h.CreateRBACPolicies(h.ctx, bob, grant)
	refused(t, err, cloud.NotFound, "NetworkNotFound")
	p := must(h.CreateRBACPolicies(h.ctx, alice, grant))(t)[0]
	_, err = h.CreateRBACPolicies(h.ctx, alice, grant)
	refused(t, err, cloud.Conflict, "DuplicatePolicy")
	if seen := must(h.GetNetwork(h.ctx, bob, n.ID))(t); !seen.Shared {
		t.Error("to its target the network is not shared")
	}
	if seen := must(h.GetNetwork(h.ctx, alice, n.ID))(t); seen.Shared {
		t.Error("to its owner the network is shared with all")
	}
	if subs, _, err := h.ListSubnets(h.ctx, bob, network.Filter{}); err != nil || len(subs) != 1 {
		t.Errorf("%d subnets, %v", len(subs), err)
	}
	port := must(h.CreatePorts(h.ctx, bob, network.PortCreate{NetworkID: n.ID}))(t)[0]
	refused(t, h.DeleteRBACPolicy(h.ctx, alice, p.ID), cloud.Conflict, "RbacPolicyInUse")
	refused(t, h.DeleteRBACPolicy(h.ctx, bob, p.ID), cloud.NotFound, "RbacPolicyNotFound") // only its maker sees it
	second := must(h.CreateRBACPolicies(h.ctx, admin, network.RBACCreate{ObjectType: "network", ObjectID: n.ID, Action: cloud.AccessShared, Target: cloud.EveryProject}))(t)[0]
	if err := h.DeleteRBACPolicy(h.ctx, alice, p.ID); err != nil { // the port is allowed by the other
		t.Error(err)
	}
	refused(t, h.DeleteRBACPolicy(h.ctx, admin, second.ID), cloud.Conflict, "RbacPolicyInUse")
	p = must(h.CreateRBACPolicies(h.ctx, alice, grant))(t)[0]
	if err := h.DeleteRBACPolicy(h.ctx, admin, second.ID); err != nil {
		t.Error(err)
	}
	if err := h.DeletePort(h.ctx, bob, port.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteRBACPolicy(h.ctx, alice, p.ID); err != nil {
		t.Fatal(err)
	}
	_, err = h.GetNetwork(h.ctx, bob, n.ID)
	refused(t, err, cloud.NotFound, "NetworkNotFound")
}

func TestSharedIsAPolicyForAll(t *testing.T) {
	h := newHouse(t)
	n := must(h.CreateNetworks(h.ctx, admin, network.NetworkCreate{Shared: ref(true)}))(t)[0]
	list := must(h.ListRBACPolicies(h.ctx, admin, network.Filter{}))(t)
	if len(list) != 1 || list[0].Target != cloud.EveryProject || list[0].ObjectID != n.ID {
		t.Fatalf("policies %+v", list)
	}
	if err := h.DeleteRBACPolicy(h.ctx, admin, list[0].ID); err != nil {
		t.Fatal(err)
	}
	if seen := must(h.GetNetwork(h.ctx, admin, n.ID))(t); seen.Shared {
		t.Error("the network is still shared")
	}
	_, err := h.CreateRBACPolicies(h.ctx, alice, network.RBACCreate{ObjectType: "network", ObjectID: n.ID, Action: cloud.AccessShared, Target: cloud.EveryProject})
	refused(t, err, cloud.Forbidden, "PolicyNotAuthorized")
}

func TestAgentsAreTheHosts(t *testing.T) {
	h := newHouse(t)
	clock := cloud.NewFakeClock()
	if err := h.store.Update(h.ctx, func(tx *store.Tx) error {
		return tx.Hosts.Insert(cloud.Host{Name: "node-1", ID: cloud.NewID(), AvailabilityZone: "nova", SeenAt: clock.Now()})
	}); err != nil {
		t.Fatal(err)
	}
	agents := must(h.ListAgents(h.ctx, admin))(t)
	if len(agents) != 4 || len(must(h.ListAgents(h.ctx, alice))(t)) != 0 {
		t.Fatalf("%d agents", len(agents))
	}
	for _, a := range agents {
		if !a.Alive || !a.AdminStateUp || a.Host != "node-1" || !cloud.IsID(a.ID) {
			t.Errorf("%+v", a)
		}
		down, err := h.UpdateAgent(h.ctx, admin, a.ID, network.AgentUpdate{AdminStateUp: ref(false), Description: ref("broken")})
		if a.Binary != cloud.AgentL3 {
			refused(t, err, cloud.Invalid, "BadRequest")
			continue
		}
		if again := must(h.GetAgent(h.ctx, admin, a.ID))(t); err != nil || down.AdminStateUp || again.Description != "broken" || again.AdminStateUp {
			t.Errorf("%+v, %v", again, err)
		}
	}
	_, err := h.CreateRouters(h.ctx, alice, network.RouterCreate{ZoneHints: []string{"nowhere"}})
	refused(t, err, cloud.NotFound, "AvailabilityZoneNotFound")
	if zones := must(h.ListZones(h.ctx))(t); len(zones) != 2 || !zones[0].Available {
		t.Errorf("zones %+v", zones)
	}
}

func TestAddressesAreCounted(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network("10.0.0.0/29", "fd00::/64")
	h.port(network.PortCreate{NetworkID: n.ID})
	uses := must(h.IPAvailability(h.ctx, admin, network.Filter{IDs: []string{n.ID}}, 0))(t)
	if len(uses) != 1 || uses[0].Total().String() != "18446744073709551619" {
		t.Fatalf("%+v", uses)
	}
	if four := must(h.IPAvailability(h.ctx, admin, network.Filter{IDs: []string{n.ID}}, 4))(t); four[0].Total().Int64() != 5 || four[0].Used() != 2 {
		t.Errorf("IPv4: %v of %v used", four[0].Used(), four[0].Total())
	}
}
