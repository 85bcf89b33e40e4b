package neutron_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/openstack/wire"
)

// TestForm holds how requests of a wrong form are refused.
func TestForm(t *testing.T) {
	l := newLab(t)
	id := l.network(l.alice, wire.M{"name": "n"})
	for _, c := range []struct {
		name, method, path string
		body               any
		words              string
	}{
		{"unknown attribute", "POST", "/networks", wire.M{"network": wire.M{"bogus": 1}}, "Unrecognized attribute(s) 'bogus'"},
		{"not in POST", "POST", "/networks", wire.M{"network": wire.M{"status": "x"}}, "Attribute 'status' not allowed in POST"},
		{"read-only", "PUT", "/networks/" + id, wire.M{"network": wire.M{"id": "x"}}, "Cannot update read-only attribute id"},
		{"no resource", "POST", "/networks", wire.M{"net": wire.M{}}, "Unable to find 'network' in request body"},
		{"not an object", "POST", "/networks", wire.M{"network": []int{1}}, "Object 'network' contains invalid data"},
		{"empty bulk", "POST", "/networks", wire.M{"networks": []int{}}, "Resources required"},
		{"required", "POST", "/subnets", wire.M{"subnet": wire.M{"network_id": id}}, "Required attribute 'ip_version' not specified"},
		{"two projects", "POST", "/networks", wire.M{"network": wire.M{"tenant_id": "pa", "project_id": "pb"}}, "do not match"},
		{"other's project", "POST", "/networks", wire.M{"network": wire.M{"tenant_id": "pb"}}, "requires admin privileges"},
		{"long name", "POST", "/networks", wire.M{"network": wire.M{"name": strings.Repeat("x", 256)}}, "exceeds maximum length of 255"},
		{"not boolean", "POST", "/networks", wire.M{"network": wire.M{"admin_state_up": "perhaps"}}, "cannot be converted to boolean"},
		{"not text", "POST", "/networks", wire.M{"network": wire.M{"name": 7}}, "not a valid string"},
		{"not a UUID", "POST", "/ports", wire.M{"port": wire.M{"network_id": "x"}}, "'x' is not a valid UUID"},
		{"not a MAC", "POST", "/ports", wire.M{"port": wire.M{"network_id": id, "mac_address": "zz"}}, "'zz' is not a valid MAC address"},
		{"not an address", "POST", "/ports", wire.M{"port": wire.M{"network_id": id, "fixed_ips": []wire.M{{"ip_address": "1.2.3"}}}}, "'1.2.3' is not a valid IP address"},
		{"not a CIDR", "POST", "/subnets", wire.M{"subnet": wire.M{"network_id": id, "ip_version": 4, "cidr": "bogus"}}, "not a valid IP subnet"},
		{"not a mode", "POST", "/subnets", wire.M{"subnet": wire.M{"network_id": id, "ip_version": 6, "cidr": "fd00::/64", "ipv6_ra_mode": "x"}}, "'x' is not in"},
		{"not a filter", "GET", "/networks?bogus=1", nil, "['bogus'] is invalid attribute for filtering"},
		{"not a sort key", "GET", "/networks?sort_key=bogus&sort_dir=asc", nil, "invalid attribute for sort_keys"},
		{"not JSON", "POST", "/networks", "{", "Malformed request body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fault, _ := do(t, l.alice, c.method, c.path, c.body, 400)["NeutronError"].(wire.M)
			if message, _ := fault["message"].(string); !strings.Contains(message, c.words) || fault["detail"] != "" {
				t.Errorf("got %v", fault)
			}
		})
	}
}

// TestProblems holds the types and the statuses of what the service refuses.
func TestProblems(t *testing.T) {
	l := newLab(t)
	id := l.network(l.alice, wire.M{"name": "n"})
	sub := l.subnet(l.alice, id, "10.0.0.0/24", nil)
	do(t, l.alice, "POST", "/ports", wire.M{"port": wire.M{"network_id": id}}, 201)
	refused(t, l.bob, "GET", "/networks/"+id, nil, 404, "NetworkNotFound")
	refused(t, l.alice, "DELETE", "/networks/"+id, nil, 409, "NetworkInUse")
	refused(t, l.alice, "DELETE", "/subnets/"+sub, nil, 409, "SubnetInUse")
	refused(t, l.alice, "GET", "/ports/x", nil, 404, "PortNotFound")
	refused(t, l.alice, "GET", "/routers/x", nil, 404, "RouterNotFound")
	refused(t, l.alice, "GET", "/floatingips/x", nil, 404, "FloatingIPNotFound")
	refused(t, l.alice, "GET", "/security-groups/x", nil, 404, "SecurityGroupNotFound")
	refused(t, l.alice, "POST", "/networks", wire.M{"network": wire.M{"shared": true}}, 403, "PolicyNotAuthorized")
	refused(t, l.alice, "PUT", "/quotas/pa", wire.M{"quota": wire.M{"network": 1}}, 403, "PolicyNotAuthorized")
	refused(t, l.alice, "GET", "/quotas/pb", nil, 403, "PolicyNotAuthorized")
	words := refused(t, l.alice, "POST", "/subnets", wire.M{"subnet": wire.M{"network_id": id, "ip_version": 4, "cidr": "10.0.0.0/25"}}, 400, "InvalidInput")
	if !strings.Contains(words, "Requested subnet with cidr: 10.0.0.0/25 for network: "+id+" overlaps with another subnet") {
		t.Error(words)
	}
	do(t, l.alice, "GET", "/log/logs", nil, 404)
	do(t, l.alice, "GET", "/local_ips", nil, 404)
}

