package convert

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
)

func source(t *testing.T) string {
	return guestfstest.Image(t, guestfstest.Options{Partition: true, Size: 32 << 20}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/fstab=/dev/vda1 / ext4 defaults 0 1\n/dev/vda1 /boot ext4 defaults 0 2\nproc /proc proc defaults 0 0\n",
			"boot/vmlinuz-6.1="+strings.Repeat("k", 5000), "boot/initrd.img-6.1=ramdisk", "boot/vmlinuz-6.2="+strings.Repeat("K", 5000),
			"boot/grub/grub.cfg=menuentry 'Debian' {\nlinux /boot/vmlinuz-6.1 root=/dev/vda1 ro console=ttyS0\ninitrd /boot/initrd.img-6.1\n}\n",
			"data="+strings.Repeat("hearth", 100000))
	})
}

// TestMatrix makes each format of each, and holds the disks against each other.
func TestMatrix(t *testing.T) {
	raw := source(t)
	formats := []disk.Format{disk.Raw, disk.QCOW2, disk.VMDK, disk.VDI, disk.VHD, disk.VHDX}
	dir, ctx, run := t.TempDir(), context.Background(), &disk.Runner{}
	name := func(f disk.Format) string {
		if f == disk.VHD {
			return "vpc"
		}
		return string(f)
	}
	for _, from := range formats {
		first := filepath.Join(dir, string(from))
		r, err := Disk(ctx, run, Options{Source: raw, Target: first, Format: from})
		if disk.KindOf(err) == disk.ToolMissing {
			t.Skip(err)
		}
		if err != nil || r.From != disk.Raw || r.VirtualSize != 33<<20 {
			t.Fatalf("raw to %s: %+v, %v", from, r, err)
		}
		for _, to := range formats {
			second := filepath.Join(dir, string(from)+"-"+string(to))
			told := 0.0
			r, err := Disk(ctx, run, Options{Source: first, Target: second, Format: to, Progress: func(p Progress) { told = float64(p.Done) / float64(p.Total) }})
			if err != nil || r.From != from || r.Format != to || r.VirtualSize != 33<<20 || told != 1 {
				t.Errorf("%s to %s: %+v, %v, told %v", from, to, r, err, told)
				continue
			}
			if out, err := exec.Command("qemu-img", "compare", "-f", "raw", "-F", name(to), raw, second).CombinedOutput(); err != nil {
				t.Errorf("%s to %s: %v: %s", from, to, err, out)
			}
			os.Remove(second)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestNothingIsLeft(t *testing.T) {
	raw, dir := source(t), t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, opt := range []Options{{Source: raw, Target: filepath.Join(dir, "x"), Format: disk.QCOW2}, {Source: raw, Target: there, Format: disk.QCOW2},
		{Source: raw, Target: filepath.Join(dir, "x"), Format: "floppy"}, {Source: raw, Target: filepath.Join(dir, "x"), Format: disk.VDI, Compress: "zstd"}} {
		if r, err := Disk(ctx, &disk.Runner{}, opt); err == nil {
			t.Errorf("%+v made %+v", opt, r)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
	if b, _ := os.ReadFile(there); string(b) != "mine" {
		t.Errorf("what was there has %q", b)
	}
}

func TestAMI(t *testing.T) {
	raw := source(t)
	ctx, run, dir := context.Background(), &disk.Runner{}, t.TempDir()
	var steps []string
	done, total := int64(0), int64(0)
	r, err := AMI(ctx, run, raw, filepath.Join(dir, "debian"), Telling{func(step string) { steps = append(steps, step) }, func(_ string, d, t int64) { done, total = d, t }})
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 2 || done < r.RootSize || done != total {
		t.Errorf("%q was told, %d of %d bytes", steps, done, total)
	}
	if k, _ := os.ReadFile(r.Kernel); string(k) != strings.Repeat("k", 5000) {
		t.Errorf("not the kernel of the default entry: %.10q", k)
	}
	if b, _ := os.ReadFile(r.Ramdisk); string(b) != "ramdisk" {
		t.Errorf("ramdisk %q", b)
	}
	st, err := os.Stat(r.Root)
	if err != nil || st.Size() != r.RootSize || r.RootSize > 12<<20 {
		t.Fatalf("root of %d bytes, %v: %+v", st.Size(), err, r)
	}
	guestfstest.Clean(t, r.Root, 0)
	if free := freeIn(t, r.Root, r.RootSize); free < r.RootSize/40 {
		t.Errorf("of %d bytes %d are free: its guest can write nothing before it is grown", r.RootSize, free)
	}
	d, err := guestfs.Open(ctx, run, []disk.Layer{{Path: r.Root, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	id := d.Volumes[0].UUID
	if r.CommandLine != "root=UUID="+id+" ro console=ttyS0" || r.Version != "6.1" {
		t.Errorf("%+v", r)
	}
	tree := d.TreeOf(d.Volumes[0])
	if b, err := tree.ReadFile("/data", 1<<20); err != nil || string(b) != strings.Repeat("hearth", 100000) {
		t.Errorf("data of %d bytes, %v", len(b), err)
	}
	want := "UUID=" + id + " / ext4 defaults 0 1\n# not in this image: /dev/vda1 /boot ext4 defaults 0 2\nproc /proc proc defaults 0 0\n"
	if b, _ := tree.ReadFile("/etc/fstab", 1000); string(b) != want {
		t.Errorf("fstab\n%s, want\n%s", b, want)
	}
	if _, err := AMI(ctx, run, raw, filepath.Join(dir, "debian"), Telling{}); err == nil {
		t.Error("files that were there are replaced")
	}
	if list, _ := os.ReadDir(dir); len(list) != 3 {
		t.Errorf("left behind: %v", list)
	}
	if _, err := AMI(ctx, run, guestfstest.Image(t, guestfstest.Options{}, func(string) {}), filepath.Join(dir, "none"), Telling{}); disk.KindOf(err) != disk.Unsupported {
		t.Errorf("a disk without a kernel: %v", err)
	}
}

// TestRelativeNames: tools run in another folder than who names the files.
func TestRelativeNames(t *testing.T) {
	raw, ctx, run := source(t), context.Background(), &disk.Runner{}
	t.Chdir(filepath.Dir(raw))
	r, err := Disk(ctx, run, Options{Source: filepath.Base(raw), Target: "made.vmdk", Format: disk.VMDK})
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := AMI(ctx, run, "made.vmdk", "ami", Telling{}); err != nil {
		t.Errorf("%v: %+v", err, r)
	}
}

// freeIn is how many bytes are free in the ext file system that is a file.
func freeIn(t *testing.T, path string, size int64) int64 {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fs, err := ext4.Open(f, 0, size)
	if err != nil || fs == nil {
		t.Fatal(err)
	}
	return fs.Size - fs.Used()
}

func TestMeter(t *testing.T) {
	now := time.Unix(0, 0)
	var got Progress
	m := Meter(func(p Progress) { got = p }, 1000, func() time.Time { return now })
	now = now.Add(2 * time.Second)
	m(250)
	if want := (Progress{250, 1000, 125, 6 * time.Second}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	m = Meter(func(p Progress) { got = p }, -1, func() time.Time { return now })
	now = now.Add(time.Second)
	m(300)
	if want := (Progress{300, 0, 300, 0}); got != want {
		t.Errorf("of a stream: %+v, want %+v", got, want)
	}
	if Meter(nil, 1, time.Now) != nil {
		t.Error("nobody listens, and is told")
	}
}

// TestLeftovers has what a killed conversion left beside its target removed by the next one.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	source, left := filepath.Join(dir, "source"), filepath.Join(dir, ".hearth-convert-12")
	if err := errors.Join(os.WriteFile(source, make([]byte, 1<<20), 0o600), os.Mkdir(left, 0o700), os.WriteFile(filepath.Join(left, "image"), []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Disk(t.Context(), &disk.Runner{}, Options{Source: source, Target: filepath.Join(dir, "made"), Format: disk.Raw}); err != nil {
		t.Fatal(err)
	}
	if found, err := filepath.Glob(filepath.Join(dir, ".*")); len(found) > 0 || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}
