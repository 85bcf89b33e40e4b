package deploy

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/osdef"
)

// kernel is one by its header, as far as the version goes.
func kernel() string {
	b := make([]byte, 5000)
	copy(b[0x202:], "HdrS")
	b[0x20e], b[0x20f] = 0, 4
	copy(b[0x600:], "6.1.0-test (x)\x00")
	return string(b)
}

type member struct {
	name, data, link string
	mode             int64
	uid              int
	dir              bool
}

// archive makes a tarball of a small system.
func archive(t *testing.T, more ...member) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "debian-5.0-x86_64.tar.gz")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	all := append([]member{{name: "./", dir: true, mode: 0o755}, {name: "./etc", dir: true, mode: 0o755}, {name: "./etc/os-release", data: "ID=debian\nPRETTY_NAME=Debian\n", mode: 0o644},
		{name: "./etc/fstab", data: "/dev/sda1 / ext3 defaults 0 1\n", mode: 0o644}, {name: "./etc/inittab", data: "id:2:initdefault:\n", mode: 0o644}, {name: "./etc/hostname", data: "old\n", mode: 0o644},
		{name: "./etc/ssh", dir: true, mode: 0o755}, {name: "./etc/ssh/ssh_host_ed25519_key", data: "secret", mode: 0o600}, {name: "./boot", dir: true, mode: 0o755},
		{name: "./etc/default", dir: true, mode: 0o755}, {name: "./etc/default/grub", data: "GRUB_CMDLINE_LINUX=\"quiet\"\n", mode: 0o644},
		{name: "./boot/vmlinuz-6.1.0-test", data: kernel(), mode: 0o644}, {name: "./boot/initrd.img-6.1.0-test", data: "ramdisk", mode: 0o644},
		{name: "./home", dir: true, mode: 0o755}, {name: "./home/ann", data: "hello", mode: 0o4750, uid: 1000}, {name: "./sbin", link: "usr/sbin", mode: 0o777}}, more...)
	for _, m := range all {
		h := &tar.Header{Name: m.name, Mode: m.mode, Uid: m.uid, Gid: m.uid, Size: int64(len(m.data)), Typeflag: tar.TypeReg}
		switch {
		case m.dir:
			h.Typeflag = tar.TypeDir
		case m.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, m.link
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []interface{ Close() error }{w, z, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func definition(t *testing.T, settings string) *osdef.Definition {
	t.Helper()
	d, err := osdef.Import("test", "SWAP_SIZE=16\nBOOT_SIZE=20\nCUSTOMIZE_DIR="+t.TempDir()+"\n"+settings)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deploy deploys; a machine without a tool skips the test.
func deployTo(t *testing.T, opt Options) *Report {
	t.Helper()
	r, err := (&Deployer{Run: &disk.Runner{}}).Deploy(context.Background(), opt)
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t *testing.T, path string) *guestfs.Tree {
	t.Helper()
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	tree, err := d.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func text(t *testing.T, tree *guestfs.Tree, name string) string {
	t.Helper()
	b, err := tree.ReadFile(name, 1<<20)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return string(b)
}

func TestTarball(t *testing.T) {
	image := archive(t)
	target := filepath.Join(t.TempDir(), "disk.raw")
	over := t.TempDir()
	guestfstest.Tree(t, over, ".profile=dot\n", "etc/resolv.conf=nameserver 192.0.2.1\n")
	d := definition(t, "FILESYSTEM=ext4\nKERNEL_ARGS='nosmt quiet'\nOVERLAY="+over+"\n")
	r := deployTo(t, Options{Definition: d, Image: image, Target: target, Size: 128 << 20, Name: "web1.example.org", Serial: true})
	if r.Type != "tarball" || len(r.Partitions) != 3 || len(r.Warnings) > 0 {
		t.Fatalf("%+v", r)
	}
	for _, p := range r.Partitions {
		if p.FileSystem != "" {
			guestfstest.Clean(t, target, p.Start)
		}
	}
	tree := open(t, target)
	root, boot := r.Partitions[2], r.Partitions[0]
	wantArgs := "root=UUID=" + root.UUID + " ro nosmt quiet console=tty0 console=ttyS0,115200n8"
	if r.CommandLine != wantArgs {
		t.Errorf("%s, want %s", r.CommandLine, wantArgs)
	}
	if tree.Mounts["/boot"] == nil || tree.Mounts["/boot"].UUID != boot.UUID || tree.Mounts["/boot"].Label != "/boot" {
		t.Errorf("%+v", tree.Mounts)
	}
	menu := text(t, tree, "/boot/grub/grub.cfg")
	for _, want := range []string{"linux16 /vmlinuz-6.1.0-test " + wantArgs + "\n", "initrd16 /initrd.img-6.1.0-test\n", "serial --unit=0"} {
		if !strings.Contains(menu, want) {
			t.Errorf("%q lacks in %s", want, menu)
		}
	}
	for name, want := range map[string]string{"/.profile": "dot\n", "/etc/resolv.conf": "nameserver 192.0.2.1\n", "/etc/hostname": "web1\n", "/etc/inittab": "id:2:initdefault:\nT0:2345:respawn:/sbin/getty -L 115200 ttyS0 vt100\n"} {
		if got := text(t, tree, name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := text(t, tree, "/etc/default/grub"); !strings.Contains(got, `GRUB_CMDLINE_LINUX="quiet nosmt console=tty0 console=ttyS0,115200n8"`) {
		t.Error(got)
	}
	fstab := text(t, tree, "/etc/fstab")
	for _, p := range []string{"UUID=" + root.UUID + " / ext4 ", "UUID=" + boot.UUID + " /boot ext4 ", "UUID=" + r.Partitions[1].UUID + " none swap "} {
		if !strings.Contains(fstab, p) {
			t.Errorf("%q lacks in %s", p, fstab)
		}
	}
	if n, err := tree.Stat("/home/ann"); err != nil || n.UID != 1000 || n.Mode != 0o104750 {
		t.Errorf("%+v, %v", n, err)
	}
	if got := text(t, tree, "/etc/ssh/ssh_host_ed25519_key"); got == "secret" || !strings.Contains(got, "PRIVATE KEY") || len(r.HostKeys) < 3 {
		t.Errorf("the instance's host key is %.20q; of all %q", got, r.HostKeys)
	}
	if out, err := exec.Command("blkid", "-p", "-O", fmt.Sprint(r.Partitions[1].Start), "-o", "value", "-s", "UUID", target).Output(); err == nil && strings.TrimSpace(string(out)) != r.Partitions[1].UUID {
		t.Errorf("swap is %s, want %s", out, r.Partitions[1].UUID)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(target), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// golden has the four layouts that are locked, and three of one's own, as sfdisk sees
// them on a disk of 256 MiB.
func TestLayouts(t *testing.T) {
	sfdisk, err := exec.LookPath("sfdisk")
	if err != nil {
		sfdisk = "/usr/sbin/sfdisk"
	}
	free := []osdef.Partition{{Mount: "bios", Size: 1}, {Mount: "/boot", Size: 32, FileSystem: "ext2"}, {Mount: "/", Size: 100}, {Mount: "/srv"}}
	for _, c := range []struct {
		name   string
		layout *osdef.Layout
		want   string
	}{
		{"swap", legacy(true, false, 100*mib, 64*mib, "ext3"), "2048 204800 83 *|206848 131072 82|337920 186368 83"},
		{"no swap", legacy(false, false, 100*mib, 0, "ext3"), "2048 204800 83 *|206848 317440 83"},
		{"swap, kernel outside", legacy(true, true, 100*mib, 64*mib, "ext3"), "2048 131072 82|133120 391168 83 *"},
		{"no swap, kernel outside", legacy(false, true, 100*mib, 0, "ext3"), "2048 522240 83 *"},
		{"gpt", &osdef.Layout{Table: "gpt", Partitions: free}, "2048 2048 21686148-6449-6E6F-744E-656564454649|4096 65536 0FC63DAF-8483-4772-8E79-3D69D8477DE4|69632 204800 0FC63DAF-8483-4772-8E79-3D69D8477DE4|274432 247808 0FC63DAF-8483-4772-8E79-3D69D8477DE4"},
		{"one", &osdef.Layout{Table: "mbr", Partitions: []osdef.Partition{{Mount: "/", Boot: true}}}, "2048 522240 83 *"},
		{"swap last", &osdef.Layout{Table: "mbr", Partitions: []osdef.Partition{{Mount: "/", Size: 200}, {Mount: "", Size: 5}, {Mount: "swap"}}}, "2048 409600 83|411648 10240 83|421888 102400 82"},
	} {
		table, err := place(c.layout, 256*mib, "ext3")
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(256 * mib); err != nil {
			t.Fatal(err)
		}
		if err := table.write(f, 256*mib); err != nil {
			t.Fatal(err)
		}
		if mine, err := disk.ReadTable(f, 256*mib); err != nil || len(mine.Partitions) != len(table.parts) {
			t.Errorf("%s: %+v, %v", c.name, mine, err)
		}
		f.Close()
		out, err := exec.Command(sfdisk, "-d", f.Name()).CombinedOutput()
		if os.IsNotExist(err) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatalf("%s: %v: %s", c.name, err, out)
		}
		var got []string
		for _, m := range regexp.MustCompile(`start= *(\d+), size= *(\d+), type=([0-9A-F-]+)(.*bootable)?`).FindAllStringSubmatch(string(out), -1) {
			s := m[1] + " " + m[2] + " " + m[3]
			if m[4] != "" {
				s += " *"
			}
			got = append(got, s)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: %s, want %s", c.name, strings.Join(got, "|"), c.want)
		}
	}
	for _, l := range []*osdef.Layout{legacy(true, false, 100*mib, 200*mib, "ext3"), legacy(true, true, 0, 255*mib, "ext3")} {
		if table, err := place(l, 256*mib, "ext3"); err == nil {
			t.Errorf("%+v fits", table)
		}
	}
}

func TestRefusals(t *testing.T) {
	image, dir := archive(t), t.TempDir()
	full := filepath.Join(dir, "full")
	if err := os.WriteFile(full, slices.Repeat([]byte("x"), 64*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	late := filepath.Join(dir, "late") // its first megabytes are blank
	if f, err := os.Create(late); err != nil || f.Truncate(64<<20) != nil {
		t.Fatal(err)
	} else if _, err := f.WriteAt([]byte("x"), 40<<20); errors.Join(err, f.Close()) != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why string
		opt Options
	}{
		{"20480 MB of swap, 128 MB of disk", Options{Definition: definition(t, "SWAP_SIZE=20480")}},
		{"overlay /nowhere is not there", Options{Definition: definition(t, "OVERLAY=/nowhere")}},
		{"not blank", Options{Target: full}},
		{"not blank", Options{Target: late}},
		{"does not fit", Options{Definition: definition(t, "BOOT_SIZE=120")}},
		{"image is not there", Options{Image: filepath.Join(dir, "none")}},
		{"how large", Options{Size: -1, Definition: definition(t, "IMAGE_TYPE=tarball\nIMAGE_DIR="+dir), Image: "-"}},
	} {
		o := c.opt
		if o.Definition == nil {
			o.Definition = definition(t, "")
		}
		if o.Image == "" {
			o.Image = image
		}
		if o.Image == "-" {
			o.Image = ""
		}
		if o.Target == "" {
			o.Target = filepath.Join(dir, "disk")
		}
		if o.Size == 0 && o.Target != full && o.Target != late {
			o.Size = 128 << 20
		}
		r, err := (&Deployer{Run: &disk.Runner{}}).Deploy(context.Background(), o)
		if err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %+v, %v", c.why, r, err)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 2 {
		t.Errorf("left behind: %v", list)
	}
}

// TestProgress: of the long steps is told how far they are, to the end.
func TestProgress(t *testing.T) {
	image, target := archive(t), filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(target, nil, 0o600), os.Truncate(target, 128<<20)); err != nil {
		t.Fatal(err)
	}
	last, total := map[string]int64{}, map[string]int64{}
	deployTo(t, Options{Image: image, Target: target, Definition: definition(t, "SWAP=no"), Progress: func(step string, done, of int64) {
		if done < last[step] || of > 0 && done > of {
			t.Errorf("%s: %d after %d, of %d", step, done, last[step], of)
		}
		last[step], total[step] = done, of
	}})
	st, err := os.Stat(image)
	if err != nil || total["unpack the image"] != st.Size() || last["unpack the image"] == 0 || total["write the disk"] != 128<<20 || last["write the disk"] == 0 {
		t.Errorf("%v of %v, %v", last, total, err)
	}
}

func TestHooks(t *testing.T) {
	hook := t.TempDir()
	for name, s := range map[string]string{
		"10-env":  "env > $TARGET/root-env; cat $C_JSON > $TARGET/json; test -f $TARGET/etc/hostname",
		"20-edit": "echo site > $TARGET/etc/motd; rm $TARGET/etc/inittab; mkdir -p $TARGET/opt/a; ln -s a $TARGET/opt/b; echo more >> $TARGET/home/ann",
		"bad.sh":  "exit 1", "x~": "exit 1",
	} {
		if err := os.WriteFile(filepath.Join(hook, name), []byte("#!/bin/sh -e\n"+s+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(t.TempDir(), "disk.raw")
	d := definition(t, "SWAP=no\nCUSTOMIZE_DIR="+hook+"\nSITE=here")
	opt := Options{Definition: d, Image: archive(t), Target: target, Size: 128 << 20, Name: "web1", Environ: []string{"NIC_0_MAC=aa:00:11:22:33:44", "DISK_0_SIZE=128", "OSP_X=y"}}
	r := deployTo(t, opt)
	if strings.Join(r.Hooks, " ") != "10-env 20-edit" || len(r.Warnings) != 2 {
		t.Errorf("%+v", r)
	}
	for _, p := range r.Partitions {
		guestfstest.Clean(t, target, p.Start)
	}
	tree := open(t, target)
	env := "\n" + text(t, tree, "/root-env")
	for _, name := range []string{"TARGET", "BLOCKDEV", "ROOT_DEV", "BOOT_DEV", "IMAGE_TYPE=tarball", "SUITE", "OS_API_VERSION=15", "HYPERVISOR=kvm", "DISK_COUNT=1", "DISK_0_PATH", "NIC_COUNT=0", "INSTANCE_HV_serial_console=False", "NIC_0_MAC=aa:00:11:22:33:44", "DISK_0_SIZE=128", "OSP_X=y", "INSTANCE_NAME=web1", "SITE=here", "FILESYSTEM=ext3", "C_JSON"} {
		if !strings.Contains(name, "=") {
			name += "="
		}
		if !strings.Contains(env, "\n"+name) {
			t.Errorf("%s lacks in %s", name, env)
		}
	}
	if !strings.Contains(text(t, tree, "/json"), `"NIC_0_MAC=aa:00:11:22:33:44"`) {
		t.Error("the JSON has no environment")
	}
	if got := text(t, tree, "/etc/motd"); got != "site\n" {
		t.Error(got)
	}
	if _, err := tree.Stat("/etc/inittab"); !guestfs.Missing(err) {
		t.Error("what a hook removed is there")
	}
	if n, err := tree.Lstat("/opt/b"); err != nil || n.Mode&0xf000 != 0xa000 {
		t.Errorf("%+v, %v", n, err)
	}
	if n, err := tree.Stat("/home/ann"); err != nil || n.UID != 1000 || text(t, tree, "/home/ann") != "hellomore\n" {
		t.Errorf("%+v, %v", n, err)
	}
	if err := os.WriteFile(filepath.Join(hook, "30-fail"), []byte("#!/bin/sh\necho no such rack >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	opt.Target += "2"
	if _, err := (&Deployer{Run: &disk.Runner{}}).Deploy(context.Background(), opt); err == nil || !strings.Contains(err.Error(), "no such rack") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(opt.Target); err == nil {
		t.Error("a failed deployment left a disk")
	}
}

func TestDisk(t *testing.T) {
	image := guestfstest.Image(t, guestfstest.Options{Partition: true, Size: 32 << 20}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/hostname=old\n", "boot/extlinux/extlinux.conf=label x\n kernel /vmlinuz\n append root=/dev/vda1 quiet\n")
	})
	dir := t.TempDir()
	d := definition(t, "KERNEL_ARGS=nosmt")
	r := deployTo(t, Options{Definition: d, Image: image, Target: filepath.Join(dir, "a"), Size: 64 << 20, Name: "web1"})
	tree := open(t, filepath.Join(dir, "a"))
	if r.Type != "qemu" || tree.Root.Size != 63<<20 || tree.Root.FS().Size < 62<<20 || text(t, tree, "/etc/hostname") != "web1\n" || !strings.Contains(text(t, tree, "/boot/extlinux/extlinux.conf"), " append root=/dev/vda1 quiet nosmt\n") {
		t.Errorf("%+v, %+v", r, tree.Root)
	}
	guestfstest.Clean(t, filepath.Join(dir, "a"), 1<<20)
	if err := d.Set("NOMOUNT", "yes"); err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(dir, "b") // a disk that is there, larger, with dirt on it
	if err := os.WriteFile(there, slices.Repeat([]byte("x"), 40*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	deployTo(t, Options{Definition: d, Image: image, Target: there, Overwrite: true, Name: "web1"})
	was, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	is, err := os.ReadFile(there)
	if err != nil || string(is) != string(was)+strings.Repeat("\x00", len(is)-len(was)) || len(is) != 40*mib {
		t.Errorf("NOMOUNT=yes changed the image; %d bytes, %v", len(is), err)
	}
	if err := d.Set("CDINSTALL", "yes"); err != nil {
		t.Fatal(err)
	}
	deployTo(t, Options{Definition: d, Target: there, Overwrite: true})
	if is, err := os.ReadFile(there); err != nil || strings.Trim(string(is[:mib]), "\x00") != "" {
		t.Errorf("CDINSTALL=yes leaves something: %v", err)
	}
}

func TestAddToMenu(t *testing.T) {
	for _, c := range [][2]string{
		{"linux /vmlinuz root=x quiet\n", "linux /vmlinuz root=x quiet nosmt\n"},
		{"\tlinux16 /vmlinuz nosmt ro", "\tlinux16 /vmlinuz nosmt ro"},
		{"kernel /boot/vmlinuz root=x\r\n", "kernel /boot/vmlinuz root=x nosmt\r\n"},
		{"  append root=x\n", "  append root=x nosmt\n"}, {"options ro\n", "options ro nosmt\n"},
	} {
		got, ok := addToMenu("# x\n"+c[0], []string{"nosmt"})
		if got != "# x\n"+c[1] || !ok {
			t.Errorf("%q is %q", c[0], got)
		}
		if again, _ := addToMenu(got, []string{"nosmt"}); again != got {
			t.Errorf("a second time %q", again)
		}
	}
	if _, ok := addToMenu("set default=0\n", []string{"x"}); ok {
		t.Error("a menu without kernels")
	}
}
