package neutron_test

import (
	"slices"
	"strconv"
	"testing"

	"hearth/internal/openstack/wire"
)

// TestIfMatch holds that a change which expects another revision is refused, in
// every collection, and leaves no trace.
func TestIfMatch(t *testing.T) {
	l := newLab(t)
	net := l.network(l.admin, wire.M{"name": "n"})
	for _, c := range []struct {
		path, name string
		body       wire.M
	}{
		{"/networks", "network", wire.M{}},
		{"/subnets", "subnet", wire.M{"network_id": net, "ip_version": 4, "cidr": "10.9.0.0/24"}},
		{"/ports", "port", wire.M{"network_id": net}},
		{"/routers", "router", wire.M{}},
		{"/security-groups", "security_group", wire.M{"name": "g"}},
		{"/subnetpools", "subnetpool", wire.M{"name": "p", "prefixes": []string{"10.0.0.0/8"}}},
		{"/qos/policies", "policy", wire.M{"name": "q"}},
	} {
		made := do(t, l.admin, "POST", c.path, wire.M{c.name: c.body}, 201)
		one := c.path + "/" + in(made, c.name, "id").(string)
		old := strconv.Itoa(int(in(made, c.name, "revision_number").(float64)))
		rename := wire.M{c.name: wire.M{"description": "x"}}
		now := do(t, l.admin.With("If-Match", "revision_number="+old), "PUT", one, rename, 200)
		stale := l.admin.With("If-Match", "revision_number="+old)
		refused(t, stale, "PUT", one, wire.M{c.name: wire.M{"description": "y"}}, 412, "RevisionNumberConstraintFailed")
		refused(t, stale, "DELETE", one, nil, 412, "RevisionNumberConstraintFailed")
		if got := do(t, l.admin, "GET", one, nil, 200); in(got, c.name, "description") != "x" || in(got, c.name, "revision_number") != in(now, c.name, "revision_number") {
			t.Errorf("%s: after refusals %v", c.path, got)
		}
		do(t, l.admin.With("If-Match", "revision_number=x"), "PUT", one, rename, 400)
		fresh := strconv.Itoa(int(in(now, c.name, "revision_number").(float64)))
		do(t, l.admin.With("If-Match", "revision_number="+fresh), "DELETE", one, nil, 204)
	}
}

// TestPrefixes holds how prefixes come to a subnet pool and go.
func TestPrefixes(t *testing.T) {
	l := newLab(t)
	id := in(do(t, l.alice, "POST", "/subnetpools", wire.M{"subnetpool": wire.M{"name": "p", "prefixes": []string{"10.0.0.0/8"}}}, 201), "subnetpool", "id").(string)
	one := "/subnetpools/" + id
	change := func(how string, want []string, prefixes ...string) {
		t.Helper()
		var got []string
		for _, p := range do(t, l.alice, "PUT", one+"/"+how, wire.M{"prefixes": prefixes}, 200)["prefixes"].([]any) {
			got = append(got, p.(string))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s %v: %v, want %v", how, prefixes, got, want)
		}
	}
	change("add_prefixes", []string{"10.0.0.0/8", "172.16.0.0/16", "192.168.0.0/16"}, "172.16.0.0/16", "192.168.0.0/16")
	change("remove_prefixes", []string{"10.0.0.0/8", "172.16.0.0/16"}, "192.168.0.0/16")
	change("remove_prefixes", []string{"10.0.0.0/9", "10.192.0.0/10", "172.16.0.0/16"}, "10.128.0.0/10")
	net := l.network(l.alice, wire.M{"name": "n"})
	do(t, l.alice, "POST", "/subnets", wire.M{"subnet": wire.M{"network_id": net, "ip_version": 4, "subnetpool_id": id, "cidr": "172.16.1.0/24"}}, 201)
	refused(t, l.alice, "PUT", one+"/remove_prefixes", wire.M{"prefixes": []string{"172.16.0.0/20"}}, 400, "IllegalSubnetPoolPrefixUpdate")
	refused(t, l.alice, "PUT", one+"/add_prefixes", wire.M{"prefixes": []string{"fd00::/48"}}, 400, "PrefixVersionMismatch")
	refused(t, l.bob, "PUT", one+"/add_prefixes", wire.M{"prefixes": []string{"11.0.0.0/8"}}, 404, "SubnetPoolNotFound")
	do(t, l.alice, "PUT", one+"/add_prefixes", wire.M{}, 400)
}

// TestRuleTypes holds what is told of the types of rules, and tags of policies.
func TestRuleTypes(t *testing.T) {
	l := newLab(t)
	if got := do(t, l.admin, "GET", "/qos/rule-types/bandwidth_limit", nil, 200); in(got, "rule_type", "type") != "bandwidth_limit" {
		t.Errorf("got %v", got)
	}
	do(t, l.admin, "GET", "/qos/rule-types/bogus", nil, 404)
	one := "/qos/policies/" + in(do(t, l.admin, "POST", "/qos/policies", wire.M{"policy": wire.M{"name": "q"}}, 201), "policy", "id").(string)
	do(t, l.admin, "PUT", one+"/tags", wire.M{"tags": []string{"blue"}}, 200)
	do(t, l.alice, "PUT", one+"/tags", wire.M{"tags": []string{"red"}}, 404)
	if got := do(t, l.admin, "GET", one, nil, 200); in(got, "policy", "tags").([]any)[0] != "blue" {
		t.Errorf("got %v", got)
	}
}
