package inject

import (
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// golden is what cloud_init.rb of ganeti-instance-image makes of its own test's
// parameters (test/scripts/cloudinit.sh), with a key.
const golden = `---
hostname: foo
fqdn: foo.bar.example.org
instance-id: foo.bar.example.org
disable_root: 1
ssh_pwauth: 0
manage-resolv-conf: true
manage_resolv_conf: true
cloud_init_modules: [migrator, bootcmd, write-files, growpart, resizefs, set_hostname, update_hostname, update_etc_hosts, resolv_conf, rsyslog, users-groups, ssh]
users:
- name: foobar
  primary-group: foobar
  groups: [wheel, adm, systemd-journal]
  sudo:
  - ALL=(ALL) NOPASSWD:ALL
  shell: "/bin/bash"
  lock_passwd: true
  ssh-authorized-keys:
  - ssh-ed25519 AAAA me
groups:
- foobar
resolv_conf:
  nameservers: [192.168.1.1, 192.168.1.2]
  searchdomains: [example.org, example.bak]
  domain: bar.example.org
  options:
    rotate: true
    timeout: 1
`

func TestCloudConfig(t *testing.T) {
	env := map[string]string{"INSTANCE_NAME": "foo.bar.example.org", "CINIT_USER": "foobar", "CINIT_SSH_KEY": "ssh-ed25519 AAAA me", "CINIT_MANAGE_RESOLV_CONF": "yes",
		"DNS_SERVERS": "192.168.1.1 192.168.1.2", "DNS_SEARCH": "example.org example.bak", "CINIT_DISABLE_ROOT": "yes", "CINIT_SSH_PWAUTH": "no"}
	read := func(b []byte) (v map[string]any) {
		if err := yaml.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	made, err := CloudConfig(func(name string) string { return env[name] })
	if err != nil || !strings.HasPrefix(string(made), "#cloud-config\n") {
		t.Fatalf("%s, %v", made, err)
	}
	if got, want := read(made), read([]byte(golden)); !reflect.DeepEqual(got, want) {
		t.Errorf("%s", made)
	}
	made, err = CloudConfig(func(name string) string {
		return map[string]string{"INSTANCE_NAME": "foo", "CINIT_MANAGE_RESOLV_CONF": "yes", "DNS_SERVERS": "192.0.2.1"}[name]
	})
	got := read(made)
	if err != nil || got["users"] != nil || got["disable_root"] != 0 || !reflect.DeepEqual(got["resolv_conf"].(map[string]any)["searchdomains"], []any{}) {
		t.Errorf("with little given: %s, %v", made, err)
	}
}
