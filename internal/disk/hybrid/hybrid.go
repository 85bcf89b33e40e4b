// Package hybrid puts together disks that boot under BIOS and under UEFI alike, from a
// root file system with GRUB's menu in it, as any user:
//
//	sector 0   GRUB's first sector, and the protective MBR
//	1 MiB      BIOS boot partition (1): GRUB's core for BIOS
//	2 MiB      EFI system partition (2), FAT16: \EFI\BOOT\BOOTX64.EFI, GRUB for UEFI
//	18 MiB     the root file system (3), then the second GPT
//
// Both read /boot/grub/grub.cfg in the root. Whatever makes the root larger finds it at
// the end of the disk.
package hybrid

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/diskfs/go-diskfs/partition/gpt"

	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/fat"
)

const (
	sector = 512
	mib    = 1 << 20

	coreStart = 1 * mib
	espStart  = 2 * mib
	espSize   = 16 * mib
	// RootStart is where the root file system begins; it is partition 3.
	RootStart = espStart + espSize
	// tail is what lies behind the root: the second GPT.
	tail = mib
)

// Places in GRUB's first sectors where the place of what they load is written: of
// boot.img the first sector of the core, of the core's first sector its second
// (GRUB_BOOT_MACHINE_KERNEL_SECTOR, and the block list at the end of diskboot.img).
const (
	kernelSector = 0x5c
	blockList    = 0x1f4
)

// modules read a GPT, ext4 and a menu, and start Linux, on screen and serial line.
var modules = []string{"part_gpt", "ext2", "normal", "linux", "configfile", "serial", "terminal", "echo", "test", "search", "search_fs_uuid", "all_video"}

// Disk is what is put together.
type Disk struct {
	Path string // raw, to be made; it must not exist
	Root string // a file that is an ext file system, of whole sectors
	UUID string // of Root
	Work string // a folder for files in between
}

// Size is how large the disk is of a root of so many bytes.
func Size(root int64) int64 { return RootStart + (root+mib-1)/mib*mib + tail }

func fail(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "make hybrid disk", Reason: fmt.Sprintf(format, args...)}
}

// Make writes the disk. What was written of it is removed after a failure.
func Make(ctx context.Context, run *disk.Runner, d Disk) (err error) {
	head, boot, err := d.head(ctx, run)
	if err != nil {
		return err
	}
	root, err := os.Open(d.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	out, err := os.OpenFile(d.Path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(d.Path))
		}
	}()
	w, err := disk.NewSparseWriter(out)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	length, err := w.ReadFrom(root)
	if err != nil {
		return err
	}
	if length%sector != 0 {
		return fail("the root file system has %d bytes, no whole sectors", length)
	}
	size := Size(length)
	if err := out.Truncate(size); err != nil {
		return err
	}
	if err := table(length).Write(out, size); err != nil {
		return err
	}
	_, err = out.WriteAt(boot, 0)
	return err
}

// table is the GPT.
func table(root int64) *gpt.Table {
	part := func(index int, start, size int64, kind gpt.Type, name string) *gpt.Partition {
		return &gpt.Partition{Index: index, Start: uint64(start / sector), End: uint64((start+size)/sector - 1), Size: uint64(size), Type: kind, Name: name}
	}
	return &gpt.Table{LogicalSectorSize: sector, PhysicalSectorSize: sector, ProtectiveMBR: true, Partitions: []*gpt.Partition{
		part(1, coreStart, mib, gpt.BIOSBoot, "bios"), part(2, espStart, espSize, gpt.EFISystemPartition, "efi"),
		part(3, RootStart, root, gpt.LinuxFilesystem, "root")}}
}

// head is all before the root but for the table, and the code of the first sector.
func (d Disk) head(ctx context.Context, run *disk.Runner) (head, boot []byte, err error) {
	if boot, err = os.ReadFile(bootdisk.FirstSector); err != nil || len(boot) < 440 {
		return nil, nil, &disk.Error{Kind: disk.ToolMissing, Op: "make hybrid disk", Reason: "GRUB for BIOS is missing; Debian has it in grub-pc-bin", Err: err}
	}
	boot = boot[:440]
	if _, err := os.Stat("/usr/lib/grub/x86_64-efi/kernel.img"); err != nil {
		return nil, nil, &disk.Error{Kind: disk.ToolMissing, Op: "make hybrid disk", Reason: "GRUB for UEFI is missing; Debian has it in grub-efi-amd64-bin", Err: err}
	}
	core, err := d.grub(ctx, run, disk.GRUBForBIOS, "(hd0,gpt3)/boot/grub", "biosdisk", "linux16")
	if err != nil {
		return nil, nil, err
	}
	if len(core) <= sector || len(core) > mib {
		return nil, nil, fail("GRUB's core of %d bytes does not fit its partition", len(core))
	}
	binary.LittleEndian.PutUint64(boot[kernelSector:], coreStart/sector)
	binary.LittleEndian.PutUint64(core[blockList:], coreStart/sector+1)
	esp, err := d.esp(ctx, run)
	if err != nil {
		return nil, nil, err
	}
	head = make([]byte, RootStart)
	copy(head[coreStart:], core)
	copy(head[espStart:], esp)
	return head, boot, nil
}

// grub makes GRUB's image for a platform.
func (d Disk) grub(ctx context.Context, run *disk.Runner, platform, prefix string, more ...string) ([]byte, error) {
	path := filepath.Join(d.Work, "grub-"+platform)
	if err := run.GRUBImage(ctx, platform, path, prefix, append(more, modules...)...); err != nil {
		return nil, err
	}
	defer os.Remove(path)
	return os.ReadFile(path)
}

// menu is what GRUB for UEFI reads first, beside itself: it goes on with the menu in
// the root. linux16 is a word of GRUB for BIOS alone, see ADR 102.
const menu = `# Made by hearth.
search --no-floppy --fs-uuid --set=root %s
set prefix=($root)/boot/grub
function linux16 {
	linux "$@"
}
function initrd16 {
	initrd "$@"
}
configfile ($root)/boot/grub/grub.cfg
`

// esp is the EFI system partition.
func (d Disk) esp(ctx context.Context, run *disk.Runner) (b []byte, err error) {
	code, err := d.grub(ctx, run, disk.GRUBForUEFI, "/EFI/BOOT", "fat")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(d.Work, "esp")
	defer func() { err = errors.Join(err, os.Remove(path)) }()
	files := []fat.File{{Path: "/EFI/BOOT/BOOTX64.EFI", Data: code}, {Path: "/EFI/BOOT/grub.cfg", Data: []byte(fmt.Sprintf(menu, d.UUID))}}
	if err := fat.Make(path, fat.Options{Size: espSize, Label: "EFI", Files: files}); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
