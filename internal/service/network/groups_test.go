package network_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
)

func TestDefaultGroup(t *testing.T) {
	h := newHouse(t)
	h.changes(map[string]int{"groups": 1, "rules": 4}, func() error {
		groups, err := h.ListGroups(h.ctx, alice, network.Filter{}, "")
		if len(groups) != 1 || groups[0].Name != "default" || len(groups[0].Rules) != 4 {
			t.Errorf("%+v", groups)
		}
		return err
	})
	h.changes(map[string]int{}, func() error { _, err := h.ListGroups(h.ctx, alice, network.Filter{}, ""); return err })
	def := must(h.ListGroups(h.ctx, alice, network.Filter{}, ""))(t)[0]
	refused(t, h.DeleteGroup(h.ctx, alice, def.ID), cloud.Conflict, "SecurityGroupCannotRemoveDefault")
	name := "other"
	_, err := h.UpdateGroup(h.ctx, alice, def.ID, network.GroupUpdate{Name: &name})
	refused(t, err, cloud.Conflict, "SecurityGroupCannotUpdateDefault")
	_, err = h.CreateGroups(h.ctx, alice, network.GroupCreate{Name: "Default"})
	refused(t, err, cloud.Conflict, "SecurityGroupDefaultAlreadyExists")
	_, err = h.GetGroup(h.ctx, bob, def.ID)
	refused(t, err, cloud.NotFound, "SecurityGroupNotFound")
	h.changes(map[string]int{"groups": -1, "rules": -4}, func() error { return h.DeleteGroup(h.ctx, admin, def.ID) })
}

func TestGroupRows(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network("10.0.0.0/24")
	var g network.GroupView
	h.changes(map[string]int{"groups": 1, "rules": 2}, func() error {
		made, err := h.CreateGroups(h.ctx, alice, network.GroupCreate{Name: "web"})
		g = made[0]
		return err
	})
	h.changes(map[string]int{"rules": 1}, func() error {
		_, err := h.CreateRules(h.ctx, alice, network.RuleCreate{GroupID: g.ID, Direction: "ingress", Protocol: "tcp", RemoteGroupID: g.ID})
		return err
	})
	if after := must(h.GetGroup(h.ctx, alice, g.ID))(t); after.Revision != g.Revision+1 || len(after.Rules) != 3 {
		t.Errorf("%+v", after)
	}
	p := h.port(network.PortCreate{NetworkID: n.ID, SecurityGroups: &[]string{g.ID}})
	h.unchanged(cloud.Conflict, "SecurityGroupInUse", func() error { return h.DeleteGroup(h.ctx, alice, g.ID) })
	if err := h.DeletePort(h.ctx, alice, p.ID); err != nil {
		t.Fatal(err)
	}
	h.changes(map[string]int{"groups": -1, "rules": -3}, func() error { return h.DeleteGroup(h.ctx, alice, g.ID) })
}

func TestRuleRefusals(t *testing.T) {
	h := newHouse(t)
	g := must(h.CreateGroups(h.ctx, alice, network.GroupCreate{Name: "web"}))(t)[0]
	n := func(i int) *int { return &i }
	v4, v6 := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")
	for _, c := range []struct {
		name    string
		r       network.RuleCreate
		problem string
	}{
		{"unknown protocol", network.RuleCreate{Protocol: "bogus"}, "SecurityGroupRuleInvalidProtocol"},
		{"number too high", network.RuleCreate{Protocol: "256"}, "SecurityGroupRuleInvalidProtocol"},
		{"ports backwards", network.RuleCreate{Protocol: "tcp", PortMin: n(80), PortMax: n(22)}, "SecurityGroupInvalidPortRange"},
		{"half a range", network.RuleCreate{Protocol: "tcp", PortMin: n(80)}, "SecurityGroupInvalidPortRange"},
		{"ports of nothing", network.RuleCreate{PortMin: n(80), PortMax: n(80)}, "SecurityGroupProtocolRequiredWithPorts"},
		{"ports of ah", network.RuleCreate{Protocol: "ah", PortMin: n(80), PortMax: n(80)}, "SecurityGroupInvalidProtocolForPort"},
		{"icmp type", network.RuleCreate{Protocol: "icmp", PortMin: n(256)}, "SecurityGroupInvalidIcmpValue"},
		{"icmp code", network.RuleCreate{Protocol: "icmp", PortMin: n(1), PortMax: n(256)}, "SecurityGroupInvalidIcmpValue"},
		{"icmp code alone", network.RuleCreate{Protocol: "icmp", PortMax: n(1)}, "SecurityGroupMissingIcmpType"},
		{"prefix of v6", network.RuleCreate{RemotePrefix: v6}, "SecurityGroupRuleParameterConflict"},
		{"prefix of v4", network.RuleCreate{Ethertype: "IPv6", RemotePrefix: v4}, "SecurityGroupRuleParameterConflict"},
		{"v6 protocol", network.RuleCreate{Protocol: "ipv6-icmp"}, "SecurityGroupEthertypeConflictWithProtocol"},
		{"two remotes", network.RuleCreate{RemotePrefix: v4, RemoteGroupID: g.ID}, "SecurityGroupMultipleRemoteEntites"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			c.r.GroupID, c.r.Direction = g.ID, "ingress"
			h.unchanged(cloud.Invalid, c.problem, func() error { _, err := h.CreateRules(h.ctx, alice, c.r); return err })
		})
	}
}

