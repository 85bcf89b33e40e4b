package network_test

import (
	"net/netip"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
)

func TestAddressGroups(t *testing.T) {
	h := newHouse(t)
	prefixes := func(texts ...string) (out []netip.Prefix) {
		for _, text := range texts {
			out = append(out, netip.MustParsePrefix(text))
		}
		return out
	}
	g := must(h.CreateAddressGroups(h.ctx, alice, network.AddressGroupCreate{Name: "home", Addresses: prefixes("10.0.0.0/24", "10.0.0.7/24")}))(t)[0]
	if len(g.Addresses) != 1 {
		t.Errorf("it has %v", g.Addresses)
	}
	_, err := h.AddAddresses(h.ctx, alice, g.ID, prefixes("10.0.0.0/24", "10.0.1.0/24"))
	refused(t, err, cloud.Invalid, "AddressesAlreadyExist")
	_, err = h.RemoveAddresses(h.ctx, alice, g.ID, prefixes("10.0.9.0/24"))
	refused(t, err, cloud.NotFound, "AddressesNotFound")
	if g = must(h.AddAddresses(h.ctx, alice, g.ID, prefixes("fd00::/64")))(t); len(g.Addresses) != 2 || g.Revision != 1 {
		t.Errorf("it is %+v", g)
	}
	if g = must(h.RemoveAddresses(h.ctx, alice, g.ID, prefixes("10.0.0.0/24")))(t); len(g.Addresses) != 1 {
		t.Errorf("it is %+v", g)
	}
	_, err = h.GetAddressGroup(h.ctx, bob, g.ID)
	refused(t, err, cloud.NotFound, "AddressGroupNotFound")

	his := must(h.CreateGroups(h.ctx, bob, network.GroupCreate{Name: "web"}))(t)[0]
	rule := network.RuleCreate{GroupID: his.ID, Direction: "ingress", Ethertype: "IPv6", RemoteAddressGroupID: g.ID}
	_, err = h.CreateRules(h.ctx, bob, rule)
	refused(t, err, cloud.NotFound, "AddressGroupNotFound")
	shared := must(h.CreateRBACPolicies(h.ctx, alice, network.RBACCreate{ObjectType: "address_group", ObjectID: g.ID, Action: cloud.AccessShared, Target: "pb"}))(t)[0]
	made := must(h.CreateRules(h.ctx, bob, rule))(t)[0]
	_, err = h.CreateRules(h.ctx, bob, rule)
	refused(t, err, cloud.Conflict, "SecurityGroupRuleExists")
	rule.RemoteGroupID = his.ID
	_, err = h.CreateRules(h.ctx, bob, rule)
	refused(t, err, cloud.Invalid, "SecurityGroupMultipleRemoteEntites")
	_, err = h.AddAddresses(h.ctx, bob, g.ID, prefixes("10.1.0.0/16"))
	refused(t, err, cloud.Forbidden, "PolicyNotAuthorized")
	if err := h.DeleteRBACPolicy(h.ctx, alice, shared.ID); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("the policy that bob's rule needs: %v", err)
	}
	refused(t, h.DeleteAddressGroup(h.ctx, alice, g.ID), cloud.Conflict, "AddressGroupInUse")
	if err := h.DeleteRule(h.ctx, bob, made.ID); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteAddressGroup(h.ctx, alice, g.ID); err != nil {
		t.Fatal(err)
	}
}
