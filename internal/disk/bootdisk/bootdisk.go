// Package bootdisk makes disks that boot: an MBR with GRUB for BIOS machines in the
// gap behind it, and one partition, without rights, mounts or loop devices. GRUB is
// put in its place by writing bytes (LAB 6), its menu speaks on the serial line too.
package bootdisk

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/disk"
)

// Gap is what lies before the partition: MBR, GRUB's core, and room, as every
// partitioner leaves it. In bytes.
const Gap = 1 << 20

// ConfigPath is where GRUB looks for its menu in the partition.
const ConfigPath = "/boot/grub/grub.cfg"

// ConfigMark begins each menu of ours.
const ConfigMark = "# Made by hearth bake."

// modules is all that GRUB needs to read a menu and a kernel from ext4 on
// an MBR disk and to show both on the serial line.
var modules = []string{"biosdisk", "part_msdos", "normal", "linux16", "configfile", "serial", "terminal", "echo", "test", "search", "search_fs_uuid"}

// FirstSector is where Debian's grub-pc-bin has it.
const FirstSector = "/usr/lib/grub/i386-pc/boot.img"

// Menu is what is started: names in the partition, the kernel's parameters, and how
// long, in whole seconds, a person may choose.
type Menu struct {
	Title, Kernel, Ramdisk, Params string
	Wait                           time.Duration
}

// Config shows the menu and what follows on screen and serial line. The kernel is
// started by linux16: what GRUB's linux loads, it moves afterwards, byte by byte and
// with all the room that the unpacked kernel will want: 53 MB, 2.6 s on an emulated
// processor (ADR 102).
func (m Menu) Config() []byte {
	ramdisk := ""
	if m.Ramdisk != "" {
		ramdisk = "\techo \"Loading its initial ramdisk\"\n\tinitrd16 " + m.Ramdisk + "\n"
	}
	return fmt.Appendf(nil, `%s The kernel is found by these names after an upgrade too.
%sset default=0
set timeout=%d
menuentry "%s" {
	echo "Loading %s"
	linux16 %s %s
%s}
`, ConfigMark, disk.GRUBSerial, int(m.Wait.Seconds()), m.Title, m.Kernel, m.Kernel, m.Params, ramdisk)
}

// Head is HeadFor a root of ext2, ext3 or ext4.
func Head(ctx context.Context, run *disk.Runner, work string, size int64, id uint32) ([]byte, error) {
	return HeadFor(ctx, run, work, size, id, "ext2")
}

// HeadFor is all before the partition of a disk of size bytes, whose file system GRUB
// reads by its module fs ("ext2", "xfs", "btrfs", "f2fs"). boot.img loads sector 1
// and core.img goes on with sector 2 as they come, so nothing has to be patched for
// this place. id is the disk's, of which PARTUUID is made; work is a folder for
// files that Head leaves there.
func HeadFor(ctx context.Context, run *disk.Runner, work string, size int64, id uint32, fs string) ([]byte, error) {
	first, err := disk.ReadGRUB("make bootable", FirstSector)
	if err != nil {
		return nil, err
	}
	core := filepath.Join(work, "core.img")
	if err := run.GRUB(ctx, core, "(hd0,msdos1)/boot/grub", append([]string{fs}, modules...)...); err != nil {
		return nil, err
	}
	code, err := os.ReadFile(core)
	if err != nil {
		return nil, err
	}
	if len(first) < 440 || len(code) > Gap-512 {
		return nil, fmt.Errorf("GRUB does not fit: boot.img has %d bytes, the core %d", len(first), len(code))
	}
	head := make([]byte, Gap)
	copy(head, first[:440])
	copy(head[512:], code)
	binary.LittleEndian.PutUint32(head[440:], id)
	disk.MBRTable(head[:512], Gap, size)
	return head, nil
}

// BareHead is all before the partition of a disk that does not boot.
func BareHead(size int64, id uint32) []byte {
	head := make([]byte, Gap)
	binary.LittleEndian.PutUint32(head[440:], id)
	disk.MBRTable(head[:512], Gap, size)
	return head
}

// Join writes head and then the file tail to the new file path, without zeros.
func Join(path string, head []byte, tail string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	w, err := disk.NewSparseWriter(f)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	in, err := os.Open(tail)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := w.ReadFrom(in); err != nil {
		return err
	}
	return w.Finish()
}
