package nova_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/nova"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/compute/computetest"
	"hearth/internal/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// v21 is where the API is.
const v21 = "/compute/v2.1"

// build makes a small cloud with its API, asked as a member of the project.
func build(t testing.TB) (*computetest.Bench, *wiretest.Client) {
	b := computetest.New(t)
	return b, wiretest.New(t, nova.New(b.Compute)).As(computetest.Member().Caller)
}

// at asks in a microversion.
func at(c *wiretest.Client, minor int) *wiretest.Client {
	return c.With("OpenStack-API-Version", fmt.Sprintf("compute 2.%d", minor))
}

// volatile is what differs from run to run, each with what it becomes.
var volatile = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`fa:16:3e:[0-9a-f:]{8}`), "MAC"}, {regexp.MustCompile(`instance-[0-9a-f]{8}`), "instance-ID"},
	{regexp.MustCompile(`"r-[a-z0-9]{8}"`), `"RESERVATION"`}, {regexp.MustCompile(`10\.0\.0\.\d+`), "IP"},
}

// golden holds a body against testdata/NAME.json.
func golden(t *testing.T, name string, r *wiretest.Reply) {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, r.Body, "", "  "); err != nil {
		t.Fatal(err)
	}
	text := out.String() + "\n"
	for _, v := range volatile {
		text = v.re.ReplaceAllString(text, v.to)
	}
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s differs; run with -update and look at the difference:\n%s", file, text)
	}
}

func server(change func(wire.M)) wire.M {
	v := wire.M{"name": "vm", "imageRef": computetest.ImageID, "flavorRef": "1"}
	if change != nil {
		change(v)
	}
	return wire.M{"server": v}
}

// TestGolden holds whole answers in old and new microversions, for a member and
// an admin.
func TestGolden(t *testing.T) {
	b, c := build(t)
	made := c.Do("POST", v21+"/servers", server(func(v wire.M) { v["metadata"] = wire.M{"a": "b"}; v["user_data"] = "IyE=" })).Want(t, 202)
	id := made.Text("server", "id")
	if made.Header.Get("Location") != "http://cloud.test:5000"+v21+"/servers/"+id || len(made.Text("server", "adminPass")) < 12 {
		t.Errorf("%v %s", made.Header, made.Body)
	}
	b.Run(id)
	admin := c.As(computetest.Admin().Caller)
	failed := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	b.Update(func(tx *store.Tx) error {
		v, err := tx.Servers.Get(failed)
		if err != nil {
			return err
		}
		v.Fault = &cloud.Fault{Code: 500, Message: "No valid host was found. no host fits", CreatedAt: b.Clock.Now()}
		return tx.Servers.Update(v)
	})
	for name, g := range map[string]struct {
		c    *wiretest.Client
		path string
	}{
		"versions":              {c, "/compute"},
		"version":               {c, v21},
		"server_member_2.1":     {at(c, 1), v21 + "/servers/" + id},
		"server_member_2.93":    {at(c, 93), v21 + "/servers/" + id},
		"server_admin_2.1":      {at(admin, 1), v21 + "/servers/" + id},
		"server_admin_2.93":     {at(admin, 93), v21 + "/servers/" + id},
		"server_failed_2.47":    {at(c, 47), v21 + "/servers/" + failed},
		"servers_2.1":           {c, v21 + "/servers?limit=1"},
		"flavors_2.1":           {c, v21 + "/flavors/detail?limit=1"},
		"flavors_2.75":          {at(c, 75), v21 + "/flavors/detail?limit=1"},
		"ips":                   {c, v21 + "/servers/" + id + "/ips"},
		"interfaces_2.70":       {at(c, 70), v21 + "/servers/" + id + "/os-interface"},
		"hypervisors_2.1":       {admin, v21 + "/os-hypervisors/detail"},
		"hypervisors_2.88":      {at(admin, 88), v21 + "/os-hypervisors/detail"},
		"services_2.53":         {at(admin, 53), v21 + "/os-services"},
		"zones":                 {admin, v21 + "/os-availability-zone/detail"},
		"quota_2.1":             {c, v21 + "/os-quota-sets/" + computetest.Project},
		"quota_detail_2.57":     {at(c, 57), v21 + "/os-quota-sets/" + computetest.Project + "/detail"},
		"limits_2.1":            {c, v21 + "/limits"},
		"limits_2.57":           {at(c, 57), v21 + "/limits"},
		"server_groups_of_2.93": {at(c, 93), v21 + "/servers/" + id + "/os-security-groups"},
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, g.c.Do("GET", g.path, nil).Want(t, 200)) })
	}
}

