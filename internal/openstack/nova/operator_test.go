package nova_test

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/compute/computetest"
)

// TestOperator walks through what the operator's routes answer: statuses and words.
func TestOperator(t *testing.T) {
	_, c := build(t)
	admin := c.As(computetest.Admin().Caller)
	for _, q := range []struct {
		minor        int
		method, path string
		body         any
		status       int
		says         string
	}{
		{1, "POST", "/os-aggregates", wire.M{"aggregate": wire.M{"name": "a", "availability_zone": "z"}}, 200, `"availability_zone":"z"`},
		{1, "POST", "/os-aggregates", wire.M{"aggregate": wire.M{"name": "b", "availability_zone": "z:z"}}, 400, ""},
		{41, "GET", "/os-aggregates/1", nil, 200, `"uuid"`},
		{1, "GET", "/os-aggregates/x", nil, 400, ""}, {1, "GET", "/os-aggregates/-1", nil, 404, ""},
		{1, "POST", "/os-aggregates/1/action", wire.M{"add_host": wire.M{"host": "node-1"}}, 200, `"hosts":["node-1"]`},
		{1, "POST", "/os-aggregates/1/action", wire.M{"add_host": wire.M{"host": "none"}}, 404, ""},
		{1, "POST", "/os-aggregates/1/action", wire.M{"set_metadata": wire.M{"metadata": wire.M{"k": "v"}}}, 200, `"k":"v"`},
		{81, "POST", "/os-aggregates/1/images", wire.M{"cache": []wire.M{{"id": computetest.ImageID}}}, 202, ""},
		{81, "POST", "/os-aggregates/1/images", wire.M{"cache": []wire.M{{"id": cloud.NewID()}}}, 400, "Can not find requested image"},
		{80, "POST", "/os-aggregates/1/images", wire.M{"cache": []wire.M{{"id": computetest.ImageID}}}, 404, ""},
		{1, "GET", "/os-availability-zone", nil, 200, `"zoneName":"z"`},
		{1, "PUT", "/os-services/force-down", wire.M{"host": "node-1", "binary": "nova-compute"}, 404, "Unknown action"},
		{11, "PUT", "/os-services/force-down", wire.M{"host": "node-1", "binary": "nova-compute", "forced_down": true}, 200, `"forced_down":true`},
		{11, "GET", "/os-services?binary=nova-compute", nil, 200, `"state":"down"`},
		{11, "PUT", "/os-services/force-down", wire.M{"host": "node-1", "binary": "nova-compute", "forced_down": "false"}, 200, `"forced_down":false`},
		{1, "PUT", "/os-services/disable-log-reason", wire.M{"host": "node-1", "binary": "nova-compute"}, 400, "Missing disabled reason field"},
		{1, "PUT", "/os-services/disable", wire.M{"host": "node-1", "binary": "nova-scheduler"}, 400, "Only nova-compute services can be updated"},
		{53, "DELETE", "/os-services/1", nil, 400, "Invalid uuid 1"},
		{1, "GET", "/os-services?host=node-1", nil, 200, `"zone":"z"`},
		{42, "GET", "/os-hosts/node-1", nil, 200, `"project":"(total)"`}, {43, "GET", "/os-hosts", nil, 404, ""},
		{42, "PUT", "/os-hosts/node-1", wire.M{"status": "disable"}, 200, `"status":"disabled"`}, {1, "GET", "/os-hosts/node-1/reboot", nil, 501, ""},
		{53, "GET", "/os-hypervisors?zz=1", nil, 400, "'zz' was unexpected"}, {52, "GET", "/os-hypervisors?zz=1", nil, 200, ""},
		{53, "GET", "/os-hypervisors?hypervisor_hostname_pattern=", nil, 400, "hypervisor_hostname_pattern"},
		{53, "GET", "/os-hypervisors/detail?hypervisor_hostname_pattern=a+b", nil, 400, "does not match"},
		{53, "GET", "/os-hypervisors?with_servers=", nil, 400, "with_servers"},
		{1, "GET", "/flavors?sort_key=", nil, 400, "sort_key"}, {1, "GET", "/flavors/detail?sort_dir=", nil, 400, "sort_dir"},
		{1, "GET", "/os-security-groups?limit=x", nil, 400, "limit"}, {1, "GET", "/os-security-groups?offset=1", nil, 200, `{"security_groups":[]}`},
		{22, "POST", "/servers/x/migrations/1/action", wire.M{"force_complete": "now"}, 400, "force_complete"},
		{22, "POST", "/servers/x/migrations/1/action", wire.M{"force_complete": nil}, 404, ""},
		{56, "POST", "/servers/x/action", wire.M{"migrate": wire.M{"host": "a/b"}}, 400, "host"},
		{30, "POST", "/servers/x/action", wire.M{"os-migrateLive": wire.M{"host": " ", "block_migration": "auto"}}, 400, "host"},
		{78, "GET", "/servers/x/topology", nil, 404, "Instance x"}, {77, "GET", "/servers/x/topology", nil, 404, ""},
		{1, "GET", "/os-agents", nil, 410, ""}, {93, "GET", "/os-cells/x/capacities", nil, 410, ""}, {1, "POST", "/os-fixed-ips/1/action", wire.M{}, 410, ""},
		{1, "GET", "/os-baremetal-nodes", nil, 501, ""}, {36, "GET", "/os-baremetal-nodes", nil, 404, ""},
		{1, "GET", "/extensions/os-volumes", nil, 200, `"name":"Volumes"`}, {1, "GET", "/extensions/none", nil, 404, ""},
		{1, "GET", "/os-tenant-networks", nil, 200, `"cidr":"None"`}, {1, "GET", "/os-networks", nil, 200, `"label":"private"`}, {36, "GET", "/os-networks", nil, 404, ""},
		{1, "GET", "/os-floating-ips/x", nil, 400, ""}, {1, "GET", "/os-floating-ip-pools", nil, 200, `[]`}, {1, "POST", "/os-floating-ips", nil, 404, "pool"},
		{1, "GET", "/os-instance_usage_audit_log", nil, 200, `"overall_status":"0 of 1 hosts done. 0 errors."`},
		{1, "GET", "/os-instance_usage_audit_log/x", nil, 400, ""},
		{1, "GET", "/os-simple-tenant-usage?start=2026-01-02T00:00:00&end=2026-01-01T00:00:00", nil, 400, "Invalid start time"},
		{1, "GET", "/os-simple-tenant-usage/", nil, 404, ""}, {1, "GET", "/os-simple-tenant-usage?start=x", nil, 400, "format"},
		{1, "GET", "/os-quota-class-sets/other", nil, 200, `"cores":20`}, {1, "PUT", "/os-quota-class-sets/other", wire.M{"quota_class_set": wire.M{"cores": 1}}, 200, `"cores":1`},
		{1, "GET", "/os-quota-class-sets/default", nil, 200, `"cores":20`},
		// Of server groups the limits can be set before 2.50, as nova has it, though they are not shown; those of networks cannot any more from then on.
		{49, "PUT", "/os-quota-class-sets/mine", wire.M{"quota_class_set": wire.M{"server_groups": "99", "server_group_members": 99, "fixed_ips": 99}}, 200, `"fixed_ips":99`},
		{50, "GET", "/os-quota-class-sets/mine", nil, 200, `"server_groups":99`}, {50, "PUT", "/os-quota-class-sets/mine", wire.M{"quota_class_set": wire.M{"fixed_ips": 99}}, 400, "fixed_ips"},
		{1, "PUT", "/os-quota-sets/p?user_id=u", wire.M{"quota_set": wire.M{"cores": 21}}, 400, "must be less than or equal to 20"},
		{1, "PUT", "/os-quota-sets/p?user_id=u", wire.M{"quota_set": wire.M{"cores": 21, "force": true}}, 200, `"cores":21`},
		{1, "GET", "/os-quota-sets/p", nil, 200, `"cores":20`},
		{86, "POST", "/flavors/1/os-extra_specs", wire.M{"extra_specs": wire.M{"hw:cpu_policy": "sole"}}, 400, "'sole' is not one of: dedicated, shared, mixed."},
		{86, "POST", "/flavors/1/os-extra_specs", wire.M{"extra_specs": wire.M{"hw:nonsense": "1"}}, 400, "does not appear to be a valid extra spec"},
		{86, "POST", "/flavors/1/os-extra_specs", wire.M{"extra_specs": wire.M{"hw:numa_nodes": "0"}}, 400, "less than the min value"},
		{86, "POST", "/flavors/1/os-extra_specs", wire.M{"extra_specs": wire.M{"trait:CUSTOM_A": "required", "resources1:VGPU": "1", "mine:x": "y", "plain": "z"}}, 200, ""},
		{85, "POST", "/flavors/1/os-extra_specs", wire.M{"extra_specs": wire.M{"hw:nonsense": "1"}}, 200, ""},
	} {
		r := at(admin, q.minor).Do(q.method, v21+q.path, q.body).Want(t, q.status)
		if !strings.Contains(string(r.Body), q.says) {
			t.Errorf("%s %s: %s, want %s", q.method, q.path, r.Body, q.says)
		}
	}
	for _, path := range []string{"/os-aggregates", "/os-services", "/os-hosts", "/os-simple-tenant-usage", "/os-simple-tenant-usage/other"} {
		c.Do("GET", v21+path, nil).Want(t, 403)
	}
}

