package inject

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
)

// TestRenewHostKeys makes two clones of an image that has keys in it: no key is in
// both, all types are there, and the image is as it was.
func TestRenewHostKeys(t *testing.T) {
	image := guestfstest.Image(t, guestfstest.Options{Partition: true}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/ssh/sshd_config=Port 22\n", "etc/ssh/ssh_host_rsa_key=shared\n", "etc/ssh/ssh_host_rsa_key.pub=shared\n",
			"etc/ssh/ssh_host_dsa_key=shared\n", "etc/machine-id=0123\n")
	})
	ctx, run, base := context.Background(), &disk.Runner{}, disk.Layer{Path: image, Format: disk.Raw}
	if !SharesHostKeys(ctx, run, base) {
		t.Fatal("the image's keys were not seen")
	}
	seen := map[string]bool{}
	for _, name := range []string{"a", "b"} {
		over := disk.Layer{Path: filepath.Join(t.TempDir(), name), Format: disk.QCOW2}
		if err := run.CreateOverlay(ctx, over.Path, base, 64<<20); err != nil {
			t.Fatal(err)
		}
		shown, err := RenewHostKeys(ctx, run, []disk.Layer{over, base})
		if err != nil || len(shown) != 3 {
			t.Fatalf("%q, %v", shown, err)
		}
		for _, kind := range []string{"rsa", "ecdsa", "ed25519"} {
			public := guestFile(t, run, []disk.Layer{over, base}, "/etc/ssh/ssh_host_"+kind+"_key.pub")
			key, _, _, _, err := ssh.ParseAuthorizedKey(public)
			if err != nil {
				t.Fatalf("%s: %q: %v", kind, public, err)
			}
			print := ssh.FingerprintSHA256(key)
			if seen[print] || !strings.Contains(strings.Join(shown, "\n"), print) {
				t.Errorf("%s of %s: %s is in two guests, or not among %q", kind, name, print, shown)
			}
			seen[print] = true
		}
		if left := guestFile(t, run, []disk.Layer{over, base}, "/etc/ssh/ssh_host_dsa_key"); left != nil {
			t.Errorf("the old key is there: %q", left)
		}
		if id := guestFile(t, run, []disk.Layer{over, base}, "/etc/machine-id"); string(id) != "0123\n" {
			t.Errorf("machine-id is %q", id)
		}
	}
	if old := guestFile(t, run, []disk.Layer{base}, "/etc/ssh/ssh_host_rsa_key"); !bytes.Equal(old, []byte("shared\n")) {
		t.Errorf("the image's own key is %q now", old)
	}
}

// TestSharesHostKeys leaves alone what makes its own keys, and what is not understood.
func TestSharesHostKeys(t *testing.T) {
	ctx, run := context.Background(), &disk.Runner{}
	for name, files := range map[string][]string{
		"no keys":    {"etc/ssh/sshd_config="},
		"cloud-init": {"etc/ssh/ssh_host_rsa_key=x", "usr/bin/cloud-init=x"},
		"our agent":  {"etc/dropbear/dropbear_rsa_host_key=x", "usr/sbin/hearth-guest=x"},
	} {
		image := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, append(files, "etc/os-release=ID=debian\n")...) })
		if SharesHostKeys(ctx, run, disk.Layer{Path: image, Format: disk.Raw}) {
			t.Error(name)
		}
	}
	if SharesHostKeys(ctx, run, disk.Layer{Path: "/dev/null", Format: disk.Raw}) {
		t.Error("nothing at all")
	}
}

// guestFile reads a file of a guest; nil if it has none of the name.
func guestFile(t *testing.T, run *disk.Runner, chain []disk.Layer, name string) []byte {
	t.Helper()
	if len(chain) > 1 {
		flat := filepath.Join(t.TempDir(), "flat")
		if err := run.Flatten(context.Background(), chain, flat); err != nil {
			t.Fatal(err)
		}
		chain = []disk.Layer{{Path: flat, Format: disk.Raw}}
	}
	d, err := guestfs.Open(context.Background(), run, chain, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	b, err := tree.ReadFile(name, 1<<16)
	if err != nil {
		return nil
	}
	return b
}
