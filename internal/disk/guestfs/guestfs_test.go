package guestfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs/guestfstest"
)

func TestEdit(t *testing.T) {
	for _, flavour := range []string{"ext2", "ext3", "ext4"} {
		t.Run(flavour, func(t *testing.T) {
			path := guestfstest.Image(t, guestfstest.Options{Type: flavour, Partition: true}, func(dir string) {
				guestfstest.Tree(t, dir, "etc/hostname=old\n", "etc/motd=hello", "var/log/a/b/c=x", "var/log/d=y", "etc/link->../etc/motd", "etc/away->/nowhere")
				_ = unix.Setxattr(filepath.Join(dir, "etc/hostname"), "user.kept", []byte("yes"), 0)
			})
			ctx, run := context.Background(), &disk.Runner{}
			d := open(t, path, ReadWrite)
			tree, err := d.Tree()
			if err != nil {
				t.Fatal(err)
			}
			e := tree.Edit()
			e.Rewrite("/etc/hostname", []byte("new\n"), Owner{Mode: 0o644})
			e.Write("/root/.ssh/authorized_keys", []byte("ssh-ed25519 AAAA\n"), Owner{UID: 70000, GID: 7, Mode: 0o600})
			e.Write(`/opt/a "strange" name/x`, []byte("1"), Owner{Mode: 0o4755})
			e.Write("/opt/twice", []byte("1"), Owner{})
			e.Write("/opt/twice", []byte("2"), Owner{Mode: 0o600})
			e.Rewrite("/etc/link", []byte("changed"), Owner{})
			e.Symlink("/etc/away", "motd")
			e.Remove("/var/log/a")
			e.Remove("/var/nothing")
			e.Chmod("/var/log/d", 0o640)
			e.SetXattr("/var/log/d", "user.two", []byte{0, 1, 2})
			if err := e.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			guestfstest.Clean(t, path, 1<<20)
			d = open(t, path, ReadOnly)
			if tree, err = d.Tree(); err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]string{"/etc/hostname": "new\n", "/root/.ssh/authorized_keys": "ssh-ed25519 AAAA\n",
				`/opt/a "strange" name/x`: "1", "/opt/twice": "2", "/etc/motd": "changed", "/etc/away": "changed", "/var/log/d": "y"} {
				if got, err := tree.ReadFile(name, 100); string(got) != want || err != nil {
					t.Errorf("%s: %q, %v", name, got, err)
				}
			}
			if _, err := tree.Lstat("/var/log/a"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what was removed: %v", err)
			}
			if n, err := tree.Stat("/root/.ssh/authorized_keys"); err != nil || n.UID != 70000 || n.GID != 7 || n.Mode != 0o100600 {
				t.Errorf("owner %+v, %v", n, err)
			}
			if n, err := tree.Stat(`/opt/a "strange" name/x`); err != nil || n.Mode != 0o104755 {
				t.Errorf("mode %+v, %v", n, err)
			}
			n, err := tree.Stat("/etc/hostname")
			if err != nil {
				t.Fatal(err)
			}
			if x, err := tree.Xattrs(n); err != nil || string(x["user.kept"]) != "yes" {
				t.Errorf("attributes %q, %v", x, err)
			}
			_ = run
		})
	}
}

func open(t *testing.T, path string, mode Mode) *Disk {
	t.Helper()
	layer, _, err := Image(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open(context.Background(), &disk.Runner{}, []disk.Layer{layer}, mode)
	if disk.KindOf(err) == disk.Unsupported && mode != ReadOnly {
		t.Skip(err) // a user without /dev/fuse or namespaces
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestLinksStayInside: links of a guest lead into the guest, whatever they say.
func TestLinksStayInside(t *testing.T) {
	path := guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/passwd=guest", "up->../../../../etc/passwd", "abs->/etc/passwd", "a->b", "b->a", "dir->/etc")
	})
	d := open(t, path, ReadOnly)
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/up", "/abs", "/dir/passwd", "/dir/../etc/passwd", "/../../etc/passwd"} {
		if got, err := tree.ReadFile(name, 100); string(got) != "guest" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := tree.Stat("/a"); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("a circle of links: %v", err)
	}
	if err := tree.Edit().Commit(context.Background()); err == nil {
		t.Error("a disk that was opened ReadOnly can be changed")
	}
}

// TestFormats reads one tree through each way into an image.
func TestFormats(t *testing.T) {
	raw := guestfstest.Image(t, guestfstest.Options{Partition: true}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=test\n", "big="+strings.Repeat("hearth", 50000))
	})
	for _, args := range [][]string{{"qcow2"}, {"qcow2", "-c"}, {"qcow2", "-c", "-o", "compression_type=zstd"}, {"qcow2", "-o", "compat=0.10"}, {"vmdk"}, {"vdi"}, {"vpc"}, {"vhdx"}, {"raw"}} {
		t.Run(strings.Join(args, ""), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "disk")
			if out, err := exec.Command("qemu-img", append(append([]string{"convert", "-f", "raw", "-O"}, args...), raw, path)...).CombinedOutput(); err != nil {
				t.Skipf("%v: %s", err, out)
			}
			d := open(t, path, ReadOnly)
			tree, err := d.Tree()
			if err != nil {
				t.Fatal(err)
			}
			got, err := tree.ReadFile("/big", 1<<20)
			if err != nil || string(got) != strings.Repeat("hearth", 50000) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if d.Scheme != disk.SchemeMBR || d.Volumes[0].Content != "ext4" || d.Volumes[0].Partition != 1 {
				t.Errorf("%+v", d)
			}
		})
	}
}

