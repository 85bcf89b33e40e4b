package file

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/disk/convert"
	"hearth/internal/disk/ova"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/storagetest"
)

const mib = 1 << 20

func open(t *testing.T, dir string) *Driver {
	t.Helper()
	d, err := New(Config{NoSync: true, Kitchen: DiskRoom{&disk.Runner{}}, Paths: Paths{
		Images: filepath.Join(dir, "images"), Disks: filepath.Join(dir, "disks"), Tmp: filepath.Join(dir, "tmp")}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Driver { return open(t, t.TempDir()) })
}

// run runs a tool for the test and gives what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// extImage makes a raw image that is an ext4 file system of 8 MiB with a file.
func extImage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tree, path := filepath.Join(dir, "tree"), filepath.Join(dir, "fs.raw")
	if err := os.MkdirAll(tree, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "hello"), []byte("hearth\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "mke2fs", "-q", "-t", "ext4", "-d", tree, path, "8M")
	return path
}

func refOf(t *testing.T, path, format string) cloud.ImageRef {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ref := storagetest.Ref(data)
	ref.Format = format
	return ref
}

func noOpen() (io.ReadCloser, error) { panic("the bytes were to be linked") }

// flat reads a disk as a guest sees it.
func flat(t *testing.T, d storage.Disk) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flat.raw")
	run(t, "qemu-img", "convert", "-f", d.Format, "-O", "raw", d.Path, path)
	return path
}

func TestGrownDiskIsWhole(t *testing.T) {
	for name, reflink := range map[string]bool{"overlay": false, "copy": true} {
		t.Run(name, func(t *testing.T) {
			d := open(t, t.TempDir())
			if reflink {
				d.Kitchen = noOverlay{d.Kitchen}
			}
			src := extImage(t)
			img, err := d.EnsureImage(t.Context(), refOf(t, src, "raw"), src, noOpen)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{"one", "two"} {
				disk, err := d.CloneDisk(t.Context(), id, img, 64*mib)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(disk.Grown, "ext file system") {
					t.Errorf("grown: %q", disk.Grown)
				}
				path := flat(t, disk)
				run(t, "e2fsck", "-f", "-n", path)
				if out := run(t, "debugfs", "-R", "cat /hello", path); !strings.Contains(out, "hearth") {
					t.Errorf("the file is not there: %s", out)
				}
				if out := run(t, "dumpe2fs", "-h", path); !strings.Contains(out, "Block count:              65536\n") && !strings.Contains(out, "Block count:              16384\n") {
					t.Errorf("the file system does not fill 64 MiB:\n%s", out)
				}
			}
			if got := refOf(t, img.Path, "raw").Digest; got != img.Digest {
				t.Error("the cached image was written to")
			}
		})
	}
}

func TestCopiedRootIsGrown(t *testing.T) {
	d := open(t, t.TempDir())
	src := extImage(t)
	img, err := d.EnsureImage(t.Context(), refOf(t, src, "raw"), src, noOpen)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.CloneDisk(t.Context(), "small", img, 64*mib); err != nil {
		t.Fatal(err)
	}
	for _, grown := range []string{"ext file system", "not grown"} {
		id := strings.ReplaceAll(grown, " ", "-")
		if grown == "not grown" {
			d.Kitchen = noOverlay{d.Kitchen}
		}
		disk, err := d.CopyRoot(t.Context(), id, "small", 128*mib)
		if err != nil || disk.Size != 128*mib || disk.Backing != "" && !strings.Contains(disk.Grown, grown) {
			t.Fatalf("%s: %+v, %v", id, disk, err)
		}
		path := flat(t, disk)
		run(t, "e2fsck", "-f", "-n", path)
		if fi, err := os.Stat(path); err != nil || fi.Size() != 128*mib {
			t.Errorf("%s: %v, %v", id, fi, err)
		}
	}
}

// noOverlay is a kitchen on a host where overlays cannot be grown (no FUSE).
type noOverlay struct{ Kitchen }

func (k noOverlay) Grow(ctx context.Context, chain []Layer, size int64) (string, error) {
	if len(chain) > 1 {
		return "", cloud.E("disk.Attach", cloud.Unsupported, "no FUSE here")
	}
	return k.Kitchen.Grow(ctx, chain, size)
}

func TestImagesAreConvertedOnce(t *testing.T) {
	src := extImage(t)
	want, _ := os.ReadFile(src)
	for format, args := range map[string][]string{"qcow2": {"-c", "-O", "qcow2"}, "vmdk": {"-O", "vmdk", "-o", "subformat=streamOptimized"},
		"vdi": {"-O", "vdi"}, "vhd": {"-O", "vpc", "-o", "subformat=dynamic,force_size=on"}, "vhdx": {"-O", "vhdx"}} {
		dir := t.TempDir()
		d, q := open(t, dir), filepath.Join(t.TempDir(), "fs")
		run(t, "qemu-img", append(append([]string{"convert"}, args...), src, q)...)
		data, err := os.ReadFile(q)
		if err != nil {
			t.Fatal(err)
		}
		var n atomic.Int32
		img, err := d.EnsureImage(t.Context(), refOf(t, q, format), "", storagetest.Opener(data, &n))
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		got, err := os.ReadFile(img.Path)
		if err != nil || !bytes.Equal(got, want) || img.VirtualSize != int64(len(want)) || img.Format != "raw" {
			t.Errorf("%s: %+v, %v: not the raw bytes", format, img, err)
		}
		if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
			t.Errorf("%s: left in tmp: %v", format, left)
		}
	}
}

