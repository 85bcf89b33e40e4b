package neutron_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/openstack/wire"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// random is what differs from run to run: ids, MACs, and the addresses that are
// chosen or made of MACs.
var random = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|fa:16:3e:[0-9a-f:]{8}`)

// golden compares a body with its file, with random parts numbered by their
// first appearance in a list of known ones.
func golden(t *testing.T, name string, body wire.M, known *[]string) {
	t.Helper()
	raw, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text := random.ReplaceAllStringFunc(string(raw), func(id string) string {
		for i, k := range *known {
			if k == id {
				return fmt.Sprintf("<%d>", i)
			}
		}
		*known = append(*known, id)
		return fmt.Sprintf("<%d>", len(*known)-1)
	}) + "\n"
	path := filepath.Join("testdata", name+".json")
	if *rewrite {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestGolden holds every resource's whole answer, as an admin and as a member
// sees it.
func TestGolden(t *testing.T) {
	l := newLab(t)
	known := []string{}
	make := func(name, path string, body wire.M) wire.M {
		t.Helper()
		out := do(t, l.admin, "POST", path, body, 201)
		golden(t, name, out, &known)
		return out
	}
	pub := make("network-external", "/networks", wire.M{"network": wire.M{"name": "public", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "public"}})
	make("subnet-external", "/subnets", wire.M{"subnet": wire.M{
		"network_id": in(pub, "network", "id"), "ip_version": 4, "cidr": "172.24.4.0/24", "gateway_ip": "172.24.4.1", "enable_dhcp": false,
		"allocation_pools": []wire.M{{"start": "172.24.4.10", "end": "172.24.4.10"}},
	}})
	net := make("network", "/networks", wire.M{"network": wire.M{"name": "blue", "tenant_id": "padmin", "shared": true}})
	netID := str(net, "network", "id")
	golden(t, "network-member", do(t, l.alice, "GET", "/networks/"+netID, nil, 200), &known)
	sub := make("subnet", "/subnets", wire.M{"subnet": wire.M{
		"name": "blue4", "network_id": netID, "ip_version": 4, "cidr": "10.0.0.0/24", "dns_nameservers": []string{"9.9.9.9"},
		"host_routes": []wire.M{{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}},
	}})
	make("subnet-slaac", "/subnets", wire.M{"subnet": wire.M{
		"network_id": netID, "ip_version": 6, "cidr": "fd00::/64", "ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac",
	}})
	make("security-group", "/security-groups", wire.M{"security_group": wire.M{"name": "web", "description": "the web"}})
	group := str(do(t, l.admin, "GET", "/security-groups?name=web", nil, 200)["security_groups"].([]any)[0].(wire.M), "id")
	make("security-group-rule", "/security-group-rules", wire.M{"security_group_rule": wire.M{
		"security_group_id": group, "direction": "ingress", "protocol": "tcp", "port_range_min": 22, "port_range_max": "22", "remote_ip_prefix": "10.1.2.3/8",
	}})
	port := make("port", "/ports", wire.M{"port": wire.M{
		"name": "p", "network_id": netID, "mac_address": "02:00:00:00:00:01", "fixed_ips": []wire.M{{"ip_address": "10.0.0.77"}},
		"security_groups": []string{group}, "allowed_address_pairs": []wire.M{{"ip_address": "10.0.0.200"}}, "dns_name": "p",
		"extra_dhcp_opts": []wire.M{{"opt_name": "mtu", "opt_value": "1300"}}, "binding:host_id": "node-1", "tags": []string{"red"},
	}})
	portID := str(port, "port", "id")
	router := make("router", "/routers", wire.M{"router": wire.M{"name": "r", "external_gateway_info": wire.M{"network_id": in(pub, "network", "id")}}})
	routerID := str(router, "router", "id")
	golden(t, "add-router-interface", do(t, l.admin, "PUT", "/routers/"+routerID+"/add_router_interface", wire.M{"subnet_id": in(sub, "subnet", "id")}, 200), &known)
	refused(t, l.admin, "POST", "/floatingips", wire.M{"floatingip": wire.M{"floating_network_id": in(pub, "network", "id")}}, 409, "IpAddressGenerationFailure")
	do(t, l.admin, "PUT", "/subnets/"+externalSubnet(t, l), wire.M{"subnet": wire.M{"allocation_pools": []wire.M{{"start": "172.24.4.10", "end": "172.24.4.11"}}}}, 200)
	make("floatingip", "/floatingips", wire.M{"floatingip": wire.M{"floating_network_id": in(pub, "network", "id"), "port_id": portID}})
	golden(t, "quota-details", do(t, l.admin, "GET", "/quotas/padmin/details", nil, 200), &known)
	golden(t, "versions", versions(t, l), &known)
}

func externalSubnet(t *testing.T, l *lab) string {
	t.Helper()
	return str(do(t, l.admin, "GET", "/subnets?cidr=172.24.4.0/24", nil, 200)["subnets"].([]any)[0].(wire.M), "id")
}

func versions(t *testing.T, l *lab) wire.M {
	t.Helper()
	out := wire.M{}
	if err := json.Unmarshal(l.alice.Do("GET", "/network", nil).Body, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
