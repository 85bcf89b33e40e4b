package metadata

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"hearth/internal/cloud"
)

var update = flag.Bool("update", false, "write the golden files anew")

func example() cloud.InstanceSpec {
	link := cloud.MetaLink{PortID: "0d2e2f3a-1111-4222-8333-444455556666", NetworkID: "aaaaaaaa-1111-4222-8333-444455556666", MAC: "fa:16:3e:00:00:0b", MTU: 1450, Addresses: []cloud.MetaAddress{
		{IP: netip.MustParseAddr("10.0.0.11"), Prefix: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1"), DHCP: true},
		{IP: netip.MustParseAddr("2001:db8::f816:3eff:fe00:b"), Prefix: netip.MustParsePrefix("2001:db8::/64"), Gateway: netip.MustParseAddr("2001:db8::1"), DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")}, DHCP: true, Mode: "slaac"},
	}}
	fixed := cloud.MetaLink{PortID: "1d2e2f3a-1111-4222-8333-444455556666", NetworkID: "bbbbbbbb-1111-4222-8333-444455556666", MAC: "fa:16:3e:00:00:0c", MTU: 1500, Addresses: []cloud.MetaAddress{{
		IP: netip.MustParseAddr("192.0.2.7"), Prefix: netip.MustParsePrefix("192.0.2.0/25"), DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53")},
		Routes: []cloud.Route{{Destination: netip.MustParsePrefix("198.51.100.0/24"), NextHop: netip.MustParseAddr("192.0.2.1")}},
	}}}
	return cloud.InstanceSpec{
		ID: "c0ffee00-1111-4222-8333-444455556666", Name: "My VM", Hostname: "my-vm", ProjectID: "0123456789abcdef0123456789abcdef",
		Ports: []cloud.InstancePort{{ID: link.PortID, MAC: link.MAC, Tag: "mgmt", Address: "0000:00:03.0"}, {ID: fixed.PortID, MAC: fixed.MAC}},
		Volumes: []cloud.InstanceVolume{
			{VolumeID: "22222222-1111-4222-8333-444455556666", Device: "/dev/vdd", Tag: "data", Address: "0000:00:09.0"},
			{VolumeID: "33333333-1111-4222-8333-444455556666", Device: "/dev/vde", Tag: "late"}, {VolumeID: "44444444-1111-4222-8333-444455556666"},
		},
		EphemeralGB: 1, SwapMB: 512, Kernel: &cloud.ImageRef{ID: "11111111-2222-4333-8444-555566667777"},
		Meta: cloud.InstanceMeta{
			ReservationID: "r-abcdefgh", AvailabilityZone: "nova", InstanceType: "m1.tiny", ImageID: "deadbeef-1111-4222-8333-444455556666",
			Keys:     []cloud.MetaKey{{Name: "me", Type: "ssh", Data: "ssh-ed25519 AAAA me@example"}},
			Metadata: map[string]string{"role": "web"}, UserData: []byte("#!/bin/sh\necho hello\n"), SecurityGroups: []string{"default", "web"},
			RandomSeed: []byte{1, 2, 3}, Links: []cloud.MetaLink{link, fixed}, FloatingIPs: []netip.Addr{netip.MustParseAddr("203.0.113.5")},
			CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
	}
}

// passwords keeps passwords in memory.
type passwords map[string]string

func (p passwords) Password(id string) string { return p[id] }

func (p passwords) SetPassword(id, password string) error {
	if p[id] != "" {
		return cloud.E("test", cloud.Conflict, "set already")
	}
	p[id] = password
	return nil
}

const guestAddress = "10.0.0.11"

func newHandler(spec cloud.InstanceSpec) (http.Handler, *cloud.FakeClock) {
	clock := cloud.NewFakeClock()
	s := NewServer(clock, passwords{}, nil)
	return s.Handler(func(a netip.Addr) (cloud.InstanceSpec, bool) { return spec, a.String() == guestAddress }), clock
}

func do(h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	body := ""
	if method == http.MethodPost {
		body, headers = headers[0], headers[1:]
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = guestAddress + ":40000"
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestWalkOfCloudInit asks what cloud-init 22.4 was recorded to ask as its
// OpenStack source: the list twice, the newest version's files, then every key
// that the lists of /latest/meta-data name.
func TestWalkOfCloudInit(t *testing.T) {
	h, _ := newHandler(example())
	var record []string
	get := func(path string) string {
		w := do(h, http.MethodGet, path)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
		record = append(record, "== "+path+" ("+w.Header().Get("Content-Type")+")\n"+w.Body.String())
		return w.Body.String()
	}
	get("/openstack")
	get("/openstack")
	for _, file := range []string{"meta_data.json", "user_data", "vendor_data.json", "vendor_data2.json", "network_data.json"} {
		get("/openstack/2018-08-27/" + file)
	}
	var walk func(dir string)
	walk = func(dir string) {
		for _, name := range strings.Split(get(dir), "\n") {
			if index, _, key := strings.Cut(name, "="); key {
				get(dir + index + "/openssh-key")
				continue
			}
			if strings.HasSuffix(name, "/") {
				walk(dir + name)
				continue
			}
			get(dir + name)
		}
	}
	walk("/latest/meta-data/")
	golden(t, "walk.golden", strings.Join(record, "\n")+"\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestNothingListedIsMissing walks every list of a bare and of a full instance.
func TestNothingListedIsMissing(t *testing.T) {
	for name, spec := range map[string]cloud.InstanceSpec{"full": example(), "bare": {ID: "c0ffee00-1111-4222-8333-444455556666"}} {
		tree, files := Render(spec), 0
		var walk func(path string)
		walk = func(path string) {
			body, ok := tree.Lookup(path)
			if !ok {
				t.Errorf("%s: %s is listed and not there", name, path)
				return
			}
			for _, entry := range strings.Split(string(body), "\n") {
				switch {
				case strings.Contains(entry, "="):
					walk(path + "/" + entry[:1] + "/")
				case strings.HasSuffix(entry, "/"):
					walk(path + "/" + strings.TrimSuffix(entry, "/") + "/")
				default:
					files++
					if _, ok := tree.Lookup(path + "/" + entry); !ok {
						t.Errorf("%s: %s/%s is listed and not there", name, path, entry)
					}
				}
			}
		}
		walk("/latest/meta-data/")
		for _, v := range OpenStackVersions {
			walk("/openstack/" + v)
		}
		if files < 20 {
			t.Errorf("%s: only %d files", name, files)
		}
	}
}

func TestStatus(t *testing.T) {
	h, _ := newHandler(example())
	bare, _ := newHandler(cloud.InstanceSpec{ID: "c0ffee00-1111-4222-8333-444455556666"})
	for _, c := range []struct {
		handler      http.Handler
		method, path string
		want         int
	}{
		{h, "GET", "/", 200}, {h, "GET", "/latest", 200}, {h, "GET", "/latest/", 200}, {h, "HEAD", "/latest/meta-data/", 200},
		{h, "GET", "/2009-04-04/meta-data/instance-id", 200}, {h, "GET", "/2021-03-23/user-data", 200},
		{h, "GET", "/1999-01-01/meta-data/instance-id", 404}, {h, "GET", "/latest/meta-data/nothing", 404},
		{h, "GET", "/latest/dynamic/instance-identity/document", 200},
		{h, "GET", "/openstack/", 200}, {h, "GET", "/openstack/latest/", 200}, {h, "GET", "/openstack/1999-01-01", 404},
		{h, "GET", "/openstack/2012-08-10/network_data.json", 404}, {h, "GET", "/openstack/latest/meta_data.json/x", 404},
		{bare, "GET", "/latest/user-data", 404}, {bare, "GET", "/openstack/latest/user_data", 404}, {bare, "GET", "/latest/meta-data/public-keys/", 404},
		{h, "POST", "/latest/meta-data/instance-id", 405}, {h, "DELETE", "/openstack/latest/password", 405}, {h, "GET", "/latest/api/token", 405},
		{h, "GET", "/" + strings.Repeat("a", 1000), 404},
	} {
		headers := []string{}
		if c.method == http.MethodPost {
			headers = []string{""}
		}
		if got := do(c.handler, c.method, c.path, headers...).Code; got != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, got, c.want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/openstack", nil)
	r.RemoteAddr = "10.0.0.99:1"
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, r); w.Code != http.StatusNotFound {
		t.Errorf("a stranger got %d", w.Code)
	}
}

func TestTokens(t *testing.T) {
	h, clock := newHandler(example())
	const path = "/latest/meta-data/instance-id"
	for ttl, want := range map[string]int{"": 400, "0": 400, "21601": 400, "x": 400, "21600": 200, "1": 200} {
		if got := do(h, http.MethodPut, "/latest/api/token", headerTTL, ttl).Code; got != want {
			t.Errorf("ttl %q: %d, want %d", ttl, got, want)
		}
	}
	if got := do(h, http.MethodPut, "/latest/api/token", headerTTL, "60", "X-Forwarded-For", "10.0.0.1").Code; got != http.StatusForbidden {
		t.Errorf("a proxy got %d", got)
	}
	token := do(h, http.MethodPut, "/latest/api/token", headerTTL, "60").Body.String()
	check := func(token string, want int) {
		t.Helper()
		if got := do(h, http.MethodGet, path, headerToken, token).Code; got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	check(token, 200)
	check(token[:len(token)-4]+"AAA=", 401)
	check("x", 401)
	clock.Advance(61 * time.Second)
	check(token, 401)
	s := NewServer(clock, passwords{}, nil)
	if s.tokens.valid(s.tokens.make("a", clock.Now().Add(time.Minute)), "b", clock.Now()) {
		t.Error("another instance's token is taken")
	}
}

func TestPassword(t *testing.T) {
	h, _ := newHandler(example())
	const path = "/openstack/latest/password"
	if w := do(h, http.MethodGet, path); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("none yet: %d %q", w.Code, w.Body)
	}
	if got := do(h, http.MethodPost, path, strings.Repeat("x", maxPassword+1)).Code; got != 400 {
		t.Errorf("too long: %d", got)
	}
	if got := do(h, http.MethodPost, path, "c2VjcmV0").Code; got != 200 {
		t.Errorf("set: %d", got)
	}
	if got := do(h, http.MethodPost, path, "again").Code; got != 409 {
		t.Errorf("set twice: %d", got)
	}
	if w := do(h, http.MethodGet, "/openstack/2013-10-17/password"); w.Body.String() != "c2VjcmV0" {
		t.Errorf("got %q", w.Body)
	}
}

func TestConfigDriveFiles(t *testing.T) {
	spec := example()
	spec.Meta.AdminPass = "sesame"
	files := ConfigDriveFiles(spec)
	for _, path := range []string{"openstack/latest/meta_data.json", "openstack/latest/network_data.json", "openstack/latest/user_data", "openstack/2012-08-10/meta_data.json", "ec2/latest/meta-data.json", "ec2/latest/user-data"} {
		if len(files[path]) == 0 {
			t.Errorf("%s is missing", path)
		}
	}
	var meta map[string]any
	if err := json.Unmarshal(files["openstack/latest/meta_data.json"], &meta); err != nil || meta["uuid"] != spec.ID || meta["admin_pass"] != "sesame" {
		t.Errorf("meta_data.json: %v %v", meta, err)
	}
	for path := range files {
		if strings.HasSuffix(path, "/password") {
			t.Errorf("a drive has %s", path)
		}
	}
	var names []string
	for name := range meta {
		names = append(names, name)
	}
	sort.Strings(names)
	want := []string{"admin_pass", "availability_zone", "dedicated_cpus", "devices", "hostname", "keys", "launch_index", "meta", "name", "project_id", "public_keys", "random_seed", "uuid"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if w, ok := Render(spec).Lookup("/openstack/latest/meta_data.json"); !ok || strings.Contains(string(w), "sesame") {
		t.Error("the network tells the first password")
	}
	var ec2 struct {
		Keys map[string]map[string]string `json:"public-keys"`
	}
	if err := json.Unmarshal(files["ec2/latest/meta-data.json"], &ec2); err != nil || ec2.Keys["0"]["_name"] != "0=me" || ec2.Keys["0"]["openssh-key"] == "" {
		t.Errorf("public keys: %v %v", ec2, err)
	}
}

func BenchmarkRequest(b *testing.B) {
	h, _ := newHandler(example())
	for b.Loop() {
		if do(h, http.MethodGet, "/openstack/latest/meta_data.json").Code != 200 {
			b.Fatal("not found")
		}
	}
}

func FuzzLookup(f *testing.F) {
	for _, path := range []string{"/", "/openstack", "/latest/meta-data/public-keys/0/openssh-key", "//latest//", "/openstack/latest/meta_data.json", "/latest/../x", "/\x00", "openstack//latest/password", "openstack/", "//openstack///2012-08-10/"} {
		f.Add(path)
	}
	tree := Render(example())
	f.Fuzz(func(t *testing.T, path string) {
		body, ok := tree.Lookup(path)
		if !ok && body != nil {
			t.Fatal("a body of nothing")
		}
		if quick, found := find(example(), path); found != ok || string(quick) != string(body) {
			t.Fatalf("rendered whole: %t %q; in part: %t %q", ok, body, found, quick)
		}
	})
}
