package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDebianByOtherLoaders boots Debian by the two loaders that are not GRUB: baked with
// them, and deployed from its files by a definition that names them.
func TestDebianByOtherLoaders(t *testing.T) {
	m := newMatrix(t)
	for _, c := range []struct{ loader, firmware, menu string }{
		{"extlinux", "bios", `Loading /(boot/)?vmlinuz`},
		{"systemd-boot", "uefi", `Debian GNU/Linux`},
	} {
		t.Run("baked-"+c.loader, func(t *testing.T) {
			m := m.in(t)
			m.take(bakeImage(t, "debian", "--loader="+c.loader))
			m.loads(c.loader, "image.qcow2")
			console := m.boots("Debian baked with "+c.loader, "image.qcow2")
			m.started(c.firmware, console, c.menu)
			if c.loader == "systemd-boot" { // for a new kernel is copied to where that is mounted
				m.started(c.firmware, console, `Mounted .*boot-efi\.mount`)
			}
		})
		t.Run("deployed-"+c.loader, func(t *testing.T) {
			m := m.in(t)
			m.take(bakeImage(t, "debian"))
			files := m.make("image.qcow2", "tar.zst", "by")
			out := asUser(t, m.dir, m.bin, "deploy", "--image", files, "--disk", "made.raw", "--size", "3G", "--instance-name", "web1.example.org", "--set", "LOADER="+c.loader, "--set", "KERNEL_ARGS=nosmt")
			t.Logf("%s", out)
			m.loads(c.loader, "made.raw")
			m.started(c.firmware, m.boots("Debian deployed with "+c.loader, "made.raw"), c.menu, `Command line: .* nosmt`)
		})
	}
}

// layEntries has Debian's tree boot by entries that are files (Boot Loader Specification): one
// that systemd's kernel-install made of another machine's command line, and an older one as
// grubby of Fedora's kind writes it, with its arguments in GRUB's environment block.
const layEntries = `
version=$(ls t/lib/modules)
mkdir -p t/boot/loader/entries t/boot/grub2 t/etc/kernel
echo "root=UUID=$1 ro rootflags=subvol=root rd.lvm.lv=fedora/root net.ifnames=0 nosmt" >t/etc/kernel/cmdline
echo 0123456789abcdef0123456789abcdef >t/etc/machine-id
echo layout=bls >t/etc/kernel/install.conf
mount --rbind /dev t/dev
chroot t kernel-install add $version /boot/vmlinuz-$version /boot/initrd.img-$version
umount -l t/dev
id=0123456789abcdef0123456789abcdef-6.0.9-100
printf '%s\n' 'title Fedora Linux (6.0.9-100) 40' 'version 6.0.9-100' "linux /boot/vmlinuz-$version" "initrd /boot/initrd.img-$version \$tuned_initrd" \
	'options $kernelopts $tuned_params' 'grub_users $grub_users' 'grub_arg --unrestricted' 'grub_class fedora' >t/boot/loader/entries/$id.conf
printf '# GRUB Environment Block\nkernelopts=root=UUID=%s ro net.ifnames=0 old=1\n' $1 >t/boot/grub2/grubenv
head -c $((1024 - $(wc -c <t/boot/grub2/grubenv))) /dev/zero | tr '\0' '#' >>t/boot/grub2/grubenv
echo blscfg >t/boot/grub2/grub.cfg
rm -rf t/dev/*
tar -C t --xattrs --numeric-owner -cf entries.tar .
chmod 644 entries.tar
mv t/boot/loader/entries/$id.conf by.conf
rm -rf t
`

// TestDebianByEntries deploys Debian whose menu is a folder of entries, boots it, and boots it
// again after there was a newer entry, which is all that an update of the kernel adds.
func TestDebianByEntries(t *testing.T) {
	m := newMatrix(t)
	m.bakeLean()
	m.asRoot(layEntries, "11111111-2222-3333-4444-555555555555")
	m = m.in(t)
	out := asUser(t, m.dir, m.bin, "deploy", "--image", "entries.tar", "--disk", "made.raw", "--size", "2G", "--memory", "256", "--instance-name", "web1.example.org", "--set", "FILESYSTEM=ext4",
		"--set", "KERNEL_ARGS=nosmt mitigations=off", "--json")
	var r struct {
		Partitions []struct{ Mount, UUID string }
	}
	_, report, _ := strings.Cut(out, "{")
	if err := json.Unmarshal([]byte("{"+report), &r); err != nil || len(r.Partitions) != 3 {
		t.Fatalf("%v: %s", err, out)
	}
	line := func(kernel, more string) string {
		return `Command line: BOOT_IMAGE=\S+/` + kernel + ` root=UUID=` + r.Partitions[2].UUID + ` ro net\.ifnames=0` + more + ` nosmt mitigations=off console=tty0 console=ttyS0,115200n8\s`
	}
	m.started("bios", m.boots("Debian by its entries", "made.raw"), `Debian GNU/Linux 12`, line(`0123456789abcdef\S+/linux`, ""))
	m.asRoot(`sed 's/6\.0\.9-100/6.10.1-200/; s/kernelopts/kernelopts added/; s, /boot/, /,' by.conf >by.newer && chmod 644 by.newer`)
	asUser(t, m.dir, m.bin, "image", "inject", "made.raw", "--file", "by.newer:/boot/loader/entries/0123456789abcdef0123456789abcdef-6.10.1-200.conf")
	m.started("bios", m.boots("Debian by a newer entry", "made.raw"), `Fedora Linux \(6\.10\.1-200\) 40`, strings.TrimSuffix(line(`vmlinuz-\S+`, " old=1"), `\s`)+` added`)
}

// loads holds what a disk is started by against the loader that was asked for.
func (m *matrix) loads(loader, image string) {
	m.t.Helper()
	var r struct {
		Loader string `json:"boot_loader"`
	}
	out := asUser(m.t, m.dir, m.bin, "image", "inspect", "--json", image)
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Loader != loader {
		m.t.Errorf("%s is started by %q, not %s: %v", image, r.Loader, loader, err)
	}
}

// started looks at the firmware of the boot test before and at what the console had.
func (m *matrix) started(firmware, console string, want ...string) {
	m.t.Helper()
	var r struct{ Firmware string }
	body, err := os.ReadFile(filepath.Join(m.dir, "report", "boot-test.json"))
	if err != nil || json.Unmarshal(body, &r) != nil || r.Firmware != firmware {
		m.t.Errorf("the firmware was %q, not %s: %v", r.Firmware, firmware, err)
	}
	for _, w := range append(want, "Linux version", "login:") {
		if !regexp.MustCompile(w).MatchString(console) {
			m.t.Errorf("the console has no %q:\n%s", w, console[:min(4000, len(console))])
		}
	}
}
