package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs/guestfstest"
)

func image(t *testing.T) *Image {
	t.Helper()
	path := guestfstest.Image(t, guestfstest.Options{Partition: true}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/hostname=hearth\n", "etc/os-release=ID=debian\n", "link->etc/hostname", "big="+strings.Repeat("0123456789", 50000))
		if err := os.Chmod(filepath.Join(dir, "etc/hostname"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "hole"), nil, 0o600), os.Truncate(filepath.Join(dir, "hole"), 3<<20)); err != nil {
			t.Fatal(err)
		}
		_ = unix.Setxattr(filepath.Join(dir, "etc/hostname"), "user.kept", []byte("yes"), 0)
	})
	i, err := Open(context.Background(), &disk.Runner{}, Options{Image: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

// TestWithoutKernel asks the file system as the kernel would.
func TestWithoutKernel(t *testing.T) {
	i := image(t)
	top, err := i.root()
	if err != nil {
		t.Fatal(err)
	}
	raw := fs.NewNodeFS(top, i.options())
	lookup := func(parent uint64, name string) fuse.EntryOut {
		t.Helper()
		var out fuse.EntryOut
		if s := raw.Lookup(nil, &fuse.InHeader{NodeId: parent}, name, &out); s != fuse.OK {
			t.Fatalf("%s: %v", name, s)
		}
		return out
	}
	etc := lookup(1, "etc")
	host := lookup(etc.NodeId, "hostname")
	if etc.Mode&syscall.S_IFMT != syscall.S_IFDIR || host.Mode != syscall.S_IFREG|0o600 || host.Size != 7 || host.Uid != 0 && host.Uid != uint32(os.Geteuid()) {
		t.Errorf("%o, %+v", etc.Mode, host.Attr)
	}
	link := lookup(1, "link")
	if target, s := raw.Readlink(nil, &fuse.InHeader{NodeId: link.NodeId}); s != fuse.OK || string(target) != "etc/hostname" {
		t.Errorf("%q, %v", target, s)
	}
	var none fuse.EntryOut
	if s := raw.Lookup(nil, &fuse.InHeader{NodeId: etc.NodeId}, "shadow", &none); s != fuse.ENOENT && none.NodeId != 0 {
		t.Errorf("what is not there: %v, %+v", s, none)
	}
	big := lookup(1, "big")
	if hole := lookup(1, "hole"); hole.Size != 3<<20 || hole.Blocks != 0 || big.Blocks*512 < big.Size || big.Blocks*512 > big.Size+64<<10 {
		t.Errorf("%+v, %+v", hole.Attr, big.Attr)
	}
	var open fuse.OpenOut
	if s := raw.Open(nil, &fuse.OpenIn{InHeader: fuse.InHeader{NodeId: big.NodeId}, Flags: syscall.O_RDWR}, &open); s != fuse.EROFS {
		t.Errorf("opened for writing: %v", s)
	}
	if s := raw.Open(nil, &fuse.OpenIn{InHeader: fuse.InHeader{NodeId: big.NodeId}}, &open); s != fuse.OK {
		t.Fatal(s)
	}
	for at, want := range map[uint64]string{0: "0123456789", 123456: "6789012345", 499995: "56789", 500000: "", 1 << 40: ""} {
		b := make([]byte, 10)
		r, s := raw.Read(nil, &fuse.ReadIn{InHeader: fuse.InHeader{NodeId: big.NodeId}, Fh: open.Fh, Offset: at, Size: 10}, b)
		if s != fuse.OK {
			t.Fatalf("read at %d: %v", at, s)
		}
		if got, _ := r.Bytes(b); string(got) != want {
			t.Errorf("read at %d: %q, want %q", at, got, want)
		}
	}
	attributes(t, raw, host.NodeId)
	var st fuse.StatfsOut
	if s := raw.StatFs(nil, &fuse.InHeader{NodeId: 1}, &st); s != fuse.OK || st.Blocks == 0 || st.Bfree == 0 || st.Bfree >= st.Blocks {
		t.Errorf("%+v, %v", st, s)
	}
}

func attributes(t *testing.T, raw fuse.RawFileSystem, id uint64) {
	t.Helper()
	b := make([]byte, 100)
	n, s := raw.GetXAttr(nil, &fuse.InHeader{NodeId: id}, "user.kept", b)
	if s == fuse.ENODATA {
		t.Log("this folder for temporary files keeps no attributes")
		return
	}
	if s != fuse.OK || string(b[:n]) != "yes" {
		t.Errorf("%q, %v", b[:n], s)
	}
	if n, s := raw.GetXAttr(nil, &fuse.InHeader{NodeId: id}, "user.kept", b[:1]); s != fuse.ERANGE || n != 3 {
		t.Errorf("%d, %v", n, s)
	}
	if n, s := raw.ListXAttr(nil, &fuse.InHeader{NodeId: id}, b); s != fuse.OK || !strings.Contains(string(b[:n]), "user.kept\x00") {
		t.Errorf("%q, %v", b[:n], s)
	}
}

func TestRefusals(t *testing.T) {
	i := image(t)
	for partition, want := range map[int]string{2: "no partition 2", 0: ""} {
		j, err := Open(context.Background(), &disk.Runner{}, Options{Image: i.path, Partition: partition})
		if err == nil {
			err = j.Close()
		}
		if got := ""; want != "" && (err == nil || !strings.Contains(err.Error(), want)) || want == "" && err != nil {
			t.Errorf("%d: %v %s", partition, err, got)
		}
	}
	dir := t.TempDir()
	table := make([]byte, 4<<20) // an MBR with one partition of zeros
	copy(table[446:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 16, 0, 0})
	copy(table[510:], "\x55\xaa")
	tar := make([]byte, 2048)
	copy(tar[257:], "ustar")
	for name, want := range map[string]string{"tar": "convert' makes a disk", "gz": "packed with gzip", "empty": "what it holds is not known"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, map[string][]byte{"tar": tar, "gz": []byte("\x1f\x8b"), "empty": table}[name], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), &disk.Runner{}, Options{Image: path, Partition: 1}); disk.KindOf(err) != disk.Unsupported || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := i.Serve(context.Background(), i.path, nil); err == nil || !strings.Contains(err.Error(), "is no folder") {
		t.Error(err)
	}
	if err := Unmount(context.Background(), t.TempDir(), false); err == nil || !strings.Contains(err.Error(), "not mounted by hearth") {
		t.Error(err)
	}
}

func TestMountinfo(t *testing.T) {
	const info = "36 35 98:0 / /mnt/a ro,nosuid - ext4 /dev/root rw\n40 35 0:50 / /mnt/my\\040disk ro,nosuid,nodev - fuse.hearth /x.raw ro\n"
	for dir, want := range map[string]bool{"/mnt/a": false, "/mnt/my disk": true, "/mnt": false} {
		if mounted(info, dir) != want {
			t.Errorf("%s: %v", dir, !want)
		}
	}
}

// TestReal: a folder is found in mountinfo by whatever links it is named through, and even
// when what is mounted there is dead.
func TestReal(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(top, name) }
	if err := errors.Join(os.MkdirAll(at("data/files"), 0o700), os.Symlink("data", at("link")), os.Symlink("data/files", at("files"))); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"data/files": "data/files", "link/files/": "data/files", "files": "data/files", "link/gone": "data/gone"} {
		if got, err := real(at("") + "/" + name); err != nil || got != at(want) {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	t.Chdir(at("link"))
	if got, err := real("files"); err != nil || got != at("data/files") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := real(at("none/files")); err == nil {
		t.Error("a folder that is not there")
	}
}

// serve shows an image in a folder of the host's, until end.
func serve(t *testing.T, i *Image, dir string) (end func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- i.Serve(ctx, dir, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	return func() error { cancel(); return <-done }
}

// TestLinkedFolder is mounted and unmounted by a name that leads through a link; while
// somebody works in it, what is to be done is said; what a killed process left is told from
// a folder, and taken away.
func TestLinkedFolder(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("mounts: set HEARTH_E2E=1")
	}
	i, dir := image(t), t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "files"), 0o700), os.Symlink(dir, link)); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(link, "files")
	end := serve(t, i, at)
	if err := Possible(at); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second one on the folder: %v", err)
	}
	f, err := os.Open(filepath.Join(at, "etc/hostname"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Unmount(t.Context(), at, false); err == nil || !strings.Contains(err.Error(), "--lazy") {
		t.Errorf("somebody has a file open: %v", err)
	}
	f.Close()
	if err := errors.Join(Unmount(t.Context(), at, false), end()); err != nil {
		t.Error(err)
	}
	dead, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("x", at, "fuse.hearth", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dead)); err != nil {
		t.Skip(err) // needs root
	}
	unix.Close(dead)
	if err := Possible(at); err == nil || !strings.Contains(err.Error(), "umount "+at) {
		t.Errorf("%v", err)
	}
	if err := Unmount(t.Context(), at, false); err != nil {
		t.Error(err)
	}
	if err := Possible(at); err != nil {
		t.Error(err)
	}
}

// TestKernel mounts for real, reads, and ends by the context.
func TestKernel(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("mounts: set HEARTH_E2E=1")
	}
	i, dir := image(t), t.TempDir()
	end := serve(t, i, dir)
	if b, err := os.ReadFile(filepath.Join(dir, "link")); err != nil || string(b) != "hearth\n" {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o600); err == nil {
		t.Error("it was written to")
	}
	if out, err := exec.Command("tar", "-C", dir, "-cf", "/dev/null", ".").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "link")); err == nil {
		t.Error("it is mounted still")
	}
}
