package metadata

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
)

// TestCloudInit has cloud-init itself, as Debian has it, read the config drive of a
// server whose definition sets an account, and looks at what it made of this machine's
// files, in namespaces.
func TestCloudInit(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("fetches Debian's cloud-init and needs root: set HEARTH_E2E=1")
	}
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		return string(out)
	}
	run("bash", "-euc", "apt-get -o APT::Sandbox::User=root -qq download cloud-init python3-configobj python3-serial python3-jinja2 python3-markupsafe python3-jsonpatch python3-json-pointer python3-jsonschema python3-pyrsistent python3-attr python3-netifaces python3-oauthlib; for d in *.deb; do dpkg -x $d files; done; mkdir drive over")
	spec := cloud.InstanceSpec{ID: "i", Hostname: "web1.example.org", MemoryMB: 512, Meta: cloud.InstanceMeta{UserData: []byte("#cloud-config\npackage_update: false\n"), Keys: []cloud.MetaKey{{Name: "me", Type: "ssh", Data: "ssh-ed25519 BBBB me"}}}, Deploy: &cloud.DeploySpec{
		Name: "web", Version: 1, Body: `{"name":"web","settings":{"CINIT_USER":"ops","CINIT_SSH_KEY":"ssh-ed25519 AAAA ops","CINIT_DISABLE_ROOT":"yes","CINIT_MANAGE_RESOLV_CONF":"yes","DNS_SERVERS":"192.0.2.1"}}`,
	}, Volumes: []cloud.InstanceVolume{{VolumeID: "v", Label: "data", Mount: "/srv"}}}
	for name, body := range ConfigDriveFiles(spec) {
		name = filepath.Join(dir, "drive", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script, err := filepath.Abs("testdata/cloudinit.sh")
	if err != nil {
		t.Fatal(err)
	}
	out := run("unshare", "-m", "-u", "-n", "-p", "-f", "--kill-child", "bash", script, filepath.Join(dir, "files"), filepath.Join(dir, "drive"), filepath.Join(dir, "over"))
	for _, want := range []string{"DataSourceConfigDrive", "Valid cloud-config: /run/vendor.yaml", "== /etc/hostname\nweb1\n", "LABEL=data\t/srv\tauto\tdefaults,nofail", "ops ALL=(ALL) NOPASSWD:ALL", "(adm)", "(systemd-journal)", "(wheel)",
		"::/home/ops:/bin/bash", "ops L ", "\nssh-ed25519 AAAA ops\n", "PasswordAuthentication no", "Please login as the user"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q lacks", want)
		}
	}
	for _, bad := range []string{"FAILED", "WARNING", "Traceback", "Invalid cloud-config"} {
		if strings.Contains(out, bad) {
			t.Errorf("it says %q", bad)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}
