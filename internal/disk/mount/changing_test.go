package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs/guestfstest"
)

// toWrite is an image that is open to be changed, with what was told of failures.
func toWrite(t *testing.T, o guestfstest.Options) (i *Image, path string, told *[]error) {
	t.Helper()
	path = guestfstest.Image(t, o, func(dir string) {
		guestfstest.Tree(t, dir, "etc/hostname=hearth\n", "etc/os-release=ID=debian\n", "one=the same\n")
		if err := os.Link(filepath.Join(dir, "one"), filepath.Join(dir, "etc/two")); err != nil {
			t.Fatal(err)
		}
	})
	told = &[]error{}
	i, err := Open(context.Background(), &disk.Runner{}, Options{Image: path, Write: true, Tell: func(err error) { *told = append(*told, err) }})
	if err != nil {
		t.Fatal(err)
	}
	return i, path, told
}

// kernel asks a file system as the kernel would.
type kernel struct {
	t   *testing.T
	raw fuse.RawFileSystem
}

func (k kernel) lookup(name string) fuse.EntryOut {
	k.t.Helper()
	at := fuse.EntryOut{NodeId: 1}
	for part := range strings.SplitSeq(strings.Trim(name, "/"), "/") {
		parent := at.NodeId
		at = fuse.EntryOut{}
		if s := k.raw.Lookup(nil, &fuse.InHeader{NodeId: parent}, part, &at); s != fuse.OK {
			k.t.Fatalf("%s: %v", name, s)
		}
	}
	return at
}

func (k kernel) ok(what string, s fuse.Status) {
	k.t.Helper()
	if s != fuse.OK {
		k.t.Fatalf("%s: %v", what, s)
	}
}

// write opens a file, writes to it at an offset, and closes it.
func (k kernel) write(name, text string, off uint64) {
	k.t.Helper()
	id := fuse.InHeader{NodeId: k.lookup(name).NodeId}
	var open fuse.OpenOut
	k.ok("open "+name, k.raw.Open(nil, &fuse.OpenIn{InHeader: id, Flags: syscall.O_RDWR}, &open))
	_, s := k.raw.Write(nil, &fuse.WriteIn{InHeader: id, Fh: open.Fh, Offset: off}, []byte(text))
	k.ok("write "+name, s)
	k.ok("close "+name, k.raw.Flush(nil, &fuse.FlushIn{InHeader: id, Fh: open.Fh}))
	k.raw.Release(nil, &fuse.ReleaseIn{InHeader: id, Fh: open.Fh})
}

