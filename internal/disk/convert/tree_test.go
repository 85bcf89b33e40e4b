package convert

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/fat"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/tree/treetest"
)

const emberID = "4bd3b3a7-0cbe-4a6c-95c4-1a2b3c4d5e6f"

// ember is a tree of ember's shape, whose fstab and menu fit any disk that is made
// of it: with one of each kind of file beside.
func ember() treetest.List {
	list := treetest.All()
	at := time.Unix(1e9, 0)
	menu := bootdisk.Menu{Title: "Ember", Kernel: "/boot/vmlinuz-6.1", Ramdisk: "/boot/initrd.img-6.1", Params: "root=UUID=" + emberID + " console=ttyS0,115200"}
	for _, f := range []struct{ name, content string }{{"/boot", ""}, {"/boot/grub", ""}, {"/boot/grub/grub.cfg", string(menu.Config())},
		{"/boot/initrd.img-6.1", "ramdisk"}, {"/boot/vmlinuz-6.1", strings.Repeat("kernel", 2000)},
		{"/etc/fstab", "UUID=" + emberID + " / ext4 defaults 0 1\nproc /proc proc defaults 0 0\n"}, {"/etc/os-release", "ID=ember\nNAME=Ember\n"}} {
		mode := uint32(tree.TypeFile | 0o644)
		if f.content == "" {
			mode = tree.TypeDir | 0o755
		}
		list = append(list, treetest.File{Entry: tree.Entry{Path: f.name, Mode: mode, MTime: at}, Content: f.content})
	}
	return list
}