// names gives the names of a listed collection.
func names(body wire.M, collection string) []string {
	out := []string{}
	for _, v := range body[collection].([]any) {
		out = append(out, str(v.(wire.M), "name"))
	}
	return out
}

func TestLists(t *testing.T) {
	l := newLab(t)
	for _, n := range []string{"a", "b", "c", "d"} {
		id := l.network(l.alice, wire.M{"name": n, "admin_state_up": n != "d"})
		if n < "c" {
			do(t, l.alice, "PUT", "/networks/"+id+"/tags", wire.M{"tags": []string{"low", n}}, 200)
		}
	}
	for query, want := range map[string][]string{
		"":                             {"a", "b", "c", "d"},
		"name=b":                       {"b"},
		"name=b&name=c":                {"b", "c"},
		"name=b&admin_state_up=False":  {},
		"admin_state_up=false":         {"d"},
		"tenant_id=pa&status=ACTIVE":   {"a", "b", "c", "d"},
		"project_id=pb":                {},
		"tags=low,a":                   {"a"},
		"tags-any=a,b":                 {"a", "b"},
		"not-tags=low,a":               {"b", "c", "d"},
		"not-tags-any=a,b":             {"c", "d"},
		"sort_key=name&sort_dir=desc":  {"a", "b", "c", "d"},
		"description=&shared=0&name=a": {"a"},
	} {
		got := names(do(t, l.alice, "GET", "/networks?"+query, nil, 200), "networks")
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	got := names(do(t, l.alice, "GET", "/networks?sort_key=name&sort_dir=desc", nil, 200), "networks")
	if diff := cmp.Diff([]string{"d", "c", "b", "a"}, got); diff != "" {
		t.Error(diff)
	}
	only := do(t, l.alice, "GET", "/networks?name=a&fields=name&fields=mtu", nil, 200)["networks"].([]any)
	if diff := cmp.Diff([]any{wire.M{"name": "a", "mtu": 1450.0}}, only); diff != "" {
		t.Error(diff)
	}
}

// TestPages walks a list forth and back by its links.
func TestPages(t *testing.T) {
	l := newLab(t)
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		l.network(l.alice, wire.M{"name": n})
	}
	walk := func(query, rel string) (pages [][]string) {
		for query != "" && len(pages) < 9 {
			body := do(t, l.alice, "GET", "/networks?"+query, nil, 200)
			if got := names(body, "networks"); len(got) > 0 {
				pages = append(pages, got)
			}
			query = ""
			links, _ := body["networks_links"].([]any)
			for _, link := range links {
				if str(link.(wire.M), "rel") == rel {
					_, query, _ = strings.Cut(str(link.(wire.M), "href"), "?")
				}
			}
		}
		return pages
	}
	if diff := cmp.Diff([][]string{{"a", "b"}, {"c", "d"}, {"e"}}, walk("limit=2&sort_key=name&sort_dir=asc", "next")); diff != "" {
		t.Error(diff)
	}
	last := str(do(t, l.alice, "GET", "/networks?name=e", nil, 200)["networks"].([]any)[0].(wire.M), "id")
	back := walk("limit=2&sort_key=name&sort_dir=asc&page_reverse=True&marker="+last, "previous")
	if diff := cmp.Diff([][]string{{"c", "d"}, {"a", "b"}}, back); diff != "" {
		t.Error(diff)
	}
}