// TestChangesWithoutKernel changes files in an image as the kernel would ask for it, and
// reads them in the image afterwards, which is clean.
func TestChangesWithoutKernel(t *testing.T) {
	i, path, told := toWrite(t, guestfstest.Options{Partition: true})
	top, err := i.root()
	if err != nil {
		t.Fatal(err)
	}
	k := kernel{t, fusefs.NewNodeFS(top, i.options())}
	root, etc := fuse.InHeader{NodeId: 1}, fuse.InHeader{NodeId: k.lookup("etc").NodeId}
	k.write("etc/hostname", "fire", 1)
	k.write("one", "THE", 0)
	var made fuse.CreateOut
	k.ok("create", k.raw.Create(nil, &fuse.CreateIn{InHeader: etc, Flags: syscall.O_WRONLY, Mode: 0o640}, "motd", &made))
	id := fuse.InHeader{NodeId: made.NodeId}
	_, s := k.raw.Write(nil, &fuse.WriteIn{InHeader: id, Fh: made.Fh}, []byte("welcome\n"))
	k.ok("write", s)
	var attr fuse.AttrOut
	k.ok("chown", k.raw.SetAttr(nil, &fuse.SetAttrIn{SetAttrInCommon: fuse.SetAttrInCommon{InHeader: id, Valid: fuse.FATTR_UID | fuse.FATTR_MTIME, Owner: fuse.Owner{Uid: 33}, Mtime: 1234567890}}, &attr))
	k.ok("close", k.raw.Flush(nil, &fuse.FlushIn{InHeader: id, Fh: made.Fh}))
	k.raw.Release(nil, &fuse.ReleaseIn{InHeader: id, Fh: made.Fh})
	k.ok("rename", k.raw.Rename(nil, &fuse.RenameIn{InHeader: etc, Newdir: 1}, "motd", "moved"))
	var entry fuse.EntryOut
	if s := k.raw.Mkdir(nil, &fuse.MkdirIn{InHeader: root, Mode: 0o700}, "a\nb", &entry); s != fuse.EINVAL || len(*told) != 1 {
		t.Errorf("a name that debugfs would take for two commands: %v, %v", s, *told)
	}
	k.ok("mkdir", k.raw.Mkdir(nil, &fuse.MkdirIn{InHeader: root, Mode: 0o700}, "dir", &entry))
	if s := k.raw.Rename(nil, &fuse.RenameIn{InHeader: root, Newdir: etc.NodeId}, "dir", "dir"); s != fuse.Status(syscall.EXDEV) {
		t.Errorf("a folder into another: %v", s)
	}
	if s := k.raw.Rmdir(nil, &root, "etc"); s != fuse.Status(syscall.ENOTEMPTY) {
		t.Errorf("a folder with files: %v", s)
	}
	k.ok("rmdir", k.raw.Rmdir(nil, &root, "dir"))
	if !i.Changed() {
		t.Error("nothing is changed")
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	clean(t, path, 1<<20)
	i, err = Open(context.Background(), &disk.Runner{}, Options{Image: path})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	for name, want := range map[string]string{"/etc/hostname": "hfireh\n", "/moved": "welcome\n", "/one": "THE same\n", "/etc/two": "THE same\n"} {
		if b, err := i.Tree.ReadFile(name, 100); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	n, err := i.Tree.Lstat("/moved")
	if err != nil || n.UID != 33 || n.Mode != syscall.S_IFREG|0o640 || !n.MTime.Equal(time.Unix(1234567890, 0)) {
		t.Errorf("%+v, %v", n, err)
	}
	if one, _ := i.Tree.Lstat("/one"); one == nil || one.Links != 2 {
		t.Errorf("%+v", one)
	}
}

// clean has e2fsck look at a file system.
func clean(t *testing.T, path string, offset int64) {
	t.Helper()
	if out, err := exec.Command("/usr/sbin/e2fsck", "-fn", fmt.Sprintf("%s?offset=%d", path, offset)).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestFullImage: what does not fit is refused, and the file is as it was.
func TestFullImage(t *testing.T) {
	i, path, _ := toWrite(t, guestfstest.Options{Size: 2 << 20})
	top, err := i.root()
	if err != nil {
		t.Fatal(err)
	}
	k := kernel{t, fusefs.NewNodeFS(top, i.options())}
	id := fuse.InHeader{NodeId: k.lookup("etc/hostname").NodeId}
	var open fuse.OpenOut
	k.ok("open", k.raw.Open(nil, &fuse.OpenIn{InHeader: id, Flags: syscall.O_WRONLY}, &open))
	_, s := k.raw.Write(nil, &fuse.WriteIn{InHeader: id, Fh: open.Fh}, []byte(strings.Repeat("x", 4<<20)))
	k.ok("write", s)
	if s := k.raw.Flush(nil, &fuse.FlushIn{InHeader: id, Fh: open.Fh}); s != fuse.Status(syscall.ENOSPC) {
		t.Errorf("close: %v", s)
	}
	k.raw.Release(nil, &fuse.ReleaseIn{InHeader: id, Fh: open.Fh})
	if b, err := i.Tree.ReadFile("/etc/hostname", 100); err != nil || string(b) != "hearth\n" {
		t.Errorf("%q, %v", b, err)
	}
	if err := i.Close(); err != nil {
		t.Error(err)
	}
	clean(t, path, 0)
}

// TestNearlyFull: of a file that would leave no room for the blocks that tell where it lies,
// nothing is written, and what was there stays; what fits by a block is written.
func TestNearlyFull(t *testing.T) {
	for _, flavour := range []string{"ext2", "ext3", "ext4"} {
		path := filepath.Join(t.TempDir(), "disk")
		if out, err := exec.Command("/usr/sbin/mke2fs", "-q", "-t", flavour, "-b", "1024", path, "8M").CombinedOutput(); err != nil {
			t.Skipf("%v: %s", err, out)
		}
		i, err := Open(t.Context(), &disk.Runner{}, Options{Image: path, Write: true})
		if err != nil {
			t.Fatal(err)
		}
		top, err := i.root()
		if err != nil {
			t.Fatal(err)
		}
		k := kernel{t, fusefs.NewNodeFS(top, i.options())}
		var made fuse.CreateOut
		k.ok("create", k.raw.Create(nil, &fuse.CreateIn{InHeader: fuse.InHeader{NodeId: 1}, Flags: syscall.O_WRONLY, Mode: 0o640}, "kept", &made))
		k.raw.Release(nil, &fuse.ReleaseIn{InHeader: fuse.InHeader{NodeId: made.NodeId}, Fh: made.Fh})
		k.write("kept", "as it was", 0)
		var st fuse.StatfsOut
		k.ok("statfs", k.raw.StatFs(nil, &fuse.InHeader{NodeId: 1}, &st))
		written := false
		for size := int64(st.Bfree) * 1024; !written; size -= 1024 {
			if size < int64(st.Bfree)*1000 {
				t.Fatalf("%s: %d bytes do not fit into %d blocks", flavour, size, st.Bfree)
			}
			id := fuse.InHeader{NodeId: k.lookup("kept").NodeId}
			var open fuse.OpenOut
			k.ok("open", k.raw.Open(nil, &fuse.OpenIn{InHeader: id, Flags: syscall.O_WRONLY}, &open))
			_, s := k.raw.Write(nil, &fuse.WriteIn{InHeader: id, Fh: open.Fh}, bytes.Repeat([]byte("x"), int(size)))
			k.ok("write", s)
			s = k.raw.Flush(nil, &fuse.FlushIn{InHeader: id, Fh: open.Fh})
			k.raw.Release(nil, &fuse.ReleaseIn{InHeader: id, Fh: open.Fh})
			b, err := i.Tree.ReadFile("/kept", 1<<24)
			if written = s == fuse.OK; err != nil || written && len(b) != int(size) || !written && (s != fuse.Status(syscall.ENOSPC) || string(b) != "as it was") {
				t.Fatalf("%s, %d bytes: %v, %d bytes are there, %v", flavour, size, s, len(b), err)
			}
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		clean(t, path, 0)
	}
}

// TestInUse: an image that QEMU holds is not changed, and may be read.
func TestInUse(t *testing.T) {
	i, path, _ := toWrite(t, guestfstest.Options{})
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: 100, Len: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), &disk.Runner{}, Options{Image: path, Write: true}); disk.KindOf(err) != disk.Unsupported || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
	if i, err = Open(t.Context(), &disk.Runner{}, Options{Image: path}); err != nil {
		t.Error(err)
	} else if err := i.Close(); err != nil {
		t.Error(err)
	}
}

// TestOneWriter: what is mounted to be changed, no other of our tools changes, nor does QEMU
// open a raw image; afterwards both do.
func TestOneWriter(t *testing.T) {
	i, path, _ := toWrite(t, guestfstest.Options{})
	if _, err := Open(t.Context(), &disk.Runner{}, Options{Image: path, Write: true}); disk.KindOf(err) != disk.Unsupported || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second one: %v", err)
	}
	qemu := func() error {
		out, err := exec.Command("qemu-io", "-f", "raw", "-c", "write 0 512", path).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	}
	if err := qemu(); err == nil || !errors.Is(err, exec.ErrNotFound) && !strings.Contains(err.Error(), "lock") {
		t.Errorf("QEMU writes to it: %v", err)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if err := qemu(); err != nil && !errors.Is(err, exec.ErrNotFound) {
		t.Error(err)
	}
	if i, err := Open(t.Context(), &disk.Runner{}, Options{Image: path, Write: true}); err != nil {
		t.Error(err)
	} else if err := i.Close(); err != nil {
		t.Error(err)
	}
}

// changes are what people do in a folder.
func changes(dir string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	appendTo := func(name, text string) error {
		f, err := os.OpenFile(at(name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		return errors.Join(err, f.Close())
	}
	big := []byte(strings.Repeat("0123456789abcdef", 100_000))
	err := errors.Join(os.MkdirAll(at("a/b/c"), 0o750), os.WriteFile(at("a/text"), []byte("hello\n"), 0o604), appendTo("a/text", "more\n"),
		os.Link(at("a/text"), at("a/second")), appendTo("a/second", "third\n"), os.Symlink("../text", at("a/b/link")),
		os.Rename(at("a/text"), at("a/b/renamed")), os.Rename(at("a/b"), at("a/moved")), syscall.Mkfifo(at("a/pipe"), 0o600),
		os.WriteFile(at("big"), big, 0o644), os.Truncate(at("big"), 1_234_567), os.WriteFile(at("holes"), nil, 0o600), os.Truncate(at("holes"), 3<<20),
		os.Chmod(at("big"), 0o4711), os.Chtimes(at("big"), time.Unix(1, 0), time.Unix(1234567890, 0)),
		unix.Setxattr(at("big"), "user.kept", []byte("yes"), 0), unix.Setxattr(at("big"), "user.gone", []byte("no"), 0), unix.Removexattr(at("big"), "user.gone"))
	for n := range 80 { // more than a folder's first block has room for
		name := fmt.Sprintf("a/moved/c/a-name-that-is-rather-long-%d", n)
		err = errors.Join(err, os.WriteFile(at(name), []byte(name), 0o644), os.Rename(at(name), at(name+"-and-longer-still")))
	}
	return errors.Join(err, os.Remove(at("a/second")), os.Remove(at("a/moved/c/a-name-that-is-rather-long-7-and-longer-still")), os.Mkdir(at("gone"), 0o700), os.Remove(at("gone")))
}

// listing says of each file what it is and has.
func listing(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, name)
		if err != nil || rel == "." || strings.HasPrefix(rel, "lost+found") || strings.HasPrefix(rel, "etc") || rel == "one" {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		line := fmt.Sprintf("%s %o", rel, st.Mode)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			b, err := os.ReadFile(name)
			value := make([]byte, 10)
			n, _ := unix.Getxattr(name, "user.kept", value)
			list = append(list, fmt.Sprintf("%s links %d, %d bytes, %08x, %q", line, st.Nlink, st.Size, crc32.ChecksumIEEE(b), value[:max(0, n)]))
			return err
		case unix.S_IFLNK:
			to, err := os.Readlink(name)
			list = append(list, line+" "+to)
			return err
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// TestChangesByKernel does the same in a mounted image as in a folder of the host: both
// are alike, and the image is clean.
func TestChangesByKernel(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("mounts: set HEARTH_E2E=1")
	}
	i, path, told := toWrite(t, guestfstest.Options{Size: 40 << 20})
	dir, plain := t.TempDir(), t.TempDir()
	end := serve(t, i, dir)
	if err := errors.Join(changes(dir), changes(plain)); err != nil {
		t.Error(err)
	}
	got, want := listing(t, dir), listing(t, plain)
	if !slices.Equal(got, want) {
		t.Errorf("in the image:\n%s\nin the folder:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := errors.Join(end(), i.Close()); err != nil || len(*told) > 0 {
		t.Error(err, *told)
	}
	clean(t, path, 0)
}
