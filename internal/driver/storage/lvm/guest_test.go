package lvm

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// guestPackages are what the guest is made of, without a distribution around it:
// LVM's tools and what they are linked with.
var guestPackages = []string{"lvm2", "dmsetup", "thin-provisioning-tools", "busybox-static", "libc6", "libdevmapper1.02.1", "libdevmapper-event1.02.1", "libaio1",
	"libblkid1", "libudev1", "libselinux1", "libpcre2-8-0", "libsystemd0", "libcap2", "libgcrypt20", "libgpg-error0", "liblzma5", "libzstd1", "liblz4-1", "libedit2",
	"libtinfo6", "libbsd0", "libmd0", "libexpat1", "libstdc++6", "libgcc-s1"}

// guestModules are loaded in this order, which is that of what they need.
var guestModules = []string{"virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_blk", "crc32c_generic", "libcrc32c",
	"dm-mod", "dm-bufio", "dm-bio-prison", "dm-persistent-data", "dm-thin-pool", "dm-snapshot"}

const guestInit = `#!/bin/busybox sh
export PATH=/sbin:/usr/sbin:/bin:/usr/bin HOME=/ TMPDIR=/tmp DM_DISABLE_UDEV=1
bb() { /bin/busybox "$@"; }
bb mkdir -p /proc /sys /dev /tmp /run/lock /etc/lvm
bb mount -t proc proc /proc; bb mount -t sysfs sysfs /sys; bb mount -t devtmpfs dev /dev; bb mount -t tmpfs tmp /tmp
for m in $(bb cat /modules); do bb insmod /mods/$m.ko; done
pvcreate --yes --quiet /dev/vda && vgcreate --quiet --physicalextentsize 512b ops /dev/vda && lvcreate --quiet --yes --size 400m --thinpool pool ops
export HEARTH_LVM_GROUP=$(vgs --noheadings -o vg_uuid ops | bb tr -d ' ') HEARTH_LVM_POOL=pool
/lvm.test -test.v -test.timeout 15m
echo "hearth: the tests ended with $?"
bb poweroff -f
`

// TestInAGuest runs the tests of this package in a guest that has device-mapper,
// which this host need not have.
func TestInAGuest(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("set HEARTH_E2E=1 to run the tests in a guest under QEMU")
	}
	dir := t.TempDir()
	kernel, root := unpack(t, dir)
	run(t, "go", "test", "-c", "-o", filepath.Join(root, "lvm.test"), ".")
	write(t, filepath.Join(root, "init"), guestInit, 0o755)
	initrd := filepath.Join(dir, "initrd")
	run(t, "sh", "-c", "cd '"+root+"' && find . | cpio --quiet -o -H newc > '"+initrd+"'")
	disk := filepath.Join(dir, "disk")
	write(t, disk, "", 0o600)
	if err := os.Truncate(disk, 1<<30); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 18*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-M", "pc", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max", "-smp", "2", "-m", "768",
		"-kernel", kernel, "-initrd", initrd, "-append", "console=ttyS0 panic=-1 quiet mitigations=off", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-nic", "none", "-drive", "if=virtio,format=raw,cache=unsafe,file="+disk)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	for _, want := range []string{"hearth: the tests ended with 0", "--- PASS: TestThickSuite", "--- PASS: TestThinSuite", "--- PASS: TestOthersVolumesAreLeftAlone"} {
		if !strings.Contains(out.String(), want) {
			t.Fatalf("%q is not said; %v\n%s", want, err, out.String())
		}
	}
	t.Logf("%d tests passed in the guest", strings.Count(out.String(), "--- PASS"))
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// unpack makes the guest's tree of Debian's packages, and gives its kernel.
func unpack(t *testing.T, dir string) (kernel, root string) {
	t.Helper()
	debs, system := filepath.Join(dir, "debs"), filepath.Join(dir, "kernel")
	root = filepath.Join(dir, "root")
	for _, d := range []string{debs, system, root, filepath.Join(root, "mods")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	image := ""
	for line := range strings.Lines(run(t, "apt-cache", "depends", "--no-recommends", "--no-suggests", "linux-image-cloud-amd64")) {
		if _, name, ok := strings.Cut(strings.TrimSpace(line), "Depends: linux-image-"); ok {
			image = "linux-image-" + name
		}
	}
	download := exec.Command("apt-get", append([]string{"download", "-q", image}, guestPackages...)...)
	download.Dir = debs
	if said, err := download.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	all, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		t.Fatal(err)
	}
	for _, deb := range all {
		to := root
		if strings.HasPrefix(filepath.Base(deb), "linux-image-") {
			to = system
		}
		run(t, "dpkg-deb", "-x", deb, to)
	}
	for _, spare := range []string{"usr/share", "usr/lib/x86_64-linux-gnu/gconv"} {
		if err := os.RemoveAll(filepath.Join(root, spare)); err != nil {
			t.Fatal(err)
		}
	}
	kernels, err := filepath.Glob(filepath.Join(system, "boot", "vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		t.Fatalf("kernels: %v, %v", kernels, err)
	}
	modules(t, system, root)
	return kernels[0], root
}

// modules copies those that the kernel has as modules, and lists them.
func modules(t *testing.T, system, root string) {
	t.Helper()
	var have []string
	for _, m := range guestModules {
		found := run(t, "find", filepath.Join(system, "lib", "modules"), "-name", m+".ko")
		if found == "" {
			continue // it is built in
		}
		run(t, "cp", strings.Fields(found)[0], filepath.Join(root, "mods", m+".ko"))
		have = append(have, m)
	}
	write(t, filepath.Join(root, "modules"), strings.Join(have, "\n")+"\n", 0o644)
}
