package resize

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
)

// logicalDisk is a disk with a physical volume of LVM, by itself or as a partition: swap of
// two pieces, a root of 24 MiB that is a quarter full, and data of 4 MiB.
func logicalDisk(t *testing.T, table bool) string {
	t.Helper()
	f, err := os.Open("../lvm/testdata/pv.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	pv, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	pv = append(pv, make([]byte, 64*mib-len(pv))...)
	root := guestfstest.Image(t, guestfstest.Options{Size: 24 * mib}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/fstab=/dev/debian-vg/root / ext4 defaults 0 1\n", "data="+strings.Repeat("hearth", mib))
	})
	b, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	copy(pv[9*mib:], b)
	copy(pv[33*mib:], "some data that nobody knows")
	copy(pv[37*mib:], "the second piece of swap")
	path := filepath.Join(t.TempDir(), "disk.raw")
	if table {
		head := make([]byte, mib)
		disk.MBRTable(head[:512], mib, 65*mib)
		head[446+4] = 0x8e
		pv = append(head, pv...)
	}
	if err := os.WriteFile(path, pv, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLogical shrinks and grows logical volumes: the files stay, what is not known stays,
// and lvm2 and e2fsck find nothing wrong.
func TestLogical(t *testing.T) {
	for _, table := range []bool{true, false} {
		ctx, run := context.Background(), &disk.Runner{}
		path := logicalDisk(t, table)
		before, at := contents(t, path), int64(0)
		if table {
			at = mib
		}
		small := filepath.Join(t.TempDir(), "small.raw")
		r, err := Shrink(ctx, run, Options{Source: path, Target: small})
		if disk.KindOf(err) == disk.ToolMissing {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		// swap of 16 MiB, the root in extents of 4 MiB, data of one
		if len(r.Volumes) != 4 || r.Volumes[0].Content != "lvm" || r.Volumes[2].Logical != "debian-vg/root" || r.Volumes[2].Size != 12*mib || r.Volumes[0].Size != 33*mib || r.Size > 35*mib {
			t.Errorf("%+v", r)
		}
		check := func(path string, rootSize int64) {
			t.Helper()
			if after := contents(t, path); after != before {
				t.Errorf("the files are\n%s\nwant\n%s", after, before)
			}
			guestfstest.Clean(t, path, at+17*mib)
			if got := read(t, path, at+17*mib+rootSize, 9); string(got) != "some data" {
				t.Errorf("behind the root is %q", got)
			}
			if got := read(t, path, at+9*mib, 10); string(got) != "the second" {
				t.Errorf("the second piece of swap is %q", got)
			}
		}
		check(small, 12*mib)
		if r, _, err = Grow(ctx, run, Options{Source: small, Size: 200 * mib}); err != nil || r.Size != 200*mib {
			t.Fatalf("%+v, %v", r, err)
		}
		rootSize := (r.Volumes[0].Size-mib)/(4*mib)*4*mib - 20*mib
		if r.Volumes[2].Size != rootSize || rootSize < 150*mib {
			t.Errorf("%+v, want a root of %d", r, rootSize)
		}
		check(small, rootSize)
	}
}

// contents are the files of a disk's system, as text.
func contents(t *testing.T, path string) string {
	t.Helper()
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	if tree.Root.Logical != "root" {
		t.Errorf("the root is %+v", tree.Root)
	}
	var b strings.Builder
	for _, name := range []string{"/etc/os-release", "/etc/fstab", "/data"} {
		data, err := tree.ReadFile(name, 32*mib)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		b.WriteString(name + " " + string(bytes.TrimRight(data[:min(len(data), 100)], "\n")) + "\n")
		_ = binary.Write(&b, binary.LittleEndian, int64(len(data)))
	}
	return b.String()
}

// TestLogicalAsLVMSeesIt has lvm2 itself look at a group before and after, by a loop device:
// it reads and checks metadata without device-mapper too.
func TestLogicalAsLVMSeesIt(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" || os.Geteuid() != 0 {
		t.Skip("attaches a loop device: set HEARTH_E2E=1, as root")
	}
	small := filepath.Join(t.TempDir(), "small.raw")
	if _, err := Shrink(context.Background(), &disk.Runner{}, Options{Source: logicalDisk(t, false), Target: small}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Grow(context.Background(), &disk.Runner{}, Options{Source: small, Size: 100 * mib}); err != nil {
		t.Fatal(err)
	}
	tool := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(name, args...).Output()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	loop := tool("losetup", "--find", "--show", small)
	defer func() { tool("losetup", "-d", loop) }()
	config := []string{"--config", `devices { filter = [ "a|^` + loop + `$|", "r|.*|" ] use_devicesfile = 0 } backup { backup = 0 archive = 0 }`}
	tool("vgck", append(config, "debian-vg")...)
	if got := tool("pvs", append(config, "--noheadings", "--units", "m", "--nosuffix", "-o", "pv_size,pv_free,pe_start")...); strings.Join(strings.Fields(got), " ") != "96.00 0 1.00" {
		t.Errorf("pvs: %s", got)
	}
	got := tool("lvs", append(config, "--noheadings", "--units", "m", "--nosuffix", "-o", "lv_name,lv_size,seg_count,seg_pe_ranges")...)
	if want := "data 4.00 1 " + loop + ":23-23 root 76.00 1 " + loop + ":4-22 swap 16.00 1 " + loop + ":0-3"; strings.Join(strings.Fields(got), " ") != want {
		t.Errorf("lvs: %s, want %s", got, want)
	}
	tool("pvresize", append(config, "-q", loop)...) // lvm2 writes the group itself, behind what was written here
	tool("vgck", append(config, "debian-vg")...)
}
