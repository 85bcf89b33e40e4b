package installer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/bake/vm"
)

const (
	preseed     = "# the installer's\nd-i debian-installer/locale string en_US.UTF-8\ntasksel tasksel/first multiselect ssh-server\n"
	kickstart   = "lang en_US.UTF-8\nrootpw --lock\n%packages\n@core\n%end\n"
	autoyast    = "<?xml version=\"1.0\"?>\n<!DOCTYPE profile>\n<profile xmlns=\"http://www.suse.com/1.0/yast2ns\"></profile>\n"
	autoinstall = "#cloud-config\nautoinstall:\n  version: 1\n"
)

// TestArguments holds what each kind of installer is told against the words of its manual.
func TestArguments(t *testing.T) {
	for _, c := range []struct{ kind, answers, web, want string }{
		{Preseed, preseed, "http://deb.example/netboot/", "auto=true priority=critical DEBIAN_FRONTEND=text console=ttyS0,115200n8 ---"},
		{Kickstart, kickstart, "http://mirror.example/os/", "inst.repo=http://mirror.example/os/ inst.ks=hd:LABEL=OEMDRV:/ks.cfg inst.text inst.cmdline inst.sshd=0 console=ttyS0,115200n8"},
		{Kickstart, kickstart, "", "inst.ks=hd:LABEL=OEMDRV:/ks.cfg inst.text inst.cmdline inst.sshd=0 console=ttyS0,115200n8"},
		{AutoYaST, autoyast, "http://mirror.example/leap/", "install=http://mirror.example/leap/ autoyast=label://OEMDRV/autoinst.xml textmode=1 console=ttyS0,115200n8"},
		{Autoinstall, autoinstall, "", "autoinstall ds=nocloud console=ttyS0,115200n8 ---"},
	} {
		if got := Arguments(c.kind, c.web); got != c.want {
			t.Errorf("%s of %q:\n%s\nwant\n%s", c.kind, c.web, got, c.want)
		}
		if kind, err := KindOf([]byte(c.answers)); kind != c.kind || err != nil {
			t.Errorf("%s is taken for %q: %v", c.kind, kind, err)
		}
	}
	if _, err := KindOf([]byte("hello\n")); err == nil {
		t.Error("a text that is no answers has a kind")
	}
}

// TestFiles looks where the answers are put, and by which names.
func TestFiles(t *testing.T) {
	for kind, want := range map[string]string{Kickstart: "OEMDRV ks.cfg", AutoYaST: "OEMDRV autoinst.xml", Autoinstall: "CIDATA meta-data,user-data"} {
		k := kinds()[kind]
		var names []string
		for _, n := range []string{"autoinst.xml", "ks.cfg", "meta-data", "user-data"} {
			if _, ok := k.files([]byte("x"))[n]; ok {
				names = append(names, n)
			}
		}
		if got := k.label + " " + strings.Join(names, ","); got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}

// TestRamdisk has cpio read what is put behind a ramdisk.
func TestRamdisk(t *testing.T) {
	made := withFile([]byte("12345"), "preseed.cfg", []byte(preseed))
	if !bytes.HasPrefix(made, []byte("12345\x00\x00\x00070701")) {
		t.Fatalf("%q", made[:32])
	}
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("cpio is not installed")
	}
	cmd := exec.Command(cpio, "-i", "--quiet", "--to-stdout", "preseed.cfg")
	cmd.Stdin = bytes.NewReader(made[8:])
	if out, err := cmd.Output(); err != nil || string(out) != preseed {
		t.Errorf("%q, %v", out, err)
	}
}

// fakeKernel has the mark of a bzImage.
func fakeKernel() []byte {
	b := make([]byte, 4096)
	copy(b[0x202:], "HdrS")
	b[0x1fe], b[0x1ff] = 0x55, 0xaa
	return b
}