// TestRefusals holds statuses and words of what is refused.
func TestRefusals(t *testing.T) {
	b, c := build(t)
	id := c.Do("POST", v21+"/servers", server(nil)).Want(t, 202).Text("server", "id")
	reader, other := c.As(computetest.Caller(computetest.Project, cloud.RoleReader)), c.As(computetest.Caller(computetest.Other, cloud.RoleMember, cloud.RoleReader))
	one := v21 + "/servers/" + id
	for _, x := range []struct {
		c            *wiretest.Client
		method, path string
		body         any
		status       int
		name, words  string
	}{
		{c, "POST", v21 + "/servers", wire.M{"server": wire.M{"name": "x"}}, 400, "badRequest", "'flavorRef' is a required property"},
		{c, "POST", v21 + "/servers", server(func(v wire.M) { v["colour"] = "red" }), 400, "badRequest", "Additional properties are not allowed ('colour' was unexpected)"},
		{c, "POST", v21 + "/servers", server(func(v wire.M) { v["imageRef"] = "" }), 400, "badRequest", "Missing imageRef attribute"},
		{c, "POST", v21 + "/servers", server(func(v wire.M) { v["personality"] = []wire.M{{"path": "/a", "contents": "%"}} }), 400, "badRequest", "base"},
		{c, "POST", v21 + "/servers", server(func(v wire.M) { v["personality"] = slices.Repeat([]wire.M{{"path": "/a", "contents": "YQ=="}}, 6) }), 403, "forbidden", "Personality file limit exceeded"},
		{c, "POST", v21 + "/servers", server(func(v wire.M) {
			v["block_device_mapping_v2"] = []wire.M{{"source_type": "volume", "destination_type": "volume", "uuid": "v", "boot_index": 0}}
		}), 400, "badRequest", "failed to get volume v."},
		{c, "POST", v21 + "/servers", server(func(v wire.M) { v["min_count"] = 99 }), 403, "forbidden", "Quota exceeded for instances"},
		{c, "POST", v21 + "/servers", "{", 400, "badRequest", "Malformed request body"},
		{c, "POST", v21 + "/servers", nil, 400, "badRequest", "no body"},
		{reader, "POST", v21 + "/servers", server(nil), 403, "forbidden", "Policy doesn't allow os_compute_api:servers:create to be performed."},
		{reader, "DELETE", one, nil, 403, "forbidden", "os_compute_api:servers:delete"},
		{c, "POST", v21 + "/flavors", wire.M{}, 403, "forbidden", "os-flavor-manage:create"},
		{c, "GET", v21 + "/os-hypervisors", nil, 403, "forbidden", "os-hypervisors:list"},
		{other, "GET", one, nil, 404, "itemNotFound", "Instance " + id + " could not be found."},
		{other, "DELETE", one, nil, 404, "itemNotFound", "could not be found"},
		{other, "GET", one + "/os-instance-actions", nil, 404, "itemNotFound", "could not be found"},
		{other, "PUT", one + "/metadata", wire.M{"metadata": wire.M{}}, 404, "itemNotFound", "could not be found"},
		{c, "POST", one + "/action", wire.M{"os-stop": nil}, 409, "conflictingRequest", "Cannot 'stop' instance " + id + " while it is in task_state scheduling"},
		{c, "POST", one + "/action", wire.M{"dance": nil}, 400, "badRequest", "There is no such action: dance"},
		{c, "POST", one + "/action", wire.M{"os-start": nil, "os-stop": nil}, 400, "badRequest", "send one"},
		{c, "GET", v21 + "/servers?limit=-1", nil, 400, "badRequest", "limit"},
		{c, "GET", v21 + "/servers?marker=none", nil, 400, "badRequest", "marker [none] not found"},
		{c, "GET", v21 + "/servers?all_tenants=1", nil, 403, "forbidden", "get_all_tenants"},
		{at(c, 75), "GET", v21 + "/servers?colour=red", nil, 400, "badRequest", "'colour' was unexpected"},
		{at(c, 38), "GET", v21 + "/servers?status=odd", nil, 400, "badRequest", "Invalid status value"},
		{c, "GET", v21 + "/flavors/none", nil, 404, "itemNotFound", "Flavor none could not be found."},
		{at(c, 94), "GET", v21 + "/flavors", nil, 406, "computeFault", "Minimum is 2.1 and maximum is 2.93"},
		{at(c, 25), "GET", one + "/tags", nil, 404, "itemNotFound", "2.25"},
		{c, "GET", v21 + "/os-server-groups/none", nil, 404, "itemNotFound", "Instance group none could not be found."},
		{c, "GET", v21 + "/os-quota-sets/" + computetest.Other, nil, 403, "forbidden", "another project"},
		{c, "DELETE", one + "/metadata/none", nil, 404, "itemNotFound", "Metadata item was not found"},
	} {
		r := x.c.Do(x.method, x.path, x.body)
		if r.Status != x.status || r.Text(x.name, "code") != fmt.Sprint(x.status) || !strings.Contains(r.Text(x.name, "message"), x.words) {
			t.Errorf("%s %s: %d %s, want %d %s %q", x.method, x.path, r.Status, r.Body, x.status, x.name, x.words)
		}
	}
	if n := b.Counts().Servers; n != 1 {
		t.Errorf("%d servers, want the one", n)
	}
}

