package inject

import (
	"bytes"
	"context"
	"os"
	"os/exec"
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

// oldDisk is a disk with keys that others may have, too, and nothing that makes others.
func oldDisk(t *testing.T) disk.Layer {
	t.Helper()
	path := guestfstest.Image(t, guestfstest.Options{Partition: true}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/ssh/sshd_config=HostKey /etc/ssh/ssh_host_ed25519_key\n", "etc/ssh/ssh_host_ed25519_key=shared\n", "etc/ssh/ssh_host_rsa_key=shared\n")
	})
	return disk.Layer{Path: path, Format: disk.Raw}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDraftHostKeys changes disks of each kind that volumes have: nothing before the
// log is carried out, and after that the new key alone, however often it is done.
func TestDraftHostKeys(t *testing.T) {
	ctx, run := context.Background(), &disk.Runner{}
	const size = 17 << 20
	for name, prepare := range map[string]func(t *testing.T, base disk.Layer) []disk.Layer{
		"raw": func(_ *testing.T, base disk.Layer) []disk.Layer { return []disk.Layer{base} },
		"qcow2": func(t *testing.T, base disk.Layer) []disk.Layer {
			packed := disk.Layer{Path: filepath.Join(t.TempDir(), "qcow2"), Format: disk.QCOW2}
			if err := run.Convert(ctx, base, disk.Target{Path: packed.Path, Format: disk.QCOW2}, nil); err != nil {
				t.Fatal(err)
			}
			return []disk.Layer{packed}
		},
		"overlay": func(t *testing.T, base disk.Layer) []disk.Layer {
			over := disk.Layer{Path: filepath.Join(t.TempDir(), "over"), Format: disk.QCOW2}
			if err := run.CreateOverlay(ctx, over.Path, base, size); err != nil {
				t.Fatal(err)
			}
			return []disk.Layer{over, base}
		},
		"device": func(t *testing.T, base disk.Layer) []disk.Layer {
			return []disk.Layer{{Path: loop(t, base.Path), Format: disk.Raw}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			base, log := oldDisk(t), filepath.Join(t.TempDir(), "log")
			chain := prepare(t, base)
			before := content(t, chain[0].Path)
			shown, err := DraftHostKeys(ctx, run, chain, size, log)
			if err != nil || len(shown) != 1 {
				t.Fatalf("%q, %v", shown, err)
			}
			if name != "overlay" && !bytes.Equal(before, content(t, chain[0].Path)) { // whose own header may tell that it was open
				t.Error("the disk was changed by the draft")
			}
			if old := guestFile(t, run, chain, "/etc/ssh/ssh_host_ed25519_key"); string(old) != "shared\n" {
				t.Errorf("the key is %q before the log is carried out", old)
			}
			gone, cancel := context.WithCancel(ctx)
			cancel()
			if err := run.Redo(gone, chain, log); err == nil {
				t.Error("a redo that was given up is no error")
			}
			var first []byte
			for range 2 {
				if err := run.Redo(ctx, chain, log); err != nil {
					t.Fatal(err)
				}
				public := guestFile(t, run, chain, "/etc/ssh/ssh_host_ed25519_key.pub")
				key, _, _, _, err := ssh.ParseAuthorizedKey(public)
				if err != nil || !strings.Contains(shown[0], ssh.FingerprintSHA256(key)) || first != nil && !bytes.Equal(first, public) {
					t.Errorf("%q is not of %q: %v", public, shown, err)
				}
				first = public
			}
			if left := guestFile(t, run, chain, "/etc/ssh/ssh_host_rsa_key"); left != nil {
				t.Errorf("an old key is there: %q", left)
			}
			flat := chain[0].Path
			if chain[0].Format == disk.QCOW2 {
				flat = filepath.Join(t.TempDir(), "flat")
				if err := run.Flatten(ctx, chain, flat); err != nil {
					t.Fatal(err)
				}
			}
			guestfstest.Clean(t, flat, 1<<20)
		})
	}
}

// TestRedoAfterAPart carries a log out behind one that was cut off anywhere.
func TestRedoAfterAPart(t *testing.T) {
	ctx, run := context.Background(), &disk.Runner{}
	base, log := oldDisk(t), filepath.Join(t.TempDir(), "log")
	old := content(t, base.Path)
	if _, err := DraftHostKeys(ctx, run, []disk.Layer{base}, int64(len(old)), log); err != nil {
		t.Fatal(err)
	}
	if err := run.Redo(ctx, []disk.Layer{base}, log); err != nil {
		t.Fatal(err)
	}
	want := content(t, base.Path)
	for cut := 0; cut <= len(old); cut += 512 * 1024 {
		part := append(bytes.Clone(want[:cut]), old[cut:]...)
		if err := os.WriteFile(base.Path, part, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := run.Redo(ctx, []disk.Layer{base}, log); err != nil || !bytes.Equal(want, content(t, base.Path)) {
			t.Fatalf("after %d bytes: %v", cut, err)
		}
	}
}

// loop makes a block device of a file, where root may.
func loop(t *testing.T, path string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root makes block devices")
	}
	out, err := exec.Command("losetup", "--find", "--show", path).Output()
	if err != nil {
		t.Skipf("no loop device can be had: %v", err)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", dev).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return dev
}

// TestDraftsNone leaves no log where there is nothing to do, and says why where nothing
// can be done.
func TestDraftsNone(t *testing.T) {
	ctx, run := context.Background(), &disk.Runner{}
	for name, files := range map[string][]string{
		"no keys":    {"etc/ssh/sshd_config="},
		"cloud-init": {"etc/ssh/ssh_host_rsa_key=x", "usr/bin/cloud-init=x"},
		"our agent":  {"etc/dropbear/dropbear_rsa_host_key=x", "usr/sbin/hearth-guest=x"},
	} {
		image := disk.Layer{Path: guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, append(files, "etc/os-release=ID=debian\n")...) }), Format: disk.Raw}
		over := disk.Layer{Path: filepath.Join(t.TempDir(), "over"), Format: disk.QCOW2}
		if err := run.CreateOverlay(ctx, over.Path, image, 16<<20); err != nil {
			t.Fatal(err)
		}
		for _, chain := range [][]disk.Layer{{image}, {over, image}} {
			log := filepath.Join(t.TempDir(), "log")
			shown, err := DraftHostKeys(ctx, run, chain, 16<<20, log)
			if _, serr := os.Stat(log); len(shown) > 0 || err != nil || serr == nil {
				t.Errorf("%s, %d layers: %q, %v; the log: %v", name, len(chain), shown, err, serr)
			}
		}
	}
	blank := filepath.Join(t.TempDir(), "blank")
	if err := os.WriteFile(blank, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := DraftHostKeys(ctx, run, []disk.Layer{{Path: blank, Format: disk.Raw}}, 1<<20, blank+".log"); disk.KindOf(err) != disk.Unsupported {
		t.Errorf("an empty disk: %v", err)
	}
}

