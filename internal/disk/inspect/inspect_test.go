package inspect

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/guestos"
)

func inspect(t *testing.T, path string) *Report {
	t.Helper()
	r, err := Image(context.Background(), &disk.Runner{}, path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestWhatIsNoDisk finds a problem in what cannot boot because it is no disk, or not all of one.
func TestWhatIsNoDisk(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tar := make([]byte, 4096)
	copy(tar[257:], "ustar")
	for path, want := range map[string]string{file("tar", tar): "an archive", file("gz", []byte("\x1f\x8b\x08")): "packed with gzip", file("empty", nil): "empty"} {
		if l, text := level(inspect(t, path), "disk"); l != Problem || !strings.Contains(text, want) {
			t.Errorf("%s: %s %s", path, l, text)
		}
	}
	raw, cut := file("raw", bytes.Repeat([]byte("data"), 1<<20)), filepath.Join(dir, "cut") // as qemu-img writes it, with the tables first
	err := (&disk.Runner{}).Convert(t.Context(), disk.Layer{Path: raw, Format: disk.Raw}, disk.Target{Path: cut, Format: disk.QCOW2}, nil)
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if l, _ := level(inspect(t, cut), "image"); l != "" {
		t.Error("a whole image has a problem")
	}
	if err := os.Truncate(cut, 2<<20); err != nil {
		t.Fatal(err)
	}
	if l, text := level(inspect(t, cut), "image"); l != Problem || !strings.Contains(text, "cut short") {
		t.Errorf("%s %s", l, text)
	}
}

// level gives what a check found.
func level(r *Report, name string) (level, text string) {
	for _, c := range r.Checks {
		if c.Name == name && (level == "" || c.Level != OK) {
			level, text = c.Level, c.Text
		}
	}
	return level, text
}

func TestLint(t *testing.T) {
	bad := guestfstest.Image(t, guestfstest.Options{Partition: true}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\nPRETTY_NAME=Debian 12\n", "etc/fstab=/dev/sda1 / ext4 defaults 0 1\nUUID=12345678-0000-0000-0000-000000000000 /data ext4 defaults 0 2\n",
			"boot/vmlinuz-6.1="+strings.Repeat("k", 5000), "boot/initrd.img-6.1=x", "boot/grub/grub.cfg=menuentry 'Debian' {\nlinux /boot/vmlinuz-6.1 root=/dev/sda1 ro quiet\n}\n",
			"lib/modules/6.1/modules.dep=kernel/drivers/virtio/virtio_balloon.ko:\nkernel/drivers/block/virtio_blk.ko.xz: a\n", "etc/modules=virtio_baloon\nvirtio-blk\n# comment\n",
			"etc/ssh/ssh_host_rsa_key=1", "etc/machine-id=1234\n", "etc/shadow=root::1:0:99999:7:::\nann:*:1::::::\n", "etc/udev/rules.d/70-persistent-net.rules=x")
	})
	r := inspect(t, bad)
	if r.Table != disk.SchemeMBR || len(r.Volumes) != 1 || r.Volumes[0].Mount != "/" || r.Volumes[0].Content != "ext4" || r.Volumes[0].Used == 0 || r.System.Name != "Debian 12" || r.Default.Kernel != "/boot/vmlinuz-6.1" {
		t.Errorf("%+v %+v", r, r.Volumes)
	}
	for name, want := range map[string]string{"root in fstab": Warning, "root of the kernel": Warning, "fstab": Problem, "serial console of the kernel": Warning, "virtio drivers of 6.1": Problem,
		"modules": Warning, "DHCP": Problem, "agent": Warning, "ssh": Warning, "passwords": Problem, "clones": Warning, "network names": Warning, "kernel": OK,
		"virtio_scsi of 6.1": Warning, "virtio_balloon of 6.1": "", "power button": Warning, "growable root": OK, "file system of 6.1": Problem} {
		if got, text := level(r, name); got != want {
			t.Errorf("%s: %s (%s), want %s", name, got, text, want)
		}
	}
	if _, text := level(r, "modules"); !strings.Contains(text, "did you mean virtio_balloon") {
		t.Errorf("no proposal: %s", text)
	}
	var out bytes.Buffer
	Write(&out, r)
	if b, err := json.Marshal(r); err != nil || !strings.Contains(out.String(), "Debian 12") || !strings.Contains(string(b), `"partition_table":"mbr"`) {
		t.Errorf("%s\n%s", out.String(), b)
	}
}

