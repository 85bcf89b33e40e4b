package resize

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
)

const mib = 1 << 20

// layout of a test disk: an sfdisk script, which partition gets the file system, and
// what is written to others.
type layout struct {
	script string
	ext    int64 // where the file system begins, MiB
	size   int64 // of the disk, MiB
	swap   int64 // where a swap header lies, MiB; 0: none
	moved  int64 // where it is to lie after, MiB; 0: not asked
}

var layouts = map[string]layout{
	"mbr":           {"label: dos\nstart=2048, type=83, bootable\n", 1, 65, 0, 0},
	"gpt":           {"label: gpt\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649\nstart=4096, type=L\n", 2, 67, 0, 0},
	"gpt, reversed": {"label: gpt\n1: start=6144, type=L\n14: start=2048, size=4096, type=U\n", 3, 68, 0, 0},
	"swap behind":   {"label: dos\nstart=2048, size=131072, type=83\nstart=133120, size=16384, type=82\n", 1, 74, 65, 15},
	"logical swap":  {"label: dos\nstart=2048, size=131072, type=83\nstart=133120, type=5\nstart=135168, size=16384, type=82\n", 1, 76, 66, 16},
	"gpt, swap":     {"label: gpt\nstart=2048, size=131072, type=L\nstart=133120, size=16384, type=S\n", 1, 75, 65, 15},
}

// make builds the disk: an ext4 of 64 MiB with 6 MiB in it, much of it far behind.
func (l layout) make(t *testing.T) string {
	t.Helper()
	fs := guestfstest.Image(t, guestfstest.Options{Size: 64 * mib}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/fstab=/dev/vda1 / ext4 defaults 0 1\n", "data="+strings.Repeat("hearth", mib))
	})
	if l.script == "" {
		return fs
	}
	sfdisk, err := exec.LookPath("/usr/sbin/sfdisk")
	if err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, l.size*mib); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(sfdisk, "-q", path)
	cmd.Stdin = strings.NewReader(l.script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	b, err := os.ReadFile(fs)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, l.ext*mib, b)
	write(t, path, 440-16, []byte("boot code"))
	if l.swap > 0 {
		write(t, path, l.swap*mib+4096-10, []byte("SWAPSPACE2"))
		write(t, path, l.swap*mib+1036, []byte("0123456789abcdef"))
		write(t, path, l.swap*mib+mib, bytes.Repeat([]byte("old pages"), 1000))
	}
	return path
}

func write(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string, at int64, n int) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	return b
}

// same holds the tree in an image against the one it began with, and its table against
// those tools that guests use.
func same(t *testing.T, path string, l layout) {
	t.Helper()
	layer, _, err := guestfs.Image(path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{layer}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := tree.ReadFile("/data", 64*mib); err != nil || string(b) != strings.Repeat("hearth", mib) {
		t.Errorf("data of %d bytes, %v", len(b), err)
	}
	if layer.Format != disk.Raw {
		return
	}
	guestfstest.Clean(t, path, tree.Root.Start)
	if l.script == "" {
		return
	}
	if out, err := exec.Command("/usr/sbin/sfdisk", "--verify", path).CombinedOutput(); err != nil || !strings.Contains(string(out), "No errors detected") {
		t.Errorf("sfdisk: %v: %s", err, out)
	}
	if got := string(read(t, path, 440-16, 9)); got != "boot code" {
		t.Errorf("the boot sector has %q", got)
	}
}

func TestShrinkAndGrow(t *testing.T) {
	layouts["bare"] = layout{size: 64}
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, run, path := context.Background(), &disk.Runner{}, l.make(t)
			small := filepath.Join(t.TempDir(), "small")
			r, err := Shrink(ctx, run, Options{Source: path, Target: small})
			if disk.KindOf(err) == disk.ToolMissing {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Was != l.size*mib || r.Size > 26*mib || r.Size > r.Used+r.Used/20+2*mib || r.Format != disk.Raw {
				t.Errorf("%+v", r)
			}
			if st, err := os.Stat(small); err != nil || st.Size() != r.Size {
				t.Errorf("%v, %v", st, err)
			}
			same(t, small, l)
			if l.swap > 0 {
				swapAt(t, small, r.Size)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(small), ".*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			r, note, err := Grow(ctx, run, Options{Source: small, Size: 200 * mib})
			if err != nil || note != "" || r.Size != 200*mib {
				t.Fatalf("%+v, %q, %v", r, note, err)
			}
			same(t, small, l)
			if l.swap > 0 {
				swapAt(t, small, r.Size)
			}
			for _, v := range r.Volumes {
				if v.Content == "ext4" && v.Size < 180*mib {
					t.Errorf("%+v", v)
				}
			}
		})
	}
}

