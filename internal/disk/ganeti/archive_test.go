package ganeti

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/tree"
)

// system makes a tarball of a small system with a kernel.
func system(t *testing.T) string {
	t.Helper()
	kernel := make([]byte, 5000)
	copy(kernel[0x202:], "HdrS")
	kernel[0x20f] = 4
	copy(kernel[0x600:], "6.1.0-test (x)\x00")
	path := filepath.Join(t.TempDir(), "small.tar.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	for _, m := range []struct {
		name, data string
		mode       int64
		uid        int
	}{{"./", "", 0o755, 0}, {"./etc/", "", 0o755, 0}, {"./etc/os-release", "ID=debian\n", 0o644, 0}, {"./etc/hostname", "old\n", 0o644, 0}, {"./etc/inittab", "id:2:initdefault:\n", 0o644, 0},
		{"./boot/", "", 0o755, 0}, {"./boot/vmlinuz-6.1.0-test", string(kernel), 0o644, 0}, {"./boot/initrd.img-6.1.0-test", "ramdisk", 0o644, 0}, {"./data", "hearth", 0o4750, 1000}} {
		h := &tar.Header{Name: m.name, Mode: m.mode, Uid: m.uid, Gid: m.uid, Size: int64(len(m.data)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(m.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.data); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{w, z, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// answer runs one of our scripts and gives what it wrote.
func answer(t *testing.T, settings, name string, in []byte, env ...string) []byte {
	t.Helper()
	e, err := ParseEnv(env)
	if err != nil {
		t.Fatal(err)
	}
	var log, out bytes.Buffer
	err = (&Answer{Run: &disk.Runner{}, Env: e, Places: Places{Settings: settings}, In: bytes.NewReader(in), Out: &out, Log: &log}).Do(context.Background(), name)
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, log.String())
	}
	return out.Bytes()
}

func blank(t *testing.T, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	return path
}

// manifest is what a disk has, but for what each deployment makes anew.
func manifest(t *testing.T, path string) *tree.Manifest {
	t.Helper()
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	files, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	m, err := tree.NewManifest(context.Background(), tree.FromDisk(files))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/", "/etc", "/boot", "/boot/grub", "/etc/fstab", "/boot/grub/grub.cfg"} { // the UUIDs of the file systems
		delete(m.Items, name)
	}
	return m
}

// TestDumps has a disk that was laid out here exported as ganeti-instance-image
// would, read by restore(8), and imported again.
func TestDumps(t *testing.T) {
	settings := filepath.Join(t.TempDir(), "settings")
	if err := os.WriteFile(settings, []byte("CUSTOMIZE_DIR=/nowhere\nSWAP_SIZE=16\nBOOT_SIZE=20\nEXPORT_DIR="+t.TempDir()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, b := blank(t, 96<<20), blank(t, 96<<20)
	answer(t, settings, "create", nil, environ(a, "OSP_IMAGE="+system(t))...)
	archive := answer(t, settings, "export", nil, environ(a, "EXPORT_DEVICE="+a)...)
	dir := t.TempDir()
	out := exec.Command("tar", "xvf", "-", "-C", dir)
	out.Stdin = bytes.NewReader(archive)
	if list, err := out.Output(); err != nil || string(list) != "./boot.dump\n./root.dump\n" {
		t.Fatalf("the archive has %q, %v", list, err)
	}
	if _, err := exec.LookPath("restore"); err == nil {
		list, err := exec.Command("restore", "-tf", filepath.Join(dir, "root.dump")).CombinedOutput()
		if err != nil || !strings.Contains(string(list), "./etc/hostname") || strings.Contains(string(list), "vmlinuz") {
			t.Errorf("restore: %v\n%s", err, list)
		}
	}
	answer(t, settings, "import", archive, environ(b, "IMPORT_DEVICE="+b)...)
	if diff := tree.Diff(manifest(t, a), manifest(t, b)); len(diff) > 0 {
		t.Errorf("not the same:\n%s", strings.Join(diff, "\n"))
	}
	if again := answer(t, settings, "export", nil, environ(a, "EXPORT_DEVICE="+a, "OSP_NOMOUNT=yes")...); !bytes.Contains(again[:512], []byte("./disk.img")) {
		t.Errorf("with NOMOUNT: %.20q", again)
	}
}

// TestExportDir has a folder of gnt-backup's written and read.
func TestExportDir(t *testing.T) {
	a := blank(t, 96<<20)
	d, err := osdef.Import("x", "CUSTOMIZE_DIR=/nowhere\nSWAP_SIZE=16\nBOOT_SIZE=20\n")
	if err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(t.TempDir(), "settings")
	if err := os.WriteFile(settings, []byte(osdef.Shell(d.List(false))), 0o600); err != nil {
		t.Fatal(err)
	}
	answer(t, settings, "create", nil, environ(a, "OSP_IMAGE="+system(t))...)
	dir := filepath.Join(t.TempDir(), "web1.lab")
	t.Chdir(filepath.Dir(dir))
	if err := WriteExport(context.Background(), &disk.Runner{}, "web1.lab", a, "web1.lab", "hearth+default", 256<<20, d, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !IsExport(dir) {
		t.Fatal("it is none")
	}
	e, err := ReadExport(dir)
	if err != nil || e.Instance != "web1.lab" || e.OS != "hearth+default" || e.Memory != 256<<20 || len(e.Disks) != 1 || e.Disks[0].Size != 96<<20 {
		t.Fatalf("%+v, %v", e, err)
	}
	to := t.TempDir()
	image, err := e.Unpack(context.Background(), 0, to)
	if err != nil || image != filepath.Join(to, "import-root.dump") {
		t.Errorf("%s, %v", image, err)
	}
	if err := WriteExport(context.Background(), &disk.Runner{}, dir, a, "web1.lab", "x", 1<<20, d, io.Discard); err == nil {
		t.Error("a folder that is there is written to")
	}
}

// config is what gnt-backup of Ganeti 3.0.2 wrote, as far as it matters.
const config = `[export]
version = 0
timestamp = 1795272467
source = 0d6ad1d6-4d9f-4bd7-b1b0-9d0f5bd1cbf6
os = hearth+default
compression = none

[instance]
name = qemu.lab
maxmem = 256
minmem = 256
memory = 256
nic0_mac = aa:00:11:30:5a:9c
nic0_ip = None
nic_count = 1
disk0_ivname = disk/0
disk0_dump = 4c3d0a6e-39fe-43c5-a1f9-3e3e3a1cbb0a
disk0_size = 1024
disk1_dump = second
disk1_size = 10
disk_count = 2
`

func TestParseExport(t *testing.T) {
	e, err := parseExport(config)
	if err != nil || e.Instance != "qemu.lab" || e.Memory != 256<<20 || len(e.Disks) != 2 || e.Disks[1] != (ExportedDisk{"second", 10 << 20}) || !slices.Equal(e.MACs, []string{"aa:00:11:30:5a:9c"}) {
		t.Errorf("%+v, %v", e, err)
	}
	for was, is := range map[string]string{"version = 0": "version = 1", "[instance]": "[other]", "disk0_dump = 4c3d0a6e-39fe-43c5-a1f9-3e3e3a1cbb0a": "disk0_dump = ../x", "maxmem = 256": "maxmem = -1", "disk0_dump": "disk9_dump"} {
		if e, err := parseExport(strings.Replace(config, was, is, 1)); err == nil {
			t.Errorf("%s is %+v", is, e)
		}
	}
}

func FuzzParseExport(f *testing.F) {
	f.Add(config)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parseExport(text)
		if err != nil {
			return
		}
		for _, d := range e.Disks {
			if d.Dump != filepath.Base(d.Dump) || d.Size < 0 {
				t.Error(fmt.Sprint(d))
			}
		}
	})
}