// TestServerGroupShapes holds the forms of a server group in microversions.
func TestServerGroupShapes(t *testing.T) {
	_, c := build(t)
	at(c, 14).Do("POST", v21+"/os-server-groups", wire.M{"server_group": wire.M{"name": "g", "policies": []string{"soft-affinity"}}}).Want(t, 400)
	id := at(c, 15).Do("POST", v21+"/os-server-groups", wire.M{"server_group": wire.M{"name": "g", "policies": []string{"soft-affinity"}}}).Want(t, 200).Text("server_group", "id")
	at(c, 64).Do("POST", v21+"/os-server-groups", wire.M{"server_group": wire.M{"name": "g", "policy": "affinity", "rules": wire.M{"max_server_per_host": 2}}}).Want(t, 400)
	at(c, 64).Do("POST", v21+"/os-server-groups", wire.M{"server_group": wire.M{"name": "h", "policy": "anti-affinity", "rules": wire.M{"max_server_per_host": "2"}}}).Want(t, 200)
	for minor, want := range map[int]string{12: `"policies":["soft-affinity"]`, 13: `"project_id"`, 64: `"policy":"soft-affinity","project_id":"` + computetest.Project + `","rules":{}`} {
		if r := at(c, minor).Do("GET", v21+"/os-server-groups/"+id, nil).Want(t, 200); !strings.Contains(string(r.Body), want) {
			t.Errorf("2.%d: %s", minor, r.Body)
		}
	}
	all := "" // both are of one moment: which of them is the second is left open
	for _, offset := range []string{"0", "1"} {
		all += string(at(c, 64).Do("GET", v21+"/os-server-groups?limit=1&offset="+offset, nil).Want(t, 200).Body)
	}
	if strings.Count(all, `"policy"`) != 2 || !strings.Contains(all, `"max_server_per_host":2`) {
		t.Errorf("%s", all)
	}
	at(c, 75).Do("GET", v21+"/os-server-groups?x=1", nil).Want(t, 400)
	id = at(c, 71).Do("POST", v21+"/servers", wire.M{"server": wire.M{"name": "vm", "imageRef": computetest.ImageID, "flavorRef": "1", "networks": "auto"}, "os:scheduler_hints": wire.M{"group": id}}).Want(t, 202).Text("server", "id")
	if r := at(c, 71).Do("GET", v21+"/servers/"+id, nil).Want(t, 200); strings.Contains(string(r.Body), `"server_groups":[]`) {
		t.Errorf("%s", r.Body)
	}
}
