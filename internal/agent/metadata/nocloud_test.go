package metadata

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNoCloud asks for the seed as cloud-init does, which gives it up when any of
// its files is missing.
func TestNoCloud(t *testing.T) {
	h, _ := newHandler(example())
	get := func(name string) string {
		w := do(h, http.MethodGet, "/nocloud/"+name)
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d", name, w.Code)
		}
		return w.Body.String()
	}
	var meta, want map[string]any
	if err := json.Unmarshal([]byte(get("meta-data")), &meta); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal([]byte(`{"instance-id": "c0ffee00-1111-4222-8333-444455556666", "local-hostname": "my-vm", "availability-zone": "nova",
		"meta": {"role": "web"}, "public-keys": {"me": "ssh-ed25519 AAAA me@example"}}`), &want)
	if diff := cmp.Diff(want, meta); diff != "" {
		t.Errorf("meta-data (-want +got):\n%s", diff)
	}
	if got := get("user-data"); got != "#!/bin/sh\necho hello\n" {
		t.Errorf("user-data %q", got)
	}
	if got := get("vendor-data"); got != "" {
		t.Errorf("vendor-data %q", got)
	}
	var network, cards map[string]any
	if err := json.Unmarshal([]byte(get("network-config")), &network); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal([]byte(`{"version": 2, "ethernets": {
		"nic0": {"match": {"macaddress": "fa:16:3e:00:00:0b"}, "mtu": 1450, "dhcp4": true, "accept-ra": true},
		"nic1": {"match": {"macaddress": "fa:16:3e:00:00:0c"}, "mtu": 1500, "addresses": ["192.0.2.7/25"],
			"routes": [{"to": "198.51.100.0/24", "via": "192.0.2.1"}], "nameservers": {"addresses": ["192.0.2.53"]}}}}`), &cards)
	if diff := cmp.Diff(cards, network); diff != "" {
		t.Errorf("network-config (-want +got):\n%s", diff)
	}
	bare := example()
	bare.Meta.UserData, bare.Meta.Keys, bare.Meta.Links = nil, nil, nil
	h, _ = newHandler(bare)
	if get("user-data") != "" || strings.Contains(get("meta-data"), "keys") || strings.Contains(get("network-config"), "nic") {
		t.Error("a bare instance has something to tell")
	}
	for _, path := range []string{"/nocloud", "/nocloud/", "/nocloud/password", "/nocloud/meta-data/x"} {
		if w := do(h, http.MethodGet, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
