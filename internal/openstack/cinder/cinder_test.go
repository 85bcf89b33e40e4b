package cinder

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/volume"
	"hearth/internal/store"
)

const project = "0123456789abcdef0123456789abcdef"

func newClient(t *testing.T) (*wiretest.Client, *store.Store) {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	svc := volume.New(st, cloud.NewFakeClock(), nil, volume.Options{})
	if err := svc.Bootstrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	return wiretest.New(t, New(svc)).As(wiretest.Member(project)), st
}

const base = "/volume/v3/" + project

func TestVersions(t *testing.T) {
	c, _ := newClient(t)
	for path, status := range map[string]int{"/volume": 300, "/volume/": 300, "/volume/v3": 200, "/volume/v3/": 200} {
		r := c.Do("GET", path, nil)
		if r.Status != status || !strings.Contains(string(r.Body), `"version":"3.70"`) {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
	}
}

// TestMultiattachFlag holds the flag against the microversions: cinder has it
// deprecated, and from 3.50 on it is the volume type that says so.
func TestMultiattachFlag(t *testing.T) {
	c, _ := newClient(t)
	body := wire.M{"volume": wire.M{"size": 1, "multiattach": true}}
	if r := c.Do("POST", base+"/volumes", body); r.Status != 202 || !strings.Contains(string(r.Body), `"multiattach":true`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	c.With("OpenStack-API-Version", "volume 3.50").Do("POST", base+"/volumes", body).Want(t, 400)
}

func TestStatusesOfRequests(t *testing.T) {
	c, _ := newClient(t)
	vol := func(m wire.M) wire.M { return wire.M{"volume": m} }
	for _, r := range []struct {
		method, path string
		body         any
		want         int
	}{
		{"POST", base + "/volumes", vol(wire.M{"size": 1, "name": "v"}), 202},
		{"POST", "/volume/v3/volumes", vol(wire.M{"size": "1"}), 202},
		{"POST", base + "/volumes", vol(wire.M{"size": "#$%"}), 400},
		{"POST", base + "/volumes", vol(wire.M{"size": 0}), 400},
		{"POST", base + "/volumes", vol(wire.M{"size": ""}), 400},
		{"POST", base + "/volumes", vol(wire.M{}), 400},
		{"POST", base + "/volumes", vol(wire.M{"size": 1, "name": strings.Repeat("x", 256)}), 400},
		{"POST", base + "/volumes", vol(wire.M{"size": 1, "source_volid": cloud.NewID()}), 404},
		{"POST", base + "/volumes", vol(wire.M{"size": 5000}), 413},
		{"POST", base + "/volumes", "{", 400},
		{"GET", base + "/volumes/", nil, 404},
		{"DELETE", base + "/volumes/", nil, 404},
		{"GET", base + "/volumes/" + cloud.NewID(), nil, 404},
		{"GET", base + "/volumes?limit=x", nil, 400},
		{"GET", base + "/volumes/detail?metadata=%7B%27a%27%3A%20%27b%27%7D", nil, 200},
		{"GET", "/volume/v3/another/volumes", nil, 400},
		{"POST", base + "/types", wire.M{"volume_type": wire.M{"name": "t"}}, 403},
		{"GET", base + "/types/default", nil, 200},
		{"GET", base + "/scheduler-stats/get_pools", nil, 403},
		{"GET", base + "/limits", nil, 200},
		{"GET", base + "/backups", nil, 200},
		{"GET", base + "/messages", nil, 404}, // from 3.3 on
		{"POST", base + "/snapshots", wire.M{"snapshot": wire.M{}}, 400},
		{"POST", base + "/snapshots", wire.M{"snapshot": wire.M{"volume_id": nil}}, 404},
	} {
		if got := c.Do(r.method, r.path, r.body); got.Status != r.want {
			t.Errorf("%s %s %v: %d %s, want %d", r.method, r.path, r.body, got.Status, got.Body, r.want)
		}
	}
	if got := c.With("OpenStack-API-Version", "volume 3.3").Do("GET", base+"/messages", nil); got.Status != 200 {
		t.Errorf("messages in 3.3: %d %s", got.Status, got.Body)
	}
	if got := c.With("OpenStack-API-Version", "volume 3.71").Do("GET", base+"/volumes", nil); got.Status != 406 {
		t.Errorf("3.71: %d", got.Status)
	}
}

// TestMicroversionsAddMembers holds what a volume has against its microversion.
func TestMicroversionsAddMembers(t *testing.T) {
	c, _ := newClient(t)
	c.Do("POST", base+"/volumes", wire.M{"volume": wire.M{"size": 1, "name": "v"}})
	for version, member := range map[string]string{"3.13": "group_id", "3.48": "service_uuid", "3.63": "volume_type_id", "3.65": "consumes_quota"} {
		with := string(c.With("OpenStack-API-Version", "volume "+version).Do("GET", base+"/volumes/detail", nil).Body)
		without := string(c.With("OpenStack-API-Version", "volume 3.12").Do("GET", base+"/volumes/detail", nil).Body)
		if !strings.Contains(with, `"`+member+`"`) || strings.Contains(without, `"`+member+`"`) {
			t.Errorf("%s is not of %s: %s\n%s", member, version, with, without)
		}
	}
	if got := string(c.Do("GET", base+"/volumes/detail", nil).Body); strings.Contains(got, "os-vol-host-attr") {
		t.Errorf("a member sees the host: %s", got)
	}
}

func TestParseDict(t *testing.T) {
	for in, want := range map[string]string{
		`{'a': 'b'}`: "b", `{"a": "b"}`: "b", `{u'a': u'b'}`: "b", `{'a': 'it\'s'}`: "it's", `{'a': "it's"}`: "it's", `{'a': 'say "x"'}`: `say "x"`,
	} {
		if m, err := parseDict(in); err != nil || m["a"] != want {
			t.Errorf("%s: %v, %v", in, m, err)
		}
	}
	for _, in := range []string{"", "{", "{'a'", "[1]", "{'a': 1}"} {
		if m, err := parseDict(in); err == nil {
			t.Errorf("%s: %v", in, m)
		}
	}
}

func FuzzParseDict(f *testing.F) {
	f.Add(`{'a': 'b'}`)
	f.Add(`{u'a\'': "b"}`)
	f.Fuzz(func(t *testing.T, in string) {
		if m, err := parseDict(in); err != nil && len(m) > 0 {
			t.Error("an error and a result")
		}
	})
}
