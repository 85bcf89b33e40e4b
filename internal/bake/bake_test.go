package bake

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/bake/guest"
	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
)

// fakeModule is the least ELF file with a section .modinfo.
func fakeModule(depends string) []byte {
	info := []byte("license=GPL\x00depends=" + depends + "\x00")
	names := []byte("\x00.modinfo\x00.shstrtab\x00")
	le := binary.LittleEndian
	b := make([]byte, 64)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], 1)
	le.PutUint16(b[18:], 62)
	le.PutUint32(b[20:], 1)
	le.PutUint16(b[52:], 64)
	le.PutUint16(b[58:], 64)
	le.PutUint16(b[60:], 3)
	le.PutUint16(b[62:], 2)
	infoAt := len(b)
	b = append(b, info...)
	namesAt := len(b)
	b = append(b, names...)
	le.PutUint64(b[40:], uint64(len(b)))
	b = append(b, make([]byte, 64)...)
	for i, s := range []struct{ name, kind, at, size int }{{1, 1, infoAt, len(info)}, {10, 3, namesAt, len(names)}} {
		h := make([]byte, 64)
		le.PutUint32(h, uint32(s.name))
		le.PutUint32(h[4:], uint32(s.kind))
		le.PutUint64(h[24:], uint64(s.at))
		le.PutUint64(h[32:], uint64(s.size))
		b = append(b, h...)
		_ = i
	}
	return b
}