func archive(t *testing.T, name string, from tree.Source) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := tarball.Write(context.Background(), &b, tarball.Zstd, from); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, name string) *tree.Manifest {
	t.Helper()
	m, err := ReadManifest(context.Background(), &disk.Runner{}, name, tree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTreeDisk looks at a disk that was made of files: table, loader, file system.
func TestTreeDisk(t *testing.T) {
	dir, ctx, run := t.TempDir(), context.Background(), &disk.Runner{}
	name, _ := convertTo(t, archive(t, filepath.Join(dir, "a.tar"), ember()), "raw", filepath.Join(dir, "out"))
	guestfstest.Clean(t, name, bootdisk.Gap)
	d, err := guestfs.Open(ctx, run, []disk.Layer{{Path: name, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if len(d.Volumes) != 1 || !d.Volumes[0].Bootable || d.Volumes[0].UUID != emberID || d.Scheme != disk.SchemeMBR {
		t.Errorf("volumes %+v", d.Volumes[0])
	}
	head := make([]byte, 1024)
	if _, err := d.Reader().ReadAt(head, 0); err != nil || bytes.Equal(head[512:], make([]byte, 512)) || head[0] != 0xeb {
		t.Errorf("no boot loader, %v", err)
	}
}

// TestForeignTree: a tree of two partitions of another disk boots from one of this.
func TestForeignTree(t *testing.T) {
	dir, ctx, run := t.TempDir(), context.Background(), &disk.Runner{}
	list := treetest.List{{Entry: tree.Entry{Path: "/", Mode: tree.TypeDir | 0o755}}}
	for _, f := range []struct{ name, content string }{{"/boot", ""}, {"/boot/grub", ""},
		{"/boot/grub/grub.cfg", "menuentry 'Debian' {\nlinux /vmlinuz-6.1 root=/dev/sda3 ro quiet\ninitrd /initrd.img-6.1\n}\n"},
		{"/boot/initrd.img-6.1", "ramdisk"}, {"/boot/vmlinuz-6.1", strings.Repeat("kernel", 2000)}, {"/etc", ""},
		{"/etc/fstab", "# mine\n/dev/sda3 / ext3 defaults 0 1\n/dev/sda1 /boot ext3 defaults 0 2\nUUID=1 none swap sw 0 0\nproc /proc proc defaults 0 0\n"}} {
		mode := uint32(tree.TypeFile | 0o644)
		if f.content == "" {
			mode = tree.TypeDir | 0o755
		}
		list = append(list, treetest.File{Entry: tree.Entry{Path: f.name, Mode: mode}, Content: f.content})
	}
	name, r := convertTo(t, archive(t, filepath.Join(dir, "a.tar.gz"), list), "qcow2", filepath.Join(dir, "out"))
	if len(r.Notes) != 5 {
		t.Errorf("notes %q", r.Notes)
	}
	d, err := guestfs.Open(ctx, run, []disk.Layer{{Path: name, Format: disk.QCOW2}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	id := d.Volumes[0].UUID
	want := "# mine\nUUID=" + id + " / ext4 defaults 0 1\n# not in this image: /dev/sda1 /boot ext3 defaults 0 2\n# not in this image: UUID=1 none swap sw 0 0\nproc /proc proc defaults 0 0\n"
	if b, err := got.ReadFile("/etc/fstab", 1000); string(b) != want {
		t.Errorf("fstab\n%s\nwant\n%s, %v", b, want, err)
	}
	b, err := got.ReadFile("/boot/grub/grub.cfg", 1000)
	for _, want := range []string{bootdisk.ConfigMark, "linux16 /boot/vmlinuz-6.1 root=UUID=" + id + " ro quiet console=tty0 console=ttyS0,115200\n", "initrd16 /boot/initrd.img-6.1\n"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the menu lacks %q: %s, %v", want, b, err)
		}
	}
}

// settled takes the tree that the appliance is to put into another file system.
type settled struct {
	disk.FileSystems
	menu, defaults string
}

// Copy implements [disk.FileSystems].
func (s *settled) Copy(ctx context.Context, from, _ disk.FileSystem) (disk.FSUse, error) {
	d, err := guestfs.Open(ctx, &disk.Runner{}, []disk.Layer{from.Layer}, guestfs.ReadOnly)
	if err != nil {
		return disk.FSUse{}, err
	}
	defer d.Close()
	t := d.TreeOf(d.Volumes[0])
	menu, err := t.ReadFile(bootdisk.ConfigPath, 1000)
	if err != nil {
		return disk.FSUse{}, err
	}
	defaults, err := t.ReadFile("/etc/default/grub", 1000)
	s.menu, s.defaults = string(menu), string(defaults)
	return disk.FSUse{}, err
}

// TestFirstMount: on an f2fs each menu, ours that fitted and those that update-grub makes
// later, has the kernel mount its root for writing; on others they stay as they were.
func TestFirstMount(t *testing.T) {
	root := "root=UUID=" + emberID
	for _, c := range []struct{ fs, args, want, defaults, later string }{
		{"f2fs", " ro quiet console=ttyS0", " quiet console=ttyS0 rw\n", "GRUB_CMDLINE_LINUX='quiet'\n", "GRUB_CMDLINE_LINUX=\"quiet rw\"\n"},
		{"f2fs", " console=ttyS0", " console=ttyS0 rw\n", "A=1", "A=1\nGRUB_CMDLINE_LINUX=\"rw\"\n"},
		{"f2fs", " rw console=ttyS0", " rw console=ttyS0\n", "GRUB_CMDLINE_LINUX=rw\n", "GRUB_CMDLINE_LINUX=rw\n"},
		{"xfs", " ro console=ttyS0", " ro console=ttyS0\n", "GRUB_CMDLINE_LINUX='quiet'\n", "GRUB_CMDLINE_LINUX='quiet'\n"},
	} {
		list := ember()
		for i := range list {
			if list[i].Path == bootdisk.ConfigPath {
				list[i].Content = string(bootdisk.Menu{Title: "Ember", Kernel: "/boot/vmlinuz-6.1", Ramdisk: "/boot/initrd.img-6.1", Params: root + c.args}.Config())
			}
		}
		list = append(list, treetest.File{Entry: tree.Entry{Path: "/etc/default", Mode: tree.TypeDir | 0o755}},
			treetest.File{Entry: tree.Entry{Path: "/etc/default/grub", Mode: tree.TypeFile | 0o644}, Content: c.defaults})
		dir, made := t.TempDir(), &settled{}
		_, err := Tree(t.Context(), &disk.Runner{FileSystems: made}, TreeOptions{Source: archive(t, filepath.Join(dir, "a.tar"), list), Target: filepath.Join(dir, "out.raw"), To: "raw", FS: c.fs})
		if disk.KindOf(err) == disk.ToolMissing {
			t.Skip(err)
		}
		if err != nil || !strings.Contains(made.menu, root+c.want) || made.defaults != c.later {
			t.Errorf("%+v: %s\n%s%v", c, made.menu, made.defaults, err)
		}
	}
}

// TestRootByMenu: a tree whose fstab says nothing of the root, as ember's, is not changed.
func TestRootByMenu(t *testing.T) {
	list := ember()
	for i := range list {
		if list[i].Path == "/etc/fstab" {
			list[i].Content = ""
		}
	}
	dir := t.TempDir()
	name, r := convertTo(t, archive(t, filepath.Join(dir, "a.tar"), list), "raw", filepath.Join(dir, "out"))
	treetest.Equal(t, "raw", treetest.Manifest(t, list), read(t, name))
	if len(r.Notes) > 0 {
		t.Errorf("notes %q", r.Notes)
	}
}

// TestWholeDisk: Ganeti's export of a disk whose files nobody reads is the disk, and of
// one with files it has their tree.
func TestWholeDisk(t *testing.T) {
	dir := t.TempDir()
	strange := filepath.Join(dir, "windows.raw")
	if err := os.WriteFile(strange, append(make([]byte, 1<<20), strings.Repeat("ntfs", 1<<18)...), 0o600); err != nil {
		t.Fatal(err)
	}
	export, _ := convertTo(t, strange, "ganeti-disk", filepath.Join(dir, "a"))
	back, _ := convertTo(t, export, "raw", filepath.Join(dir, "b"))
	was, _ := os.ReadFile(strange)
	if is, err := os.ReadFile(back); err != nil || !bytes.Equal(was, is) {
		t.Errorf("%d bytes became %d, %v", len(was), len(is), err)
	}
	if _, err := Tree(context.Background(), &disk.Runner{}, TreeOptions{Source: export, Target: filepath.Join(dir, "c"), To: "tar"}); disk.KindOf(err) != disk.Unsupported {
		t.Errorf("an archive of no files: %v", err)
	}
	ours, _ := convertTo(t, archive(t, filepath.Join(dir, "e.tar"), ember()), "qcow2", filepath.Join(dir, "d"))
	export, _ = convertTo(t, ours, "ganeti-disk", filepath.Join(dir, "e"))
	treetest.Equal(t, "export", treetest.Manifest(t, ember()), read(t, export))
}

// TestMountedBoot: a disk of two file systems is one archive, and a pair of dumps.
func TestMountedBoot(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "disk")
	root := guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/fstab=LABEL=root / ext4 defaults 0 1\n/dev/sda1 /boot ext2 defaults 0 2\n", "boot/hidden=x")
	})
	boot := guestfstest.Image(t, guestfstest.Options{Type: "ext2"}, func(dir string) { guestfstest.Tree(t, dir, "vmlinuz-1=k", "grub/grub.cfg=x") })
	put := func(at int64, from string) {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		guestfstest.Overwrite(t, name, at, b)
	}
	f, err := os.Create(name)
	if err != nil || f.Truncate(33<<20) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	sector := make([]byte, 512)
	disk.MBRTable(sector, 1<<20, 17<<20)
	copy(sector[446+16:], sector[446:462])
	copy(sector[446+16+8:], []byte{0, 0x88, 0, 0, 0, 0x80, 0, 0}) // sectors 17 MiB on, 16 MiB
	guestfstest.Overwrite(t, name, 0, sector)
	put(1<<20, boot)
	put(17<<20, root)
	want := read(t, name)
	if want.Items["/boot/vmlinuz-1"] == nil || want.Items["/boot/hidden"] != nil || want.Items["/etc/fstab"] == nil {
		t.Fatalf("the disk has %v", want.Items)
	}
	for _, to := range []string{"tar.zst", "dump", "ganeti"} {
		made, _ := convertTo(t, name, to, filepath.Join(dir, "out"))
		treetest.Equal(t, to, want, read(t, made))
	}
}

// TestMountedFAT: what fstab mounts that is FAT is of the tree, as root's.
func TestMountedFAT(t *testing.T) {
	dir := t.TempDir()
	name, esp := filepath.Join(dir, "disk"), filepath.Join(dir, "esp")
	err := fat.Make(esp, fat.Options{Size: 8 << 20, Label: "EFI", ID: 0x1234abcd, Files: []fat.File{{Path: "/EFI/BOOT/BOOTX64.EFI", Data: []byte("loader")}}})
	if err != nil {
		t.Fatal(err)
	}
	root := guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/fstab=LABEL=root / ext4 defaults 0 1\nUUID=1234-ABCD /boot/efi vfat umask=0077 0 1\n", "boot/efi/hidden=x")
	})
	f, err := os.Create(name)
	if err != nil || f.Truncate(33<<20) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	sector := make([]byte, 512)
	disk.MBRTable(sector, 1<<20, 17<<20)
	copy(sector[446+16:], sector[446:462])
	copy(sector[446+16+8:], []byte{0, 0x88, 0, 0, 0, 0x80, 0, 0}) // sectors 17 MiB on, 16 MiB
	guestfstest.Overwrite(t, name, 0, sector)
	for at, from := range map[int64]string{1 << 20: esp, 17 << 20: root} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		guestfstest.Overwrite(t, name, at, b)
	}
	want := read(t, name)
	if i := want.Items["/boot/efi/EFI/BOOT/BOOTX64.EFI"]; i == nil || i.Size != 6 || i.Mode != tree.TypeFile|0o755 || i.UID != 0 || want.Items["/boot/efi/hidden"] != nil {
		t.Fatalf("the disk has %v", want.Items)
	}
	for _, to := range []string{"tar.zst", "dump"} {
		made, _ := convertTo(t, name, to, filepath.Join(dir, "out"))
		treetest.Equal(t, to, want, read(t, made))
	}
}