// TestLifeOfAServer goes through what clients do to one.
func TestLifeOfAServer(t *testing.T) {
	b, c := build(t)
	net := wire.M{"uuid": b.Net.ID, "fixed_ip": "10.0.0.99"}
	id := at(c, 90).Do("POST", v21+"/servers", server(func(v wire.M) {
		v["networks"], v["hostname"], v["tags"], v["description"] = []wire.M{net}, "box", []string{"t"}, nil
		v["security_groups"] = []wire.M{{"name": "default"}}
	})).Want(t, 202).Text("server", "id")
	one := v21 + "/servers/" + id
	b.Run(id)
	r := at(c, 90).Do("GET", one, nil).Want(t, 200)
	if r.Text("server", "status") != "ACTIVE" || r.Text("server", "addresses", "private", 0, "addr") != "10.0.0.99" ||
		r.Text("server", "OS-EXT-SRV-ATTR:hostname") != "box" || r.Text("server", "security_groups", 0, "name") != "default" {
		t.Errorf("%s", r.Body)
	}
	for _, x := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"PUT", "", wire.M{"server": wire.M{"name": "new", "accessIPv4": "192.0.2.1"}}, 200},
		{"POST", "/metadata", wire.M{"metadata": wire.M{"k": "v"}}, 200},
		{"PUT", "/metadata/k", wire.M{"meta": wire.M{"k": "w"}}, 200},
		{"GET", "/metadata/k", nil, 200},
		{"PUT", "/tags/new", nil, 201},
		{"PUT", "/tags/new", nil, 204},
		{"GET", "/tags/new", nil, 204},
		{"DELETE", "/tags/new", nil, 204},
		{"PUT", "/tags/a,b", nil, 400},
		{"DELETE", "/tags", nil, 204},
		{"POST", "/action", wire.M{"lock": wire.M{"locked_reason": "mine"}}, 202},
		{"POST", "/action", wire.M{"reboot": wire.M{"type": "SOFT"}}, 409},
		{"POST", "/action", wire.M{"unlock": nil}, 202},
		{"POST", "/action", wire.M{"reboot": wire.M{"type": "HARD"}}, 202},
		{"POST", "/action", wire.M{"os-getConsoleOutput": wire.M{"length": "10"}}, 200},
		{"POST", "/action", wire.M{"removeSecurityGroup": wire.M{"name": "default"}}, 202},
		{"POST", "/action", wire.M{"addSecurityGroup": wire.M{"name": "default"}}, 202},
		{"DELETE", "/metadata/k", nil, 204},
		{"DELETE", "", nil, 204},
	} {
		at(c, 90).Do(x.method, one+x.path, x.body).Want(t, x.status)
	}
	if s := b.Server(id); s.Name != "new" || s.AccessIPv4 != "192.0.2.1" || !s.Intent.Deleted || s.Intent.Reboots != 1 || len(s.Metadata) != 0 || len(s.Tags) != 0 {
		t.Errorf("%+v", s)
	}
	acts := c.Do("GET", one+"/os-instance-actions", nil).Want(t, 200)
	if acts.Text("instanceActions", 0, "request_id") == "" || len(acts.Get("instanceActions").([]any)) != 5 {
		t.Errorf("%s", acts.Body)
	}
}