// TestPackagesAreConverted boots from the first disk of an OVA, and refuses one that is
// not what its manifest says.
func TestPackagesAreConverted(t *testing.T) {
	src := extImage(t)
	want, _ := os.ReadFile(src)
	pack := filepath.Join(t.TempDir(), "x.ova")
	if _, err := convert.OVA(t.Context(), &disk.Runner{}, convert.Options{Source: src, Target: pack}, ova.Machine{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	d := open(t, t.TempDir())
	img, err := d.EnsureImage(t.Context(), refOf(t, pack, cloud.ContainerOVA), pack, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(img.Path); err != nil || !bytes.Equal(got, want) || img.Format != "raw" || img.VirtualSize != int64(len(want)) {
		t.Errorf("%+v, %v: not the raw bytes", img, err)
	}
	bad, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	bad[len(bad)/2] ^= 1
	if err := os.WriteFile(pack, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.EnsureImage(t.Context(), refOf(t, pack, cloud.ContainerOVA), pack, nil); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a damaged package: %v", err)
	}
}

func TestHostileQcow2IsRefused(t *testing.T) {
	d := open(t, t.TempDir())
	q := filepath.Join(t.TempDir(), "trap.qcow2")
	run(t, "qemu-img", "create", "-q", "-u", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", q, "1M")
	_, err := d.EnsureImage(t.Context(), refOf(t, q, "qcow2"), q, noOpen)
	if !cloud.Is(err, cloud.Invalid) {
		t.Fatalf("got %v", err)
	}
	if list, _ := d.Images(t.Context()); len(list) != 0 {
		t.Errorf("kept: %v", list)
	}
}

func TestOverlayIsWhatQemuImgMakes(t *testing.T) {
	dir := t.TempDir()
	base, path := filepath.Join(dir, "base"), filepath.Join(dir, "top")
	if err := os.WriteFile(base, storagetest.Content("base", mib), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{mib, 20 << 30, 8 << 40} {
		if err := writeOverlay(path, base, size); err != nil {
			t.Fatal(err)
		}
		run(t, "qemu-img", "check", "-q", "-f", "qcow2", path)
		out := run(t, "qemu-img", "info", "-f", "qcow2", path)
		for _, want := range []string{"backing file: " + base, "backing file format: raw"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
	}
	if err := writeOverlay(path, base, mib); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-img", "compare", "-f", "qcow2", "-F", "raw", path, base)
	if err := writeOverlay(path, "/"+strings.Repeat("x", 1100), mib); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a long path: %v", err)
	}
}

func TestLocalImageTakesNoRoom(t *testing.T) {
	d := open(t, t.TempDir())
	src := filepath.Join(t.TempDir(), "big.raw")
	if err := os.WriteFile(src, storagetest.Content("local", mib), 0o644); err != nil {
		t.Fatal(err)
	}
	img, err := d.EnsureImage(t.Context(), refOf(t, src, "raw"), src, noOpen)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := os.Stat(src)
	if b, err := os.Stat(img.Path); err != nil || !d.Reflink() && !os.SameFile(a, b) {
		t.Errorf("the image was copied: %v", err)
	}
	if err := d.RemoveImage(t.Context(), img.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(src); err != nil {
		t.Errorf("the head's file went with the cache: %v", err)
	}
}

func TestFetchedZerosAreHoles(t *testing.T) {
	d := open(t, t.TempDir())
	var n atomic.Int32
	data := make([]byte, 16*mib)
	copy(data[4*mib:], "something")
	img, err := d.EnsureImage(t.Context(), storagetest.Ref(data), "", storagetest.Opener(data, &n))
	if err != nil {
		t.Fatal(err)
	}
	if out := run(t, "du", "-k", img.Path); !strings.HasPrefix(out, "64\t") && !strings.HasPrefix(out, "4\t") {
		t.Errorf("du: %s", out)
	}
}

func TestCrashIsSweptAndDisksAreFound(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if _, err := d.BlankDisk(t.Context(), "kept", mib, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "tmp", "disk.1"), 0o755); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if disk, err := again.Disk(t.Context(), "kept"); err != nil || disk.Size != mib {
		t.Errorf("%+v, %v", disk, err)
	}
}

func TestBlankFileSystems(t *testing.T) {
	d := open(t, t.TempDir())
	e, err := d.BlankDisk(t.Context(), "e", 16*mib, "ephemeral0")
	if err != nil {
		t.Fatal(err)
	}
	if out := run(t, "blkid", "-p", e.Path); !strings.Contains(out, `LABEL="ephemeral0"`) || !strings.Contains(out, `TYPE="ext4"`) {
		t.Errorf("blkid: %s", out)
	}
	s, err := d.BlankDisk(t.Context(), "s", 16*mib, "swap")
	if err != nil {
		t.Fatal(err)
	}
	if out := run(t, "blkid", "-p", s.Path); !strings.Contains(out, `TYPE="swap"`) {
		t.Errorf("blkid: %s", out)
	}
}

func BenchmarkWarmClone(b *testing.B) {
	dir := b.TempDir()
	d, err := New(Config{Kitchen: DiskRoom{&disk.Runner{}}, Paths: Paths{
		Images: filepath.Join(dir, "images"), Disks: filepath.Join(dir, "disks"), Tmp: filepath.Join(dir, "tmp")}})
	if err != nil {
		b.Fatal(err)
	}
	src := filepath.Join(dir, "fs.raw")
	if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", src, "200M").CombinedOutput(); err != nil {
		b.Fatalf("%s", out)
	}
	data, err := os.ReadFile(src)
	if err != nil {
		b.Fatal(err)
	}
	img, err := d.EnsureImage(b.Context(), storagetest.Ref(data), src, noOpen)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := d.CloneDisk(b.Context(), "first", img, 10<<30); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := d.CloneDisk(b.Context(), cloud.NewID(), img, 10<<30); err != nil {
			b.Fatal(err)
		}
	}
}

// TestCopiesHoldWhatTheirSourceHeld writes into an overlay and looks for it in a
// larger copy, and in the copy's bytes.
func TestCopiesHoldWhatTheirSourceHeld(t *testing.T) {
	d := open(t, t.TempDir())
	d.reflink = false
	img, err := d.EnsureImage(t.Context(), refOf(t, extImage(t), "raw"), extImage(t), noOpen)
	if err != nil {
		t.Fatal(err)
	}
	disk, err := d.CloneDisk(t.Context(), "volume-a", img, 8*mib)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-io", "-f", disk.Format, "-c", "write -P 0x5a 4194304 65536", disk.Path)
	if _, err := d.CopyDisk(t.Context(), "snapshot-a", "volume-a", 0); err != nil {
		t.Fatal(err)
	}
	run(t, "qemu-io", "-f", disk.Format, "-c", "write -P 0x11 4194304 65536", disk.Path)
	if _, err := d.CopyDisk(t.Context(), "volume-b", "snapshot-a", 32*mib); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]byte{"volume-a": 0x11, "snapshot-a": 0x5a, "volume-b": 0x5a} {
		r, err := d.ReadDisk(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil || data[4194304] != want || data[1080] != 0x53 { // the magic of ext4
			t.Errorf("%s: %#x and %#x, %v", id, data[4194304], data[1080], err)
		}
		r.Close()
	}
}

// TestAGuestsWritesAreNotRead has somebody hold a disk as QEMU does, and write to it
// while it is read: a backup of it is of one moment.
func TestAGuestsWritesAreNotRead(t *testing.T) {
	d := open(t, t.TempDir())
	d.reflink = false
	disk, err := d.WriteDisk(t.Context(), "volume-used", mib, bytes.NewReader(bytes.Repeat([]byte("a"), mib)))
	if err != nil {
		t.Fatal(err)
	}
	guest, err := os.OpenFile(disk.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	for _, locked := range []bool{true, false} {
		lock := unix.Flock_t{Type: unix.F_UNLCK}
		if locked {
			lock = unix.Flock_t{Type: unix.F_RDLCK, Start: 100, Len: 1} // as QEMU's are
		}
		if err := unix.FcntlFlock(guest.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
			t.Fatal(err)
		}
		if inUse(disk.Path) != locked {
			t.Errorf("in use: %v", !locked)
		}
		r, err := d.ReadDisk(t.Context(), disk.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guest.WriteAt([]byte("b"), mib-1); locked && err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || len(got) != mib || locked && got[mib-1] != 'a' {
			t.Errorf("%d bytes, the last %q, %v", len(got), got[len(got)-1], err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestAnOverlayInUseIsRead has somebody hold a disk over an image as QEMU does one
// that its guest writes to: bytes 100 to 109 for what it does itself, 200 to 209 for
// what it forbids others (block/file-posix.c).
func TestAnOverlayInUseIsRead(t *testing.T) {
	d := open(t, t.TempDir())
	d.reflink = false
	img, err := d.EnsureImage(t.Context(), refOf(t, extImage(t), "raw"), extImage(t), noOpen)
	if err != nil {
		t.Fatal(err)
	}
	disk, err := d.CloneDisk(t.Context(), "volume-over", img, 8*mib)
	if err != nil || disk.Backing == "" {
		t.Fatalf("%+v, %v: want an overlay", disk, err)
	}
	guest, err := os.OpenFile(disk.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	for _, at := range []int64{100, 101, 103, 201, 203} {
		if err := unix.FcntlFlock(guest.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: at, Len: 1}); err != nil {
			t.Fatal(err)
		}
	}
	r, err := d.ReadDisk(t.Context(), disk.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || len(got) != 8*mib || got[1080] != 0x53 { // the magic of ext4
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