// TestGrowable: the root is the last on its disk, and grows while it is mounted.
func TestGrowable(t *testing.T) {
	for content, want := range map[string]string{"ext4": OK, "xfs": OK, "f2fs": Warning} {
		l := &linter{Report: &Report{Volumes: []Volume{{Content: "swap"}, {Mount: "/", Content: content, Start: 1 << 20}}}}
		if l.growable(); len(l.Checks) != 1 || l.Checks[0].Level != want {
			t.Errorf("%s: %+v", content, l.Checks)
		}
	}
}

// TestFirstMount: of an f2fs alone it matters, and the last word counts.
func TestFirstMount(t *testing.T) {
	for args, want := range map[string]string{"root=UUID=1 ro quiet": Warning, "quiet": Warning, "ro rw": OK, "rw ro": Warning, "rw": OK} {
		for _, content := range []string{"f2fs", "ext4"} {
			l := &linter{Report: &Report{Default: &guestos.Entry{Args: args}, Volumes: []Volume{{Content: "f2fs", Mount: "/srv"}, {Mount: "/", Content: content}}}}
			l.firstMount()
			if content == "ext4" && len(l.Checks) > 0 || content == "f2fs" && (len(l.Checks) != 1 || l.Checks[0].Level != want) {
				t.Errorf("%s, %s: %+v", content, args, l.Checks)
			}
		}
	}
}

func TestGoodImageHasNothingToSay(t *testing.T) {
	good := guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n", "etc/fstab=LABEL=root / ext4 defaults 0 1\n", "boot/vmlinuz-6.1="+strings.Repeat("k", 5000), "boot/config-6.1=x\nCONFIG_EXT4_FS=y\nCONFIG_VIRTIO_PCI=y\nCONFIG_VIRTIO_BLK=m\nCONFIG_VIRTIO_NET=m\nCONFIG_HOTPLUG_PCI_ACPI=y\nCONFIG_SCSI_VIRTIO=m\nCONFIG_VIRTIO_BALLOON=m\nCONFIG_SERIAL_8250_CONSOLE=y\nCONFIG_KVM_GUEST=y\n",
			"boot/extlinux/extlinux.conf=SERIAL 0\nDEFAULT l\nLABEL l\nLINUX /boot/vmlinuz-6.1\nAPPEND root=LABEL=root console=ttyS0\n", "usr/bin/cloud-init=x", "usr/sbin/sshd=x", "sbin/dhclient=x", "usr/lib/systemd/systemd=x", "etc/machine-id=")
	})
	r := inspect(t, good)
	for _, c := range r.Checks {
		if c.Level != OK {
			t.Errorf("%+v", c)
		}
	}
	if len(r.Checks) < 10 {
		t.Errorf("only %d checks", len(r.Checks))
	}
}

// TestKernelOfOnesOwn has a configuration without what a virtual machine wants.
func TestKernelOfOnesOwn(t *testing.T) {
	r := inspect(t, guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(t, dir, "etc/os-release=ID=gentoo\n", "boot/vmlinuz-6.1="+strings.Repeat("k", 5000), "boot/config-6.1=x\nCONFIG_EXT4_FS=y\n# CONFIG_VIRTIO_BALLOON is not set\n", "usr/lib/systemd/systemd=x")
	}))
	for name, want := range map[string]string{"virtio drivers of 6.1": Problem, "hot plug of 6.1": Warning, "virtio_scsi of 6.1": Warning, "virtio_balloon of 6.1": Warning, "8250 of 6.1": Warning, "clock of 6.1": Warning, "power button": "", "DHCP": Problem, "file system of 6.1": OK} {
		if got, text := level(r, name); got != want {
			t.Errorf("%s: %s (%s), want %s", name, got, text, want)
		}
	}
}

func TestWhatIsNoSystem(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := inspect(t, empty); r.System != nil || r.Format != disk.Raw || r.VirtualSize != 1<<20 {
		t.Errorf("%+v", r)
	}
	kernel := filepath.Join(t.TempDir(), "kernel")
	b := make([]byte, 4096)
	copy(b[0x202:], "HdrS")
	if err := os.WriteFile(kernel, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := inspect(t, kernel); r.Content != disk.Kernel {
		t.Errorf("%+v", r)
	}
	data := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, "a=b") })
	if r := inspect(t, data); r.System != nil || len(r.Checks) != 1 || len(r.Volumes) != 1 {
		t.Errorf("%+v", r)
	}
	lying := filepath.Join(t.TempDir(), "lying")
	if err := os.WriteFile(lying, append([]byte("QFI\xfb\x00\x00\x00\x03"), make([]byte, 200)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Image(context.Background(), &disk.Runner{}, lying); err == nil {
		t.Errorf("%+v", r)
	}
}