func TestRuleTwice(t *testing.T) {
	h := newHouse(t)
	g := must(h.CreateGroups(h.ctx, alice, network.GroupCreate{Name: "web"}))(t)[0]
	n := func(i int) *int { return &i }
	for _, c := range []struct {
		name        string
		first, next network.RuleCreate
		same        bool
	}{
		{"equal", network.RuleCreate{Protocol: "tcp", PortMin: n(22), PortMax: n(22)}, network.RuleCreate{Protocol: "TCP", PortMin: n(22), PortMax: n(22)}, true},
		{"name and number", network.RuleCreate{Protocol: "udp"}, network.RuleCreate{Protocol: "17"}, true},
		{"all ports", network.RuleCreate{Protocol: "sctp"}, network.RuleCreate{Protocol: "sctp", PortMin: n(0), PortMax: n(65535)}, true},
		{"from anywhere", network.RuleCreate{Protocol: "gre"}, network.RuleCreate{Protocol: "gre", RemotePrefix: netip.MustParsePrefix("0.0.0.0/0")}, true},
		{"other prefix", network.RuleCreate{Protocol: "esp"}, network.RuleCreate{Protocol: "esp", RemotePrefix: netip.MustParsePrefix("10.0.0.0/8")}, false},
		{"other ethertype", network.RuleCreate{Protocol: "ah"}, network.RuleCreate{Protocol: "ah", Ethertype: "IPv6"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 2 {
				r := []network.RuleCreate{c.first, c.next}[i]
				r.GroupID, r.Direction = g.ID, "ingress"
				_, err := h.CreateRules(h.ctx, alice, r)
				switch {
				case i == 1 && c.same:
					refused(t, err, cloud.Conflict, "SecurityGroupRuleExists")
				case err != nil:
					t.Fatal(err)
				}
			}
		})
	}
	twice := network.RuleCreate{GroupID: g.ID, Direction: "egress", Protocol: "tcp"}
	h.unchanged(cloud.Conflict, "DuplicateSecurityGroupRuleInPost", func() error {
		_, err := h.CreateRules(h.ctx, alice, twice, twice)
		return err
	})
}

func TestTags(t *testing.T) {
	h := newHouse(t)
	n, _ := h.network()
	must(h.AddTag(h.ctx, alice, "networks", n.ID, "red"))(t)
	must(h.AddTag(h.ctx, alice, "networks", n.ID, "red"))(t)
	got := must(h.AddTag(h.ctx, alice, "networks", n.ID, "blue"))(t)
	if diff := cmp.Diff([]string{"red", "blue"}, got); diff != "" {
		t.Error(diff)
	}
	refused(t, h.RemoveTag(h.ctx, alice, "networks", n.ID, "green"), cloud.NotFound, "TagNotFound")
	_, err := h.AddTag(h.ctx, bob, "networks", n.ID, "x")
	refused(t, err, cloud.NotFound, "NetworkNotFound")
	if err := h.RemoveTag(h.ctx, alice, "networks", n.ID, "red"); err != nil {
		t.Fatal(err)
	}
	if v := must(h.GetNetwork(h.ctx, alice, n.ID))(t); len(v.Tags) != 1 || v.Revision <= n.Revision {
		t.Errorf("%+v", v)
	}
}
