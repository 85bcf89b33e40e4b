package placement_test

import (
	"fmt"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/openstack/placement"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/schedule"
	service "hearth/internal/service/placement"
	"hearth/internal/store"
)

const (
	host     = "bbbbbbbb-0000-4000-8000-000000000001"
	server   = "cccccccc-0000-4000-8000-000000000001"
	project  = "11111111111111111111111111111111"
	provider = "dddddddd-0000-4000-8000-000000000001"
	child    = "dddddddd-0000-4000-8000-000000000002"
	consumer = "eeeeeeee-0000-4000-8000-000000000001"
)

// build makes a cloud of one host with one server of a processor and 1 GB.
func build(t *testing.T) (*store.Store, func(minor int) *wiretest.Client) {
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	clock := cloud.NewFakeClock()
	err = st.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.Hosts.Put(cloud.Host{Name: "node-1", ID: host, SeenAt: clock.Now(), CreatedAt: clock.Now(),
			Seen: cloud.HostStatus{VCPUs: 4, MemoryMB: 8192, ReservedMB: 192, DiskGB: 100, CPUArch: "x86_64"}}); err != nil {
			return err
		}
		return tx.Servers.Insert(cloud.Server{ID: server, ProjectID: project, UserID: "u", Node: "node-1", Intent: cloud.Intent{Generation: 3},
			Flavor: cloud.Flavor{VCPUs: 1, MemoryMB: 1024, RootGB: 10}})
	})
	if err != nil {
		t.Fatal(err)
	}
	c := wiretest.New(t, placement.New(service.New(st, clock, schedule.DefaultRatios()))).As(wiretest.Admin(project)).With("Content-Type", "application/json")
	return st, func(minor int) *wiretest.Client {
		return c.With("OpenStack-API-Version", fmt.Sprintf("placement 1.%d", minor))
	}
}

