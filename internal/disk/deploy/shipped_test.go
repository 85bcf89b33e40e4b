package deploy

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/osdef"
)

// site is a folder of hooks such as ganeti-instance-image has, with their common.sh.
func site(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hooks")
	if err := os.CopyFS(dir, os.DirFS("testdata/hooks")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// only has the named features off, and all others on.
func only(t *testing.T, settings string, off ...string) *osdef.Definition {
	d := quick(t, settings)
	for _, name := range off {
		d.Features[name] = false
	}
	return d
}

// TestHooksOfGaneti has hooks like ganeti-instance-image's run in place of the features
// that are off: where their common.sh is, with all that it asks of Ganeti.
func TestHooksOfGaneti(t *testing.T) {
	dir, over := site(t), t.TempDir()
	guestfstest.Tree(t, over, "site/etc/motd=of the site\n")
	image := debian(t, member{name: "./etc/cloud", dir: true, mode: 0o755}, member{name: "./etc/cloud/cloud.cfg.d", dir: true, mode: 0o755})
	settings := "SWAP=no\nCINIT_USER=ann\nOVERLAY=site\nOVERLAYS_DIR=" + over + "\nCUSTOMIZE_DIR=" + dir
	var log bytes.Buffer
	target := filepath.Join(t.TempDir(), "disk")
	opt := Options{Definition: only(t, settings, "interfaces", "overlays", "cloud-init"), Image: image, Target: target, Size: 128 << 20, Name: "web1.example.org", Log: &log,
		Environ: []string{"OS_API_VERSION=20", "NIC_COUNT=2", "NIC_0_MAC=aa:00:11:22:33:44", "NIC_1_MAC=aa:00:11:22:33:45"}}
	r := deployTo(t, opt)
	if !slices.Equal(r.Hooks, []string{"cloud-init", "interfaces", "overlays", "ssh", "zz_ddns"}) || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "feature grub does its work") {
		t.Errorf("%v, %q", r.Hooks, r.Warnings)
	}
	if !strings.Contains(log.String(), "host keys are taken out\n") {
		t.Errorf("what a hook says is not told: %q", log.String())
	}
	tree := open(t, target)
	for name, want := range map[string]string{"/etc/network/interfaces": "iface eth0 inet dhcp # aa:00:11:22:33:44\niface eth1 inet dhcp # aa:00:11:22:33:45\n", "/etc/motd": "of the site\n",
		"/etc/cloud/cloud.cfg.d/99_ganeti.cfg": "user: ann\n", "/etc/dhclient.conf": "send host-name web1;\n"} {
		if got := text(t, tree, name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if _, err := tree.Stat("/etc/ssh/ssh_host_ed25519_key"); !guestfs.Missing(err) {
		t.Errorf("the host key of the image: %v", err)
	}

	opt.Definition.Features["grub"], opt.Target = false, target+"2"
	_, err := (&Deployer{Run: &disk.Runner{}}).Deploy(context.Background(), opt)
	if err == nil || !strings.Contains(err.Error(), "hook grub failed with exit status 1") || !strings.Contains(err.Error(), "mknod") {
		t.Errorf("it made a device in the sandbox: %v", err)
	}
	if _, err := os.Stat(opt.Target); err == nil {
		t.Error("a failed hook left a disk")
	}
}

// TestHooksWithoutCommon has those hooks named and left out where their common.sh is
// not beside them, and where the features are on.
func TestHooksWithoutCommon(t *testing.T) {
	dir := site(t)
	if err := os.Remove(filepath.Join(dir, "common.sh")); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "disk")
	r := deployTo(t, Options{Definition: only(t, "SWAP=no\nCUSTOMIZE_DIR="+dir, "overlays"), Image: debian(t), Target: target, Size: 128 << 20, Name: "web1"})
	all := strings.Join(r.Warnings, "\n")
	for _, want := range []string{"hook ssh is the one that ganeti-instance-image ships, and is not run: its common.sh is not in " + dir, "hook overlays is the one that ganeti-instance-image ships, and is not run: its common.sh",
		"hook zz_ddns is", "feature grub does its work", "feature interfaces does", "feature cloud-init does", "hook cloud_init.rb is not run: its name"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q lacks in\n%s", want, all)
		}
	}
	if len(r.Hooks) > 0 || len(r.Warnings) != 7 {
		t.Errorf("%q, %d warnings", r.Hooks, len(r.Warnings))
	}
}