// TestDraftOfAnUncleanDisk brings the file system in order, in the log, before it changes
// the keys: what the journal holds must not undo that. The log is small all the same.
func TestDraftOfAnUncleanDisk(t *testing.T) {
	ctx, run := context.Background(), &disk.Runner{}
	bare := guestfstest.Image(t, guestfstest.Options{Size: 64 << 20}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/ssh/sshd_config=HostKey /etc/ssh/ssh_host_ed25519_key\n", "etc/ssh/ssh_host_ed25519_key="+strings.Repeat("o", 4096), "srv/data="+strings.Repeat("data", 8<<20))
	})
	guestfstest.Journal(t, bare, "/etc/ssh/ssh_host_ed25519_key", []byte(strings.Repeat("n", 4096)))
	parted := guestfstest.Image(t, guestfstest.Options{Size: 64 << 20, Partition: true}, func(string) {})
	guestfstest.Overwrite(t, parted, 1<<20, content(t, bare))
	over := disk.Layer{Path: filepath.Join(t.TempDir(), "over"), Format: disk.QCOW2}
	if err := run.CreateOverlay(ctx, over.Path, disk.Layer{Path: parted, Format: disk.Raw}, 65<<20); err != nil {
		t.Fatal(err)
	}
	uncleanDraft(t, run, "bare", []disk.Layer{{Path: bare, Format: disk.Raw}}, 64<<20)
	uncleanDraft(t, run, "overlay", []disk.Layer{over, {Path: parted, Format: disk.Raw}}, 65<<20)
	uncleanDraft(t, run, "partition", []disk.Layer{{Path: parted, Format: disk.Raw}}, 65<<20) // last: it was beneath the overlay
	guestfstest.Clean(t, bare, 0)
	guestfstest.Clean(t, parted, 1<<20)
}

func uncleanDraft(t *testing.T, run *disk.Runner, name string, chain []disk.Layer, size int64) {
	t.Helper()
	ctx, log := context.Background(), filepath.Join(t.TempDir(), "log")
	shown, err := DraftHostKeys(ctx, run, chain, size, log)
	if err != nil || len(shown) != 1 {
		t.Fatalf("%s: %q, %v", name, shown, err)
	}
	if n := len(content(t, log)); n > 8<<20 {
		t.Errorf("%s: the log has %d bytes", name, n)
	}
	if err := run.Redo(ctx, chain, log); err != nil {
		t.Fatal(name, err)
	}
	public := guestFile(t, run, chain, "/etc/ssh/ssh_host_ed25519_key.pub")
	if key, _, _, _, err := ssh.ParseAuthorizedKey(public); err != nil || !strings.Contains(shown[0], ssh.FingerprintSHA256(key)) {
		t.Errorf("%s: %q is not of %q: %v", name, public, shown, err)
	}
}
