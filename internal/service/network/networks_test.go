package network_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

func TestNetworkRows(t *testing.T) {
	h := newHouse(t)
	var id string
	h.changes(map[string]int{"networks": 1, "groups": 1, "rules": 4}, func() error {
		made, err := h.CreateNetworks(h.ctx, alice, network.NetworkCreate{Name: "blue"})
		id = made[0].ID
		return err
	})
	h.changes(map[string]int{"subnets": 1, "ports": 1, "addresses": 1}, func() error { // the port is DHCP's
		h.subnet(id, "10.0.0.0/24", nil)
		return nil
	})
	h.changes(map[string]int{"networks": -1, "subnets": -1, "ports": -1, "addresses": -1}, func() error {
		return h.DeleteNetwork(h.ctx, alice, id)
	})
}

func TestBulkIsAllOrNone(t *testing.T) {
	h := newHouse(t)
	must(h.SetQuota(h.ctx, "pa", map[string]int{"network": 2}))(t)
	h.unchanged(cloud.Conflict, "OverQuota", func() error {
		_, err := h.CreateNetworks(h.ctx, alice, network.NetworkCreate{}, network.NetworkCreate{}, network.NetworkCreate{})
		return err
	})
	must(h.CreateNetworks(h.ctx, alice, network.NetworkCreate{}, network.NetworkCreate{}))(t)
	must(h.CreateNetworks(h.ctx, bob, network.NetworkCreate{}))(t) // another project's quota
}

func TestProvider(t *testing.T) {
	h := newHouse(t)
	flat, vxlan, local, vlan := cloud.NetworkFlat, cloud.NetworkVXLAN, cloud.NetworkLocal, "vlan"
	public, other, seven, yes := "public", "other", 7, true
	big := 9000
	for _, c := range []struct {
		name    string
		caller  cloud.Caller
		req     network.NetworkCreate
		problem string
		kind    cloud.Kind
		mtu     int
	}{
		{"default", alice, network.NetworkCreate{}, "", 0, 1450},
		{"vxlan 7", admin, network.NetworkCreate{Provider: network.Provider{Type: &vxlan, SegmentationID: &seven}}, "", 0, 1450},
		{"vxlan 7 again", admin, network.NetworkCreate{Provider: network.Provider{Type: &vxlan, SegmentationID: &seven}}, "TunnelIdInUse", cloud.Conflict, 0},
		{"flat", admin, network.NetworkCreate{Provider: network.Provider{Type: &flat, PhysicalNetwork: &public}}, "", 0, 1500},
		{"flat again", admin, network.NetworkCreate{Provider: network.Provider{Type: &flat, PhysicalNetwork: &public}}, "FlatNetworkInUse", cloud.Conflict, 0},
		{"unknown physical", admin, network.NetworkCreate{Provider: network.Provider{Type: &flat, PhysicalNetwork: &other}}, "InvalidInput", cloud.Invalid, 0},
		{"local", admin, network.NetworkCreate{Provider: network.Provider{Type: &local}}, "", 0, 1500},
		{"vlan", admin, network.NetworkCreate{Provider: network.Provider{Type: &vlan}}, "InvalidInput", cloud.Invalid, 0},
		{"no type", admin, network.NetworkCreate{Provider: network.Provider{SegmentationID: &seven}}, "InvalidInput", cloud.Invalid, 0},
		{"member's provider", alice, network.NetworkCreate{Provider: network.Provider{Type: &local}}, "PolicyNotAuthorized", cloud.Forbidden, 0},
		{"member's shared", alice, network.NetworkCreate{Shared: &yes}, "PolicyNotAuthorized", cloud.Forbidden, 0},
		{"member's external", alice, network.NetworkCreate{External: &yes}, "PolicyNotAuthorized", cloud.Forbidden, 0},
		{"big mtu", alice, network.NetworkCreate{MTU: &big}, "InvalidInput", cloud.Invalid, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			made, err := h.CreateNetworks(h.ctx, c.caller, c.req)
			if c.problem != "" {
				refused(t, err, c.kind, c.problem)
				return
			}
			if err != nil || made[0].MTU != c.mtu {
				t.Errorf("%+v %v", made, err)
			}
		})
	}
}

func TestTunnelIDsDiffer(t *testing.T) {
	h := newHouse(t)
	seen := map[int]bool{}
	for range 20 {
		n := must(h.CreateNetworks(h.ctx, alice, network.NetworkCreate{}))(t)[0]
		if n.SegmentationID == 0 || seen[n.SegmentationID] {
			t.Fatalf("tunnel id %d twice or none", n.SegmentationID)
		}
		seen[n.SegmentationID] = true
	}
}