func TestPortFilters(t *testing.T) {
	l := newLab(t)
	id := l.network(l.alice, wire.M{"name": "n"})
	sub := l.subnet(l.alice, id, "10.0.0.0/24", nil)
	for name, ip := range map[string]string{"p1": "10.0.0.51", "p2": "10.0.0.52"} {
		do(t, l.alice, "POST", "/ports", wire.M{"port": wire.M{"name": name, "network_id": id, "fixed_ips": []wire.M{{"ip_address": ip}}, "device_id": "dev-" + name}}, 201)
	}
	for query, want := range map[string][]string{
		"fixed_ips=ip_address%3D10.0.0.51":                                              {"p1"},
		"fixed_ips=ip_address%3D10.0.0.51&fixed_ips=ip_address%3D10.0.0.52":             {"p1", "p2"},
		"device_owner=&fixed_ips=ip_address_substr%3D0.0.5":                             {"p1", "p2"},
		"device_owner=&fixed_ips=subnet_id%3D" + sub:                                    {"p1", "p2"},
		"fixed_ips=subnet_id%3D" + sub + "&fixed_ips=ip_address%3D10.0.0.52":            {"p2"},
		"device_id=dev-p2&network_id=" + id:                                             {"p2"},
		"device_owner=network:dhcp":                                                     {""},
		"name=p1&security_groups=" + "x":                                                {},
		"fixed_ips=subnet_id%3Dother&fixed_ips=ip_address%3D10.0.0.52&network_id=" + id: {},
	} {
		got := names(do(t, l.alice, "GET", "/ports?"+query, nil, 200), "ports")
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
}

func TestBulk(t *testing.T) {
	l := newLab(t)
	two := do(t, l.alice, "POST", "/networks", wire.M{"networks": []wire.M{{"name": "a"}, {"name": "b"}}}, 201)
	if diff := cmp.Diff([]string{"a", "b"}, names(two, "networks")); diff != "" {
		t.Error(diff)
	}
	do(t, l.alice, "POST", "/networks", wire.M{"networks": []wire.M{{"name": "c"}, {"bogus": "b"}}}, 400)
	do(t, l.alice, "POST", "/networks", wire.M{"networks": []wire.M{{"name": "d"}, {"shared": true}}}, 403)
	if got := names(do(t, l.alice, "GET", "/networks", nil, 200), "networks"); len(got) != 2 {
		t.Errorf("after bulks that were refused there are %v", got)
	}
}

func TestTagCodes(t *testing.T) {
	l := newLab(t)
	path := "/networks/" + l.network(l.alice, wire.M{}) + "/tags"
	do(t, l.alice, "PUT", path+"/red", nil, 201)
	do(t, l.alice, "GET", path+"/red", nil, 204)
	refused(t, l.alice, "GET", path+"/blue", nil, 404, "TagNotFound")
	if got := do(t, l.alice, "GET", path, nil, 200); cmp.Diff(wire.M{"tags": []any{"red"}}, got) != "" {
		t.Error(got)
	}
	do(t, l.alice, "DELETE", path+"/red", nil, 204)
	do(t, l.alice, "DELETE", path, nil, 204)
	do(t, l.alice, "PUT", path, wire.M{"tags": "x"}, 400)
}

func TestQuotaCodes(t *testing.T) {
	l := newLab(t)
	got := do(t, l.admin, "PUT", "/quotas/pa", wire.M{"quota": wire.M{"network": 1}}, 200)
	if in(got, "quota", "network") != 1.0 || in(got, "quota", "subnet") != 100.0 {
		t.Error(got)
	}
	l.network(l.alice, wire.M{})
	if words := refused(t, l.alice, "POST", "/networks", wire.M{"network": wire.M{}}, 409, "OverQuota"); words != "Quota exceeded for resources: ['network']." {
		t.Error(words)
	}
	do(t, l.admin, "PUT", "/quotas/pa", wire.M{"quota": wire.M{"bogus": 1}}, 400)
	do(t, l.admin, "PUT", "/quotas/pa", wire.M{"quota": wire.M{"network": -2}}, 400)
	do(t, l.admin, "DELETE", "/quotas/pa", nil, 204)
	refused(t, l.admin, "DELETE", "/quotas/pa", nil, 404, "TenantQuotaNotFound")
	if got := do(t, l.alice, "GET", "/quotas/pa/default", nil, 200); in(got, "quota", "network") != 100.0 {
		t.Error(got)
	}
}

// TestExtensions wants every alias of the list to be gettable.
func TestExtensions(t *testing.T) {
	l := newLab(t)
	list := do(t, l.alice, "GET", "/extensions", nil, 200)["extensions"].([]any)
	if len(list) < 30 {
		t.Errorf("only %d extensions", len(list))
	}
	for _, v := range list {
		one := do(t, l.alice, "GET", "/extensions/"+str(v.(wire.M), "alias"), nil, 200)
		if diff := cmp.Diff(v, one["extension"]); diff != "" {
			t.Error(diff)
		}
	}
	do(t, l.alice, "GET", "/extensions/logging", nil, 404)
}