func TestScratchLeavesTheImage(t *testing.T) {
	path := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, "etc/hostname=old") })
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := open(t, path, Scratch)
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	e := tree.Edit()
	e.Rewrite("/etc/hostname", []byte("new"), Owner{})
	if err := e.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got, _ := tree.ReadFile("/etc/hostname", 10); string(got) != "new" {
		t.Errorf("hostname %q", got)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the image was changed")
	}
}

func TestGlobAndWalk(t *testing.T) {
	path := guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/ssh/ssh_host_rsa_key=1", "etc/ssh/ssh_host_ed25519_key=1", "etc/ssh/sshd_config=1", "home/a/.x=1", "home/b/.x=1")
	})
	tree, err := open(t, path, ReadOnly).Tree()
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]int{"/etc/ssh/ssh_host_*": 2, "/home/*/.x": 2, "/etc/ssh/sshd_config": 1, "/nothing/*": 0} {
		if got, err := tree.Glob(pattern); len(got) != want || err != nil {
			t.Errorf("%s: %v, %v", pattern, got, err)
		}
	}
	var names []string
	err = tree.Walk("/home", func(n *Node) error {
		names = append(names, n.Path)
		if n.Path == "/home/a" {
			return fs.SkipDir
		}
		return nil
	})
	slices.Sort(names)
	if want := []string{"/home", "/home/a", "/home/b", "/home/b/.x"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("walked %v, %v", names, err)
	}
}

// TestUnpacked changes a qcow2 the way of users who may not use FUSE.
func TestUnpacked(t *testing.T) {
	raw := guestfstest.Image(t, guestfstest.Options{Partition: true}, func(dir string) { guestfstest.Tree(t, dir, "etc/hostname=old") })
	ctx, run := context.Background(), &disk.Runner{}
	for _, target := range []disk.Target{{Format: disk.QCOW2}, {Format: disk.QCOW2, Compress: true}, {Format: disk.QCOW2, Compress: true, Method: "zlib"}} {
		dir := t.TempDir()
		target.Path = filepath.Join(dir, "disk.qcow2")
		if err := run.Convert(ctx, disk.Layer{Path: raw, Format: disk.Raw}, target, nil); err != nil {
			t.Skip(err)
		}
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(target.Path, link); err != nil {
			t.Fatal(err)
		}
		d := &Disk{run: run, mode: ReadWrite}
		if err := errors.Join(d.openUnpacked(ctx, disk.Layer{Path: link, Format: disk.QCOW2}), d.scan()); err != nil {
			t.Fatal(err)
		}
		tree, err := d.Tree()
		if err != nil {
			t.Fatal(err)
		}
		e := tree.Edit()
		e.Rewrite("/etc/hostname", []byte("new"), Owner{})
		if err := errors.Join(e.Commit(ctx), d.Close()); err != nil {
			t.Fatal(err)
		}
		again := open(t, target.Path, ReadOnly)
		if tree, err = again.Tree(); err != nil {
			t.Fatal(err)
		}
		if got, err := tree.ReadFile("/etc/hostname", 10); string(got) != "new" || err != nil {
			t.Errorf("%+v: %q, %v", target, got, err)
		}
		method, packed := again.r.(*disk.QCOW2Reader).Packed()
		if packed != target.Compress || packed && method != "zstd" && target.Method == "" || packed && target.Method != "" && method != target.Method {
			t.Errorf("%+v became %s, %v", target, method, packed)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("left behind: %v", left)
		}
		if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
			t.Errorf("the link to the image is none any more: %v, %v", st, err)
		}
		if out, err := exec.Command("qemu-img", "snapshot", "-c", "before", target.Path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if err := (&Disk{run: run, mode: ReadWrite}).openUnpacked(ctx, disk.Layer{Path: target.Path, Format: disk.QCOW2}); disk.KindOf(err) != disk.Unsupported || !strings.Contains(err.Error(), "snapshots (1)") {
			t.Errorf("one with a snapshot: %v", err)
		}
	}
}

// TestJournal: a disk of a guest that was cut off has its last writes in the
// journal. They are not seen ReadOnly, and are after a replay, on a bare disk and
// in a partition alike.
func TestJournal(t *testing.T) {
	for _, partition := range []bool{false, true} {
		bare := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, "data="+strings.Repeat("o", 4096)) })
		guestfstest.Journal(t, bare, "/data", []byte(strings.Repeat("n", 4096)))
		path := bare
		if partition {
			b, err := os.ReadFile(bare)
			if err != nil {
				t.Fatal(err)
			}
			path = guestfstest.Image(t, guestfstest.Options{Partition: true}, func(string) {})
			guestfstest.Overwrite(t, path, 1<<20, b)
		}
		for mode, want := range map[Mode]string{ReadOnly: "o", Scratch: "n"} {
			d := open(t, path, mode)
			tree, err := d.Tree()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := tree.ReadFile("/data", 5000); err != nil || string(got[:100]) != strings.Repeat(want, 100) { // a block may be smaller than the file
				t.Errorf("partition %v, mode %d: %.10q, %v", partition, mode, got, err)
			}
			if noted := d.Volumes[0].Note != ""; noted != (mode == ReadOnly) || d.Repaired() == noted {
				t.Errorf("partition %v, mode %d: note %q", partition, mode, d.Volumes[0].Note)
			}
		}
	}
}