// TestMedia finds kernel and ramdisk in a folder here and on the web.
func TestMedia(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{"images/pxeboot/vmlinuz": fakeKernel(), "images/pxeboot/initrd.img": []byte("ramdisk")}
	for name, data := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	m, err := Open(ctx, dir, Kickstart, dir, nil)
	if err != nil || m.Web != "" || string(m.Ramdisk) != "ramdisk" || m.ISO != "" {
		t.Errorf("%+v, %v", m, err)
	}
	fetch := func(_ context.Context, url string) (io.ReadCloser, int64, error) {
		data, ok := files[strings.TrimPrefix(url, "http://mirror.example/os/")]
		if !ok {
			return nil, 0, fs.ErrNotExist
		}
		return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
	}
	if m, err = Open(ctx, "http://mirror.example/os", Kickstart, dir, fetch); err != nil || m.Web != "http://mirror.example/os/" {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err = Open(ctx, "http://mirror.example/os", AutoYaST, dir, fetch); err == nil || !strings.Contains(err.Error(), "boot/x86_64/loader/linux") {
		t.Errorf("another kind's installer: %v", err)
	}
	if _, err = Open(ctx, dir, "answers", dir, nil); err == nil {
		t.Error("a kind that is none")
	}
}

// TestISO finds the kernel in a CD-ROM, which the guest gets too.
func TestISO(t *testing.T) {
	xorriso, err := exec.LookPath("xorriso")
	if err != nil {
		t.Skip("xorriso is not installed")
	}
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree", "casper")
	if err := errors.Join(os.MkdirAll(tree, 0o755), os.WriteFile(filepath.Join(tree, "vmlinuz"), fakeKernel(), 0o644), os.WriteFile(filepath.Join(tree, "initrd"), []byte("ramdisk"), 0o644)); err != nil {
		t.Fatal(err)
	}
	iso := filepath.Join(dir, "live.iso")
	if out, err := exec.Command(xorriso, "-as", "mkisofs", "-quiet", "-R", "-J", "-o", iso, filepath.Dir(tree)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m, err := Open(context.Background(), iso, Autoinstall, dir, nil)
	if err != nil || m.ISO != iso || string(m.Ramdisk) != "ramdisk" {
		t.Fatalf("%+v, %v", m, err)
	}
	r := &running{opt: Options{Kind: Autoinstall, Media: m, Answers: []byte(autoinstall), Work: dir, Disk: filepath.Join(dir, "disk")}, kind: kinds()[Autoinstall], res: &Result{Machine: "pc", Accel: "tcg", CPU: "max"}}
	if err := errors.Join(os.WriteFile(r.opt.Disk, nil, 0o600), r.prepare()); err != nil {
		t.Fatal(err)
	}
	l := &vm.Line{}
	defer l.Close()
	if err := r.arguments(l, 3, 4); err != nil {
		t.Fatal(err)
	}
	words := strings.Join(l.Words, " ")
	for _, want := range []string{"-append autoinstall ds=nocloud", "ide-cd,drive=cdrom", "virtio-blk-pci,drive=answers", "reboot=shutdown", "-device isa-serial,chardev=serial"} {
		if !strings.Contains(words, want) {
			t.Errorf("%q lacks %q", words, want)
		}
	}
}

// TestStopped knows an installer that waits for a person from one that works.
func TestStopped(t *testing.T) {
	for line, bad := range map[string]bool{
		"Prompt: '?' for help, default=1>":                                 true,
		"Kernel panic - not syncing: VFS":                                  true,
		"An error occurred. Press enter to start a shell":                  true,
		"Configuring the network with DHCP  ... 4%... 12%... 100%":         false,
		"Installing the base system  ... 2%... 10%":                        false,
		"[    0.000000] Command line: auto=true priority=critical console": false,
	} {
		if got := stopped(line); (got != nil) != bad {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// TestTail is what an error has of the console.
func TestTail(t *testing.T) {
	if got := tail("a\n\n b \nc\n", 2); got != "b | c" {
		t.Errorf("%q", got)
	}
}
