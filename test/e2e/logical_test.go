package e2e

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	images "hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
)

const (
	logicalBoot = 256 << 20 // of /boot, bytes
	bootUUID    = "0b7c1a52-59a5-4f5e-9ad7-6a1f2f0d0a11"
)

// layLogical makes of Debian's tree the two parts of such a disk as Debian's installer lays it
// out: /boot, and a physical volume with root and swap. lvm2 of the tree itself makes the
// volumes; by "--driverloaded n" it does without the device mapper, which hosts may lack.
const layLogical = `
printf '%s\n' '/dev/mapper/debian--vg-root / ext4 errors=remount-ro,x-systemd.device-timeout=900 0 1' "UUID=$1 /boot ext4 defaults,x-systemd.device-timeout=900 0 2" '/dev/mapper/debian--vg-swap none swap sw,x-systemd.device-timeout=900 0 0' >t/etc/fstab
echo dm-mod >>t/etc/initramfs-tools/modules # baked, its ramdisk has only what finds an ext4
chroot t update-initramfs -u
ln -s . t/boot/boot
mkdir t/boot/grub && cp grub.cfg t/boot/grub/
version=$(ls t/lib/modules)
mv t/boot/vmlinuz-$version t/boot/vmlinuz
mv t/boot/initrd.img-$version t/boot/initrd.img
mke2fs -q -t ext4 -b 4096 -L boot -U $1 -d t/boot boot.img $2k
rm -rf t/boot/* t/dev/*
truncate -s 2300M pv.img
loop=$(losetup --find --show pv.img)
trap 'losetup -d $loop' EXIT
for d in dev proc sys; do mount --rbind /$d t/$d; done
lvm() { chroot t "$@" --driverloaded n --config 'devices { filter=["a|^'$loop'$|","r|.*|"] use_devicesfile=0 } backup { backup=0 archive=0 }' 2>>lvm.log; }
lvm pvcreate -q $loop
lvm vgcreate -q debian-vg $loop
lvm lvcreate -q -y -an -Zn -Wn -L 1900m -n root debian-vg
lvm lvcreate -q -y -an -Zn -Wn -l 100%FREE -n swap debian-vg
[ "$(lvm lvs --noheadings -o lv_name,seg_pe_ranges debian-vg | tr -d ' \n')" = "root$loop:0-474swap$loop:475-573" ]
[ "$(lvm pvs --noheadings --units b --nosuffix -o pe_start,vg_extent_size | tr -s ' ')" = ' 1048576 4194304' ]
umount -l t/dev t/proc t/sys
truncate -s 396M swap.img && mkswap -q -L swap swap.img
dd if=swap.img of=pv.img bs=1M seek=1901 conv=notrunc,sparse status=none
mke2fs -q -F -t ext4 -b 4096 -L root -E offset=1048576 -d t pv.img 1945600k
rm -rf t swap.img
cp --sparse=always head made.raw
dd if=boot.img of=made.raw bs=1M seek=1 conv=notrunc,sparse status=none
dd if=pv.img of=made.raw bs=1M seek=257 conv=notrunc,sparse status=none
truncate -s $((257 + 2300))M made.raw
rm boot.img pv.img head
chmod 666 made.raw
`

// TestShrunkLogicalDebianBoots boots Debian whose root is a logical volume: made as small as
// it gets, and then grown.
func TestShrunkLogicalDebianBoots(t *testing.T) {
	m := newMatrix(t)
	m.bakeLean()
	m.logicalHead()
	m.asRoot(layLogical, bootUUID, strconv.Itoa(logicalBoot>>10))
	m = m.in(t)
	start := time.Now()
	t.Logf("%s", asUser(t, m.dir, m.bin, "image", "shrink", "made.raw", "-o", "made.small.qcow2", "--to", "qcow2"))
	t.Logf("shrunk in %.0f s", time.Since(start).Seconds())
	console := m.boots("Debian in a shrunk LVM", "made.small.qcow2")
	m.started("bios", console, `Command line: .*root=/dev/mapper/debian--vg-root`)
	small := m.rootBlocks()
	start = time.Now()
	t.Logf("%s", asUser(t, m.dir, m.bin, "image", "grow", "made.small.qcow2", "3G"))
	t.Logf("grown in %.0f s", time.Since(start).Seconds())
	m.boots("Debian in a grown LVM", "made.small.qcow2")
	if grown := m.rootBlocks(); small > 1<<20 || grown < 2<<20 {
		t.Errorf("the root has %d KiB shrunk, %d grown", small, grown)
	}
}

// logicalHead writes GRUB's menu, and all that is before the first partition.
func (m *matrix) logicalHead() {
	m.t.Helper()
	head, err := bootdisk.HeadFor(m.t.Context(), &images.Runner{}, m.t.TempDir(), bootdisk.Gap+logicalBoot, 0x4c564d31, "ext2")
	if err != nil {
		m.t.Fatal(err)
	}
	const start = bootdisk.Gap + logicalBoot
	entry := head[446+16:]
	copy(entry, []byte{0, 0xfe, 0xff, 0xff, 0x8e, 0xfe, 0xff, 0xff})
	binary.LittleEndian.PutUint32(entry[8:], start/512)
	binary.LittleEndian.PutUint32(entry[12:], (2300<<20)/512)
	menu := bootdisk.Menu{Title: "Debian in LVM", Kernel: "/vmlinuz", Ramdisk: "/initrd.img", Wait: time.Second,
		Params: "root=/dev/mapper/debian--vg-root ro net.ifnames=0 console=tty0 console=ttyS0,115200n8"}
	for name, data := range map[string][]byte{"head": head, "grub.cfg": menu.Config()} {
		if err := os.WriteFile(filepath.Join(m.dir, name), data, 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
}

var rootInLVM = regexp.MustCompile(`^/dev/mapper/debian--vg-root +(\d+) `)

// rootBlocks is how large the guest of the boot test before saw its root, KiB.
func (m *matrix) rootBlocks() int {
	m.t.Helper()
	var r struct{ Guest []string }
	body, err := os.ReadFile(filepath.Join(m.dir, "report", "boot-test.json"))
	if err != nil || json.Unmarshal(body, &r) != nil {
		m.t.Fatal(err)
	}
	for _, line := range r.Guest {
		if found := rootInLVM.FindStringSubmatch(line); found != nil {
			n, _ := strconv.Atoi(found[1])
			return n
		}
	}
	m.t.Fatalf("the root is no logical volume: %s", strings.Join(r.Guest, "\n"))
	return 0
}