// swapAt looks for the swap header where the table says.
func swapAt(t *testing.T, path string, size int64) {
	t.Helper()
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	last := lastVolume(d)
	if last.Content != "swap" || last.UUID != "30313233-3435-3637-3839-616263646566" || last.Start%mib != 0 || last.Size != 8*mib || last.Start+last.Size > size {
		t.Errorf("the last volume is %+v", last)
	}
	if old := read(t, path, last.Start+mib, 9); !bytes.Equal(old, make([]byte, 9)) {
		t.Errorf("swap has %q", old)
	}
}

// TestInPlace replaces a packed qcow2, which stays one.
func TestInPlace(t *testing.T) {
	ctx, run := context.Background(), &disk.Runner{}
	path, image := layouts["mbr"].make(t), filepath.Join(t.TempDir(), "image")
	if err := run.Convert(ctx, disk.Layer{Path: path, Format: disk.Raw}, disk.Target{Path: image, Format: disk.QCOW2, Compress: true}, nil); disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(image, 0o640); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "snapshot", "-c", "before", image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if r, err := Shrink(ctx, run, Options{Source: image}); disk.KindOf(err) != disk.Unsupported || !strings.Contains(err.Error(), "snapshots (1)") {
		t.Errorf("an image with a snapshot: %+v, %v", r, err)
	}
	if out, err := exec.Command("qemu-img", "snapshot", "-d", "before", image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	told := map[string][2]int64{} // done and total of each step
	r, err := Shrink(ctx, run, Options{Source: image, Progress: func(step string, done, total int64) {
		if was := told[step]; done < was[0] || done > total || was[1] != 0 && was[1] != total {
			t.Errorf("%s: %d of %d after %d", step, done, total, was)
		}
		told[step] = [2]int64{done, total}
	}})
	if err != nil || r.Format != disk.QCOW2 || r.Stored > mib {
		t.Fatalf("%+v, %v", r, err)
	}
	if copied, written := told["partition 1: copy"], told["write it as qcow2"]; len(told) != 3 || copied[0] < 6*mib || copied[1] != 64*mib || written[0] != r.Size || told["put the disk together"][1] != r.Size {
		t.Errorf("%v was told; the disk has %d bytes", told, r.Size)
	}
	if st, err := os.Stat(image); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", st, err)
	}
	same(t, image, layouts["mbr"])
	if r, err := Shrink(ctx, run, Options{Source: image, Target: image + ".vdi", Format: disk.VDI}); err != nil || r.Format != disk.VDI {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int64, fill func([]byte)) string {
		b := make([]byte, size)
		fill(b)
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	xfs := file("xfs", 4*mib, func(b []byte) { copy(b, "XFSB") })
	empty := file("empty", 4*mib, func([]byte) {})
	held := file("held", 8*mib, func(b []byte) { // ext before a partition of NTFS
		disk.MBRTable(b, mib, 2*mib)
		e := b[446+16:]
		e[4] = 7
		binary.LittleEndian.PutUint32(e[8:], 4096)
		binary.LittleEndian.PutUint32(e[12:], 2048)
		copy(b[2*mib+3:], "NTFS    ")
	})
	for path, want := range map[string]string{xfs: "xfs is resized by the appliance alone", empty: "neither a partition table", held: "no ext2, ext3, ext4, XFS, btrfs or f2fs"} {
		_, err := Shrink(context.Background(), &disk.Runner{}, Options{Source: path})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
	}
	if _, err := Shrink(context.Background(), &disk.Runner{}, Options{Source: xfs, Target: empty}); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Error(err)
	}
	if _, _, err := Grow(context.Background(), &disk.Runner{}, Options{Source: xfs, Size: 1 * mib}); err == nil || !strings.Contains(err.Error(), "shrink") {
		t.Error(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 3 {
		t.Errorf("left behind: %v", list)
	}
}

// TestBrokenOff leaves the image as it was.
func TestBrokenOff(t *testing.T) {
	path := layouts["mbr"].make(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	said := 0
	_, err = Shrink(ctx, &disk.Runner{}, Options{Source: path, Tell: func(string) {
		if said++; said == 2 {
			cancel()
		}
	}})
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err == nil || said != 2 {
		t.Errorf("%v after %d", err, said)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the image was changed: %v", err)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}