func TestModuleOrder(t *testing.T) {
	m := newModules(map[string][]byte{
		"lib/modules/1/virtio-ring.ko": fakeModule(""),
		"lib/modules/1/virtio.ko":      fakeModule("virtio_ring"),
		"lib/modules/1/virtio_pci.ko":  fakeModule("virtio,virtio-ring"),
		"lib/modules/1/virtio_net.ko":  fakeModule("virtio,failover"),
		"lib/modules/1/failover.ko":    fakeModule(""),
		"lib/modules/1/broken.ko":      []byte("no ELF"),
	})
	got, err := m.order("virtio_net", "virtio-pci", "virtio_net")
	want := []string{"virtio_ring", "virtio", "failover", "virtio_net", "virtio_pci"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"none", "broken"} {
		if _, err := m.order(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestApplets(t *testing.T) {
	table := []byte("junk\x00[\x00[[\x00acpid\x00zcat\x00\x00more")
	if got := applets(table); !slices.Equal(got, []string{"[", "[[", "acpid", "zcat"}) {
		t.Errorf("%q", got)
	}
	if got := applets([]byte("no table")); got != nil {
		t.Errorf("%q", got)
	}
}

func TestParseURIs(t *testing.T) {
	out := "Reading...\n'http://x/pool/z/zlib1g_1.2%2bd_amd64.deb' zlib1g_1%3a1.2+d_amd64.deb 86684 SHA256:d7dd\n"
	debs, err := parseURIs(out, "/c")
	if d := debs["zlib1g"]; err != nil || d.path != "/c/zlib1g_1%3a1.2+d_amd64.deb" || d.size != 86684 || d.sum != "d7dd" {
		t.Errorf("%+v, %v", debs, err)
	}
	for _, bad := range []string{"'u' a.deb x SHA256:d", "'u' a.deb 1 MD5:d", "'u' ../a.deb 1 SHA256:d"} {
		if _, err := parseURIs(bad, "/c"); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestInstalled(t *testing.T) {
	got := installed("Package: a\nStatus: install ok installed\nVersion: 1:2-3\n\nPackage: b\nVersion: 4\n")
	if !slices.Equal(got, []string{"a_1:2-3", "b_4"}) {
		t.Errorf("%q", got)
	}
}

func TestRamdiskIsReadByCpio(t *testing.T) {
	tr := newTree()
	tr.text("/etc/a", "hello")
	tr.symlink("/bin/sh", "busybox")
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(cpio, "-itv")
	cmd.Stdin = bytes.NewReader(archive(tr))
	out, err := cmd.CombinedOutput()
	for _, want := range []string{"drwxr-xr-x", "bin/sh -> busybox", "-rw-r--r--", "5", "etc/a"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v: %s lacks %q", err, out, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var told []Step
	now := time.Unix(0, 0)
	s := steps{tell: func(s Step) { told = append(told, s) }, now: func() time.Time { return now }}
	w := s.begin("fetch", 1000)
	w.at(1) // too soon to be told
	now = now.Add(time.Second)
	w.at(250)
	now = now.Add(time.Second)
	if err := w.end(nil); err != nil {
		t.Error(err)
	}
	if len(told) != 3 || told[1].Rate != 250 || told[1].Left != 3*time.Second || !told[2].Finished || told[2].Done != 1000 {
		t.Errorf("%+v", told)
	}
	w = s.begin("x", 0)
	if err := w.end(fs.ErrExist); err == nil || told[len(told)-1].Err == nil {
		t.Error("the error is lost")
	}
}

func TestBakeUnknownRecipe(t *testing.T) {
	_, err := Bake(context.Background(), Options{Recipe: "cake"})
	if err == nil || !strings.Contains(err.Error(), "there are debian, ember") {
		t.Error(err)
	}
}

// TestImages cuts images from a small system made here, as any user, and reads
// them back: owners, modes, the boot sector, the manifest.
func TestImages(t *testing.T) {
	if _, err := os.Stat(bootdisk.FirstSector); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	o, err := newOven(Options{Recipe: "ember", OutDir: dir, CacheDir: dir, Raw: true})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(o.work)
	tr := newTree()
	tr.dir(0o700, "/root")
	tr.put(entry{path: "/bin/su", mode: 0o750 | fs.ModeSetuid, gid: wheel, data: []byte("x")})
	tr.put(entry{path: "/bin/sg", same: "/bin/su"})
	tr.put(entry{path: "/home/me", mode: fs.ModeDir | 0o755, uid: 1000, gid: 1000})
	s, err := tr.stage(filepath.Join(o.work, "tree"))
	if err != nil {
		t.Fatal(err)
	}
	sys := &system{kernel: []byte("kernel"), ramdisk: []byte("ramdisk"), root: s, label: "x", uuid: newUUID(), minSize: 16 << 20, user: "me", params: "p",
		boot: []disk.File{{Path: "/boot/vmlinuz", Mode: 0o644, Data: []byte("kernel")}}, menu: bootdisk.Menu{Title: "T", Kernel: "/k", Ramdisk: "/r", Params: "p"}}
	res, err := o.images(context.Background(), sys)
	var missing *disk.Error
	if errors.As(err, &missing) && missing.Kind == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	checkImages(t, o, res)
}

func checkImages(t *testing.T, o *oven, res Result) {
	t.Helper()
	f, err := os.Open(res.RawDisk)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := disk.ReadTable(f, fileSize(res.RawDisk))
	if last := table.Last(); err != nil || last == nil || last.Start != bootdisk.Gap || last.Size != 16<<20 || !last.Bootable {
		t.Errorf("table %+v, %v", table, err)
	}
	root, err := disk.ReadExt(f, bootdisk.Gap, 16<<20)
	if err != nil || root == nil || root.Label != "x" || root.BlockSize != blockSize {
		t.Errorf("root %+v, %v", root, err)
	}
	q, err := os.Open(res.Disk)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if info, err := disk.Detect(q, fileSize(res.Disk)); err != nil || info.Format != disk.QCOW2 || info.VirtualSize != 17<<20 {
		t.Errorf("qcow2 %+v, %v", info, err)
	}
	for command, want := range map[string]string{
		"stat /bin/su":            "Mode:  04750",
		"stat /bin/sg":            "Links: 2",
		"stat /home/me":           "User:  1000   Group:  1000",
		"cat /boot/grub/grub.cfg": "",
	} {
		image := res.Root
		if strings.HasPrefix(command, "cat") {
			image, want = res.RawDisk+fmt.Sprintf("?offset=%d", bootdisk.Gap), "linux16 /k p"
		}
		out, err := o.run.Run(context.Background(), disk.Command{Name: "debugfs", Args: []string{"-R", command, image}, Read: []string{strings.Split(image, "?")[0]}})
		if err != nil || !strings.Contains(out.Stdout, want) {
			t.Errorf("%s: %v %s lacks %q", command, err, out.Stdout, want)
		}
	}
	manifest, err := os.ReadFile(res.Manifest)
	if err != nil || !strings.Contains(string(manifest), `"ember.qcow2"`) {
		t.Errorf("manifest %s, %v", manifest, err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(res.Disk), "ember*"))
	if len(left) != 6 {
		t.Errorf("files %q", left)
	}
}

func TestGuestFiles(t *testing.T) {
	_, err := guest.Agent()
	if err != nil && !errors.Is(err, guest.ErrNotBuilt) {
		t.Fatal(err)
	}
	for _, init := range []string{guest.Systemd, guest.OpenRC, guest.SysV, guest.Runit} {
		files, err := guest.Install(init, "me")
		if errors.Is(err, guest.ErrNotBuilt) {
			continue
		}
		if err != nil || len(files) < 4 || string(files[1].Data) != "user=me\n" {
			t.Errorf("%s: %d files, %v", init, len(files), err)
		}
	}
	if _, err := guest.Install("upstart", "me"); err == nil {
		t.Error("an unknown init system was taken")
	}
}