func TestKindOf(t *testing.T) {
	dir := t.TempDir()
	tarOf := func(name string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg}); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for n, tt := range []struct {
		bytes []byte
		kind  string
	}{{tarOf("etc/passwd"), kindTar}, {tarOf("./root.dump"), kindGaneti}, {tarOf("x.ovf"), kindDisk}, {nil, kindDisk}, {make([]byte, 4096), kindDisk}, {[]byte("\x1f\x8bxxxx"), kindDisk}, {[]byte("QFI\xfb"), kindDisk}} {
		name := filepath.Join(dir, string(rune('a'+n)))
		if err := os.WriteFile(name, tt.bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		if kind, err := kindOf(name); kind != tt.kind || err != nil {
			t.Errorf("%d: %s, %v, want %s", n, kind, err, tt.kind)
		}
	}
}

// TestTreeLeavesNothing: what fails, or is given up, leaves nothing, and what was
// there stays.
func TestTreeLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	src := archive(t, filepath.Join(dir, "a.tar"), ember())
	bad := filepath.Join(dir, "bad.tar")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if w.WriteHeader(&tar.Header{Name: "../x", Typeflag: tar.TypeReg}) != nil || w.Close() != nil || os.WriteFile(bad, b.Bytes(), 0o600) != nil {
		t.Fatal("archive")
	}
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x-boot.dump"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	for _, opt := range []TreeOptions{{Source: src, Target: "there", To: "raw"}, {Source: src, Target: "there", To: "tar"}, {Source: src, Target: "x", To: "dump"}, {Source: bad, Target: "new", To: "raw"},
		{Source: bad, Target: "new", To: "tar"}, {Source: bad, Target: "new", To: "dump"}, {Source: src, Target: "new", To: "raw", Size: 2 << 20}, {Source: src, Target: "new", To: "raw", Compress: "zstd"},
		{Source: src, Target: "new", To: "dump", Compress: "bzip2"}, {Source: filepath.Join(dir, "there"), Target: "new", To: "tar"}, {Source: src, Target: "new", To: "tar", Limits: tree.Limits{Bytes: 4096}}, {Source: src, Target: "new", To: "raw", Limits: tree.Limits{Files: 3}}, {Source: src, Target: "given-up", To: "tar"}} {
		if opt.Target = filepath.Join(dir, opt.Target); strings.HasSuffix(opt.Target, "given-up") {
			cancel()
		}
		if r, err := Tree(ctx, &disk.Runner{}, opt); err == nil {
			t.Errorf("%+v made %+v", opt, r)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 4 {
		t.Errorf("left behind: %v", list)
	}
	cancel()
}

// TestTreeAsNobody runs the conversions as a user without any right.
func TestTreeAsNobody(t *testing.T) {
	if os.Getenv("HEARTH_TREE_AS_NOBODY") == "1" {
		t.Setenv("HEARTH_TREE_AS_NOBODY", "")
		dir := t.TempDir()
		want := treetest.Manifest(t, ember())
		first := archive(t, filepath.Join(dir, "ember.tar.zst"), ember())
		for _, to := range []string{"qcow2", "dump", "ami"} {
			name, _ := convertTo(t, first, to, filepath.Join(dir, "n"))
			treetest.Equal(t, to, want, read(t, name))
		}
		return
	}
	if os.Getenv("HEARTH_E2E") != "1" || os.Geteuid() != 0 {
		t.Skip("needs root, to give it up: HEARTH_E2E=1")
	}
	dir, err := os.MkdirTemp("/tmp", "trees-nobody-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "convert.test")
	if err := os.WriteFile(program, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", program, "-test.run=^TestTreeAsNobody$", "-test.v")
	cmd.Dir, cmd.Env = dir, []string{"HEARTH_TREE_AS_NOBODY=1", "TMPDIR=" + dir, "HOME=" + dir, "PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestTreeAsNobody")) {
		t.Errorf("%v: %s", err, out)
	}
}