// TestKeypairsOnTheWire holds statuses by microversion.
func TestKeypairsOnTheWire(t *testing.T) {
	_, c := build(t)
	body := func(name string) wire.M { return wire.M{"keypair": wire.M{"name": name}} }
	if r := c.Do("POST", v21+"/os-keypairs", body("a")).Want(t, 200); !strings.Contains(r.Text("keypair", "private_key"), "RSA PRIVATE KEY") {
		t.Errorf("%s", r.Body)
	}
	at(c, 2).Do("POST", v21+"/os-keypairs", body("a")).Want(t, 409)
	at(c, 92).Do("POST", v21+"/os-keypairs", body("b")).Want(t, 400)
	at(c, 10).Do("POST", v21+"/os-keypairs", wire.M{"keypair": wire.M{"name": "b", "public_key": "nonsense"}}).Want(t, 400)
	c.Do("GET", v21+"/os-keypairs/a", nil).Want(t, 200)
	at(c, 2).Do("DELETE", v21+"/os-keypairs/a", nil).Want(t, 204)
	c.Do("DELETE", v21+"/os-keypairs/a", nil).Want(t, 404)
}

// thousand makes a cloud with n running servers.
func thousand(tb testing.TB, n int) *wiretest.Client {
	b := computetest.New(tb)
	net := b.AddNetwork(computetest.Project, "wide", netip.MustParsePrefix("10.64.0.0/16"))
	b.Update(func(tx *store.Tx) error {
		for i := range n {
			now := b.Clock.Now()
			id := cloud.NewID()
			s := cloud.Server{ID: id, Name: fmt.Sprintf("vm-%d", i), ProjectID: computetest.Project, UserID: "u", ImageID: computetest.ImageID,
				Flavor: cloud.ClassicFlavors()[0], DiskConfig: "MANUAL", Node: "node-1", LaunchedAt: &now, CreatedAt: now, UpdatedAt: now,
				Metadata: map[string]string{"a": "b"}, Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOn},
				Seen: cloud.Observation{Generation: 1, State: cloud.InstanceRunning, At: now}}
			if err := tx.Servers.Insert(s); err != nil {
				return err
			}
			p := cloud.Port{ID: cloud.NewID(), NetworkID: net.ID, ProjectID: computetest.Project, DeviceID: id, DeviceOwner: "compute:nova",
				MAC:      fmt.Sprintf("fa:16:3e:00:%02x:%02x", i/256, i%256),
				FixedIPs: []cloud.FixedIP{{IP: netip.AddrFrom4([4]byte{10, 64, byte(i / 250), byte(i%250 + 2)})}}, CreatedAt: now}
			if err := tx.Ports.Insert(p); err != nil {
				return err
			}
		}
		return nil
	})
	return wiretest.New(tb, nova.New(b.Compute)).As(computetest.Member().Caller)
}

// cpu is what the process has used of the processors.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkListServers(b *testing.B) {
	c := thousand(b, 1000)
	for name, path := range map[string]string{"brief": "/servers", "detail": "/servers/detail"} {
		b.Run(name, func(b *testing.B) {
			c.Do("GET", v21+path, nil).Want(b, 200) // the rows are decoded once
			begun := cpu()
			for b.Loop() {
				c.Do("GET", v21+path, nil).Want(b, 200)
			}
			b.ReportMetric(float64((cpu()-begun).Microseconds())/1000/float64(b.N), "CPU-ms/op")
		})
	}
	c = thousand(b, 1)
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			c.Do("GET", v21+"/servers/detail", nil).Want(b, 200)
		}
	})
}

func BenchmarkCreate(b *testing.B) {
	bench, c := build(b)
	bench.Update(func(tx *store.Tx) error {
		return tx.Quotas.Put(cloud.Quota{Service: "compute", ProjectID: computetest.Project, Limits: map[string]int{"instances": -1, "cores": -1, "ram": -1}})
	})
	bench.Update(func(tx *store.Tx) error {
		return tx.Quotas.Put(cloud.Quota{Service: "network", ProjectID: computetest.Project, Limits: map[string]int{"port": -1}})
	})
	for b.Loop() {
		id := c.Do("POST", v21+"/servers", server(nil)).Want(b, 202).Text("server", "id")
		bench.Update(func(tx *store.Tx) error {
			if err := bench.Network.ReleaseDeviceTx(tx, id); err != nil {
				return err
			}
			return tx.Servers.Delete(id)
		})
	}
}