// TestHosts are providers, and servers consumers, without anybody writing so.
func TestHosts(t *testing.T) {
	_, at := build(t)
	c := at(39)
	list := c.Do("GET", "/placement/resource_providers", nil).Want(t, 200)
	if got := string(list.Body); !strings.Contains(got, `"uuid":"`+host+`"`) || !strings.Contains(got, `"name":"node-1"`) {
		t.Errorf("%s", got)
	}
	for path, want := range map[string]string{
		"/inventories/VCPU": `{"allocation_ratio":4,"max_unit":4,"min_unit":1,"reserved":0,"resource_provider_generation":0,"step_size":1,"total":4}`,
		"/usages":           `{"resource_provider_generation":0,"usages":{"DISK_GB":10,"MEMORY_MB":1024,"VCPU":1}}`,
		"/allocations":      `{"allocations":{"` + server + `":{"consumer_generation":3,"resources":{"DISK_GB":10,"MEMORY_MB":1024,"VCPU":1}}},"resource_provider_generation":0}`,
	} {
		if got := strings.TrimSpace(string(c.Do("GET", "/placement/resource_providers/"+host+path, nil).Want(t, 200).Body)); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	got := strings.TrimSpace(string(c.Do("GET", "/placement/allocations/"+server, nil).Want(t, 200).Body))
	if want := `{"allocations":{"` + host + `":{"generation":0,"resources":{"DISK_GB":10,"MEMORY_MB":1024,"VCPU":1}}},"consumer_generation":3,"consumer_type":"INSTANCE","project_id":"` + project + `","user_id":"u"}`; got != want {
		t.Errorf("%s", got)
	}
	c.Do("DELETE", "/placement/allocations/"+server, nil).Want(t, 409)
	c.Do("DELETE", "/placement/resource_providers/"+host, nil).Want(t, 409)
	got = strings.TrimSpace(string(c.Do("GET", "/placement/usages?project_id="+project, nil).Want(t, 200).Body))
	if want := `{"usages":{"INSTANCE":{"DISK_GB":10,"MEMORY_MB":1024,"VCPU":1,"consumer_count":1}}}`; got != want {
		t.Errorf("%s", got)
	}
	member := c.As(wiretest.Member("another"))
	member.Do("GET", "/placement/usages?project_id="+project, nil).Want(t, 403)
	member.Do("GET", "/placement/resource_providers", nil).Want(t, 403)
}

// TestProviders walks through the life of a provider.
func TestProviders(t *testing.T) {
	_, at := build(t)
	c := at(39)
	all, one := "/placement/resource_providers", "/placement/resource_providers/"+provider
	c.Do("POST", all, wire.M{"name": "pool", "uuid": provider}).Want(t, 200)
	r := c.Do("POST", all, wire.M{"name": "pool"}).Want(t, 409)
	if !strings.Contains(string(r.Body), "placement.duplicate_name") {
		t.Errorf("%s", r.Body)
	}
	at(0).Do("POST", all, wire.M{"name": "old", "parent_provider_uuid": provider}).Want(t, 400)
	at(19).Do("POST", all, wire.M{"name": "card", "uuid": child, "parent_provider_uuid": provider}).Want(t, 201)
	c.Do("DELETE", one, nil).Want(t, 409)
	c.Do("PUT", one, wire.M{"name": "pool", "parent_provider_uuid": child}).Want(t, 400)
	c.Do("PUT", one, wire.M{"name": "tank"}).Want(t, 200)
	at(36).Do("PUT", all+"/"+child, wire.M{"name": "card", "parent_provider_uuid": host}).Want(t, 400)
	c.Do("PUT", all+"/"+child, wire.M{"name": "card", "parent_provider_uuid": host}).Want(t, 200)
	if r := c.Do("GET", all+"?in_tree="+child, nil).Want(t, 200); !strings.Contains(string(r.Body), host) || strings.Contains(string(r.Body), provider) {
		t.Errorf("%s", r.Body)
	}
	inv := wire.M{"resource_provider_generation": 0, "inventories": wire.M{"DISK_GB": wire.M{"total": 100, "reserved": 10}}}
	c.Do("PUT", one+"/inventories", inv).Want(t, 200)
	r = c.Do("PUT", one+"/inventories", inv).Want(t, 409)
	if !strings.Contains(string(r.Body), "placement.concurrent_update") {
		t.Errorf("%s", r.Body)
	}
	c.Do("POST", one+"/inventories", wire.M{"resource_class": "CUSTOM_X", "total": 1}).Want(t, 400)
	c.Do("PUT", "/placement/resource_classes/CUSTOM_X", nil).Want(t, 201)
	c.Do("PUT", "/placement/resource_classes/CUSTOM_X", nil).Want(t, 204)
	c.Do("POST", one+"/inventories", wire.M{"resource_class": "CUSTOM_X", "total": 1}).Want(t, 201)
	c.Do("DELETE", "/placement/resource_classes/CUSTOM_X", nil).Want(t, 409)
	at(25).Do("PUT", one+"/inventories/CUSTOM_X", wire.M{"resource_provider_generation": 2, "total": 1, "reserved": 1}).Want(t, 400)
	c.Do("PUT", one+"/inventories/CUSTOM_X", wire.M{"resource_provider_generation": 2, "total": 1, "reserved": 1}).Want(t, 200)
	c.Do("DELETE", one+"/inventories/CUSTOM_X", nil).Want(t, 204)
	c.Do("DELETE", "/placement/resource_classes/CUSTOM_X", nil).Want(t, 204)
	c.Do("DELETE", "/placement/resource_classes/VCPU", nil).Want(t, 400)
	c.Do("PUT", one+"/traits", wire.M{"resource_provider_generation": 4, "traits": []string{"CUSTOM_FAST"}}).Want(t, 400)
	c.Do("PUT", "/placement/traits/CUSTOM_FAST", nil).Want(t, 201)
	c.Do("PUT", one+"/traits", wire.M{"resource_provider_generation": 4, "traits": []string{"CUSTOM_FAST"}}).Want(t, 200)
	c.Do("DELETE", "/placement/traits/CUSTOM_FAST", nil).Want(t, 409)
	if r := c.Do("GET", all+"?required=CUSTOM_FAST&resources=DISK_GB:90", nil).Want(t, 200); !strings.Contains(string(r.Body), provider) || strings.Contains(string(r.Body), host) {
		t.Errorf("%s", r.Body)
	}
	at(17).Do("GET", all+"?required=CUSTOM_FAST", nil).Want(t, 400)
	c.Do("GET", all+"?required=NONE", nil).Want(t, 400)
	c.Do("PUT", one+"/aggregates", wire.M{"resource_provider_generation": 5, "aggregates": []string{child}}).Want(t, 200)
	if r := c.Do("GET", all+"?member_of=in:"+child+","+server, nil).Want(t, 200); !strings.Contains(string(r.Body), provider) {
		t.Errorf("%s", r.Body)
	}
	at(0).Do("GET", one+"/aggregates", nil).Want(t, 404)
	c.Do("DELETE", one, nil).Want(t, 204)
	c.Do("GET", one, nil).Want(t, 404)
}

// TestClaims writes claims beside those that are counted.
func TestClaims(t *testing.T) {
	_, at := build(t)
	c := at(38)
	put := func(amount int, generation any) wire.M {
		return wire.M{"allocations": wire.M{host: wire.M{"resources": wire.M{"VCPU": amount}}}, "project_id": project, "user_id": "u",
			"consumer_generation": generation, "consumer_type": "BATCH"}
	}
	path := "/placement/allocations/" + consumer
	c.Do("PUT", path, put(3, 1)).Want(t, 409)
	c.Do("PUT", path, put(3, nil)).Want(t, 204)
	c.Do("PUT", path, put(5, 1)).Want(t, 409) // more at once than one may have
	r := c.Do("PUT", path, put(2, nil)).Want(t, 409)
	if !strings.Contains(string(r.Body), "expected 1 but got None") {
		t.Errorf("%s", r.Body)
	}
	if r := c.Do("GET", "/placement/resource_providers/"+host+"/usages", nil); !strings.Contains(string(r.Body), `"VCPU":4`) {
		t.Errorf("%s", r.Body)
	}
	// The body of before 1.12, and of before 1.8.
	list := wire.M{"allocations": []wire.M{{"resource_provider": wire.M{"uuid": host}, "resources": wire.M{"VCPU": 2}}}}
	at(7).Do("PUT", path, list).Want(t, 204)
	at(8).Do("PUT", path, list).Want(t, 400)
	// A server's own claims are counted, and stay.
	own := wire.M{"DISK_GB": 10, "MEMORY_MB": 1024, "VCPU": 1}
	mine := func() wire.M {
		return wire.M{server: wire.M{"allocations": wire.M{host: wire.M{"resources": own}}, "project_id": project, "user_id": "u"}}
	}
	at(13).Do("POST", "/placement/allocations", mine()).Want(t, 204)
	own["VCPU"] = 2
	at(13).Do("POST", "/placement/allocations", mine()).Want(t, 409)
	c.Do("DELETE", path, nil).Want(t, 204)
	c.Do("DELETE", path, nil).Want(t, 404)
}

// TestCandidates asks for what there is by trees, traits and groups.
func TestCandidates(t *testing.T) {
	_, at := build(t)
	c := at(39)
	all := "/placement/resource_providers"
	c.Do("PUT", "/placement/resource_classes/CUSTOM_GPU", nil).Want(t, 201)
	for i, id := range []string{child, strings.Replace(child, "02", "03", 1)} {
		c.Do("POST", all, wire.M{"name": fmt.Sprintf("gpu%d", i), "uuid": id, "parent_provider_uuid": host}).Want(t, 200)
		c.Do("POST", all+"/"+id+"/inventories", wire.M{"resource_class": "CUSTOM_GPU", "total": 1}).Want(t, 201)
	}
	c.Do("PUT", all+"/"+child+"/traits", wire.M{"resource_provider_generation": 1, "traits": []string{"HW_GPU_API_VULKAN"}}).Want(t, 200)
	for _, q := range []struct {
		minor, count int
		query        string
	}{
		{10, 1, "resources=VCPU:1,MEMORY_MB:64"}, {10, 0, "resources=VCPU:9"}, {39, 2, "resources=VCPU:1&resources1=CUSTOM_GPU:1"},
		{39, 2, "resources=VCPU:1,CUSTOM_GPU:1"}, {28, 0, "resources=VCPU:1,CUSTOM_GPU:1"}, {39, 1, "resources=VCPU:1,CUSTOM_GPU:1&required=HW_GPU_API_VULKAN"},
		{39, 1, "resources=VCPU:1&resources1=CUSTOM_GPU:1&required1=!HW_GPU_API_VULKAN"},
		{39, 2, "resources1=CUSTOM_GPU:1&resources2=CUSTOM_GPU:1&group_policy=isolate"}, {39, 2, "resources1=CUSTOM_GPU:1&resources2=CUSTOM_GPU:1&group_policy=none"},
		{39, 2, "resources=VCPU:1&resources_A=CUSTOM_GPU:1&required_TOP=COMPUTE_NODE&group_policy=none&same_subtree=_A,_TOP"},
		{39, 2, "resources=VCPU:1&resources_A=CUSTOM_GPU:1&required_TOP=COMPUTE_NODE&group_policy=none&same_subtree=_A,_TOP%20"},
		{39, 0, "resources_A=CUSTOM_GPU:1&resources_B=CUSTOM_GPU:1&same_subtree=_A,_B&group_policy=none"},
		{39, 1, "resources=VCPU:1&root_required=COMPUTE_NODE"}, {39, 0, "resources=VCPU:1&root_required=!COMPUTE_NODE"},
		{39, 1, "resources=VCPU:1&required=in:HW_GPU_API_VULKAN,COMPUTE_NODE"}, {39, 1, "resources=VCPU:1&in_tree=" + child}, {39, 0, "resources=VCPU:1&in_tree=" + provider},
		{39, 1, "resources=VCPU:1,CUSTOM_GPU:1&limit=1"},
	} {
		var out struct {
			Requests  []any          `json:"allocation_requests"`
			Summaries map[string]any `json:"provider_summaries"`
		}
		at(q.minor).Do("GET", "/placement/allocation_candidates?"+q.query, nil).Want(t, 200).Into(&out)
		if len(out.Requests) != q.count || q.count > 0 && len(out.Summaries) == 0 {
			t.Errorf("%s: %d of %v", q.query, len(out.Requests), out)
		}
	}
	for minor, query := range map[int]string{
		9: "resources=VCPU:1", 15: "resources=VCPU:1&limit=1", 16: "resources=VCPU:1&required=COMPUTE_NODE", 21: "resources=VCPU:1&required=!COMPUTE_NODE",
		24: "resources1=VCPU:1", 32: "resources_A=VCPU:1", 38: "resources=VCPU:1&required=in:COMPUTE_NODE,HW_GPU_API_VULKAN", 39: "resources=VCPU:x",
		37: "resources1=VCPU:1&resources2=VCPU:1", 36: "required=COMPUTE_NODE", 35: "resources=NONE:1", 34: "resources=VCPU:0",
	} {
		want := 400
		if minor == 9 {
			want = 404
		}
		at(minor).Do("GET", "/placement/allocation_candidates?"+query, nil).Want(t, want)
	}
}

// TestReshape moves an inventory with its claims from one provider to another.
func TestReshape(t *testing.T) {
	_, at := build(t)
	c := at(30)
	all := "/placement/resource_providers"
	for name, id := range map[string]string{"old": provider, "new": child} {
		c.Do("POST", all, wire.M{"name": name, "uuid": id}).Want(t, 200)
	}
	c.Do("POST", all+"/"+provider+"/inventories", wire.M{"resource_class": "VGPU", "total": 4}).Want(t, 201)
	claim := func(id string, generation any) wire.M {
		return wire.M{"allocations": wire.M{id: wire.M{"resources": wire.M{"VGPU": 2}}}, "project_id": project, "user_id": "u", "consumer_generation": generation}
	}
	c.Do("PUT", "/placement/allocations/"+consumer, claim(provider, nil)).Want(t, 204)
	c.Do("PUT", all+"/"+provider+"/inventories", wire.M{"resource_provider_generation": 2, "inventories": wire.M{}}).Want(t, 409)
	body := func(claims wire.M) wire.M {
		return wire.M{"allocations": claims, "inventories": wire.M{
			provider: wire.M{"resource_provider_generation": 2, "inventories": wire.M{}},
			child:    wire.M{"resource_provider_generation": 0, "inventories": wire.M{"VGPU": wire.M{"total": 4}}},
		}}
	}
	c.Do("POST", "/placement/reshaper", body(wire.M{})).Want(t, 409)
	c.Do("POST", "/placement/reshaper", body(wire.M{consumer: claim(child, 1)})).Want(t, 204)
	if r := c.Do("GET", all+"/"+child+"/usages", nil); !strings.Contains(string(r.Body), `"VGPU":2`) {
		t.Errorf("%s", r.Body)
	}
	if r := c.Do("GET", all+"/"+provider+"/inventories", nil); strings.Contains(string(r.Body), "VGPU") {
		t.Errorf("%s", r.Body)
	}
}

func TestRoot(t *testing.T) {
	_, at := build(t)
	r := at(0).With("X-Auth-Token", "").Do("GET", "/placement/", nil).Want(t, 200)
	if !strings.Contains(string(r.Body), `"max_version":"1.39"`) {
		t.Errorf("%s", r.Body)
	}
	r = at(40).Do("GET", "/placement/resource_providers", nil).Want(t, 406)
	if !strings.Contains(string(r.Body), `"max_version":"1.39"`) {
		t.Errorf("%s", r.Body)
	}
}