func TestVisibility(t *testing.T) {
	h := newHouse(t)
	yes, no := true, false
	own, _ := h.network("10.0.0.0/24")
	shared := must(h.CreateNetworks(h.ctx, admin, network.NetworkCreate{Name: "shared", Shared: &yes}))(t)[0]
	hidden := must(h.CreateNetworks(h.ctx, admin, network.NetworkCreate{Name: "hidden"}))(t)[0]

	_, err := h.GetNetwork(h.ctx, bob, own.ID)
	refused(t, err, cloud.NotFound, "NetworkNotFound")
	refused(t, h.DeleteNetwork(h.ctx, bob, own.ID), cloud.NotFound, "NetworkNotFound")
	refused(t, h.DeleteNetwork(h.ctx, bob, shared.ID), cloud.Forbidden, "PolicyNotAuthorized")
	_, err = h.CreatePorts(h.ctx, bob, network.PortCreate{NetworkID: hidden.ID})
	refused(t, err, cloud.NotFound, "NetworkNotFound")
	_, err = h.CreateSubnets(h.ctx, bob, network.SubnetCreate{NetworkID: own.ID})
	refused(t, err, cloud.NotFound, "NetworkNotFound")

	names := func(c cloud.Caller) []string {
		out := []string{}
		for _, n := range must(h.ListNetworks(h.ctx, c, network.Filter{}))(t) {
			out = append(out, n.Name)
		}
		return out
	}
	if diff := cmp.Diff([][]string{{"shared"}, {"n", "shared"}}, [][]string{names(bob), sorted(names(alice))}); diff != "" {
		t.Error(diff)
	}
	if len(names(admin)) != 3 {
		t.Errorf("an admin sees %v", names(admin))
	}

	must(h.CreatePorts(h.ctx, bob, network.PortCreate{NetworkID: shared.ID}))(t)
	_, err = h.UpdateNetwork(h.ctx, admin, shared.ID, network.NetworkUpdate{Shared: &no})
	refused(t, err, cloud.Conflict, "InvalidSharedSetting")
}

func TestBootstrapIsIdempotent(t *testing.T) {
	h := newHouse(t)
	h.changes(map[string]int{"networks": 2, "subnets": 4, "routers": 1, "ports": 4, "addresses": 6, "groups": 1, "rules": 4}, func() error {
		return h.Bootstrap(h.ctx, "padmin", network.DefaultFirst())
	})
	before := h.dump()
	if err := h.Bootstrap(h.ctx, "padmin", network.DefaultFirst()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, h.dump()); diff != "" {
		t.Error(diff)
	}
	nets := must(view(h, func(tx *store.Tx) ([]cloud.Network, error) { return h.NetworksForServerTx(tx, alice) }))(t)
	if len(nets) != 1 || nets[0].Name != "private" {
		t.Errorf("a server of any project boots on %+v", nets)
	}
	h.network()
	_, err := view(h, func(tx *store.Tx) ([]cloud.Network, error) { return h.NetworksForServerTx(tx, alice) })
	refused(t, err, cloud.Conflict, "NetworkAmbiguous")
}

func TestQuotas(t *testing.T) {
	h := newHouse(t)
	must(h.SetQuota(h.ctx, "pa", map[string]int{"subnet": 1, "port": 1, "router": 0, "security_group": 1, "security_group_rule": 4}))(t)
	n, _ := h.network("10.0.0.0/24")
	_, err := h.CreateSubnets(h.ctx, alice, network.SubnetCreate{NetworkID: n.ID})
	refused(t, err, cloud.Conflict, "OverQuota")
	_, err = h.CreatePorts(h.ctx, alice, network.PortCreate{NetworkID: n.ID}) // DHCP's port counts
	refused(t, err, cloud.Conflict, "OverQuota")
	_, err = h.CreateRouters(h.ctx, alice, network.RouterCreate{})
	refused(t, err, cloud.Conflict, "OverQuota")
	_, err = h.CreateGroups(h.ctx, alice, network.GroupCreate{Name: "g"})
	refused(t, err, cloud.Conflict, "OverQuota")
	if cloud.Message(err) != "Quota exceeded for resources: ['security_group']." {
		t.Error(cloud.Message(err))
	}
	uses := must(h.QuotaDetails(h.ctx, alice, "pa"))(t)
	want := map[string]network.QuotaUse{
		"network": {Limit: 100, Used: 1}, "subnet": {Limit: 1, Used: 1}, "subnetpool": {Limit: -1}, "port": {Limit: 1, Used: 1}, "router": {},
		"floatingip": {Limit: 50}, "security_group": {Limit: 1, Used: 1}, "security_group_rule": {Limit: 4, Used: 4}, "rbac_policy": {Limit: 10}, "trunk": {Limit: -1},
	}
	if diff := cmp.Diff(want, uses); diff != "" {
		t.Error(diff)
	}
	if err := h.ResetQuota(h.ctx, "pa"); err != nil {
		t.Fatal(err)
	}
	must(h.CreatePorts(h.ctx, alice, network.PortCreate{NetworkID: n.ID}))(t)
}
