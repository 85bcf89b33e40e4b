package metadata

import (
	"encoding/json"
	"reflect"
	"testing"

	"go.yaml.in/yaml/v3"

	"hearth/internal/cloud"
)

// TestVendorData has the parameters of ganeti-instance-image's cloud-init hook in a
// server's vendor data, and means what that hook's file means.
func TestVendorData(t *testing.T) {
	by := func(body string, over map[string]string) cloud.InstanceSpec {
		return cloud.InstanceSpec{ID: "i", Hostname: "web1.example.org", MemoryMB: 512, Deploy: &cloud.DeploySpec{Name: "web", Version: 1, Body: body, Over: over}}
	}
	const body = `{"name":"web","settings":{"CINIT_USER":"ops","CINIT_MANAGE_RESOLV_CONF":"yes","DNS_SERVERS":"192.0.2.1 192.0.2.2"}}`
	spec := by(body, map[string]string{"CINIT_SSH_KEY": "ssh-ed25519 AAAA", "CINIT_DISABLE_ROOT": "yes"})
	spec.Volumes = []cloud.InstanceVolume{{VolumeID: "v", Label: "data", Mount: "/srv"}}
	var data struct {
		CloudInit string `json:"cloud-init"`
	}
	if err := json.Unmarshal(vendorData(spec), &data); err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := yaml.Unmarshal([]byte(data.CloudInit), &got); err != nil || data.CloudInit[:14] != "#cloud-config\n" {
		t.Fatal(err, data.CloudInit)
	}
	const golden = `
hostname: web1
fqdn: web1.example.org
disable_root: true
ssh_pwauth: false
manage-resolv-conf: true
manage_resolv_conf: true
resolv_conf: {nameservers: [192.0.2.1, 192.0.2.2], searchdomains: [], domain: example.org, options: {rotate: true, timeout: 1}}
groups: [ops]
users:
- {name: ops, primary_group: ops, groups: [wheel, adm, systemd-journal], sudo: "ALL=(ALL) NOPASSWD:ALL", shell: /bin/bash, lock_passwd: true, ssh_authorized_keys: [ssh-ed25519 AAAA]}
mounts:
- [LABEL=data, /srv, auto, "defaults,nofail,x-systemd.device-timeout=10s", "0", "2"]
`
	if err := yaml.Unmarshal([]byte(golden), &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	for _, spec := range []cloud.InstanceSpec{{ID: "i"}, by(`{"name":"web"}`, nil), by(body, map[string]string{"CINIT_USER": "", "CINIT_MANAGE_RESOLV_CONF": ""}), by(`{"name":"web","settings":{"CINIT_USER":"ops"},"features":{"cloud-init":false}}`, nil)} {
		if got := string(vendorData(spec)); got != "{}" {
			t.Errorf("%+v: %s", spec.Deploy, got)
		}
	}
}
