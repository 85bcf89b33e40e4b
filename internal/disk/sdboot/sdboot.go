// Package sdboot puts together disks that boot by systemd-boot under UEFI, as any user:
//
//	1 MiB  EFI system partition (1), FAT16: \EFI\BOOT\BOOTX64.EFI, the menu
//	       (\loader), kernel and ramdisk (\hearth)
//	then   the root file system (2), then the second GPT
//
// systemd-boot reads nothing but FAT, so the kernel lies beside it; what an upgrade has to
// copy there is in [Hooks]. It speaks where the firmware does: with OVMF on the serial line.
package sdboot

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/diskfs/go-diskfs/partition/gpt"

	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/fat"
)

const (
	sector = 512
	mib    = 1 << 20
	start  = 1 * mib
	tail   = 1 * mib // the second GPT
	minESP = 40 * mib

	kernelPath  = "/hearth/vmlinuz"
	ramdiskPath = "/hearth/initrd"
)

// Paths in the EFI system partition.
const (
	ConfigPath = "/loader/loader.conf"
	Entries    = "/loader/entries"
	EntryPath  = Entries + "/linux.conf"
)

// programs is where distributions have it.
var programs = []string{"/usr/lib/systemd/boot/efi/systemd-bootx64.efi", "/lib/systemd/boot/efi/systemd-bootx64.efi"}

// Disk is what is put together.
type Disk struct {
	Path            string // raw, to be made; it must not exist
	Root            string // a file that is an ext file system, of whole sectors
	UUID            string // of Root, of which the EFI partition's is made
	Work            string // a folder for files in between
	Menu            bootdisk.Menu
	Kernel, Ramdisk []byte
}

func fail(kind disk.Kind, format string, args ...any) error {
	return &disk.Error{Kind: kind, Op: "install systemd-boot", Reason: fmt.Sprintf(format, args...)}
}

// espSize has room for a second kernel and its ramdisk while one is replaced.
func espSize(kernel, ramdisk int) int64 {
	return max(minESP, (2*int64(kernel+ramdisk)+8*mib)/mib*mib)
}

// Besides is what the disk has besides its root, bytes.
func Besides(kernel, ramdisk int) int64 { return start + espSize(kernel, ramdisk) + tail }

// VolumeID is the EFI partition's serial number, of the root's UUID.
func VolumeID(uuid string) (uint32, error) {
	b, err := hex.DecodeString(uuid[:min(8, len(uuid))])
	if err != nil || len(b) != 4 {
		return 0, fail(disk.Refused, "the UUID %q is none", uuid)
	}
	return binary.BigEndian.Uint32(b), nil
}

// shortest is the least that the menu is shown: systemd-boot says nothing without.
const shortest = time.Second

// Config is the loader's own configuration. The console keeps its size, for a serial
// line has none; the editor stays, as who has the console may rescue the system.
func Config(m bootdisk.Menu) []byte {
	return fmt.Appendf(nil, "%s\ntimeout %d\ndefault linux.conf\nconsole-mode keep\neditor yes\n", bootdisk.ConfigMark, max(m.Wait, shortest)/time.Second)
}

// Entry is that of the one kernel (Boot Loader Specification, type 1).
func Entry(m bootdisk.Menu) []byte {
	b := fmt.Appendf(nil, "%s The kernel is found by these names after an upgrade too.\ntitle   %s\nlinux   %s\n", bootdisk.ConfigMark, m.Title, kernelPath)
	if m.Ramdisk != "" {
		b = fmt.Appendf(b, "initrd  %s\n", ramdiskPath)
	}
	return fmt.Appendf(b, "options %s\n", m.Params)
}

// Make writes the disk. What was written of it is removed after a failure.
func Make(ctx context.Context, d Disk) (err error) {
	esp, err := d.esp()
	if err != nil {
		return err
	}
	defer os.Remove(esp)
	out, err := os.OpenFile(d.Path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(d.Path))
		}
	}()
	return d.write(ctx, out, esp)
}

func (d Disk) write(ctx context.Context, out *os.File, esp string) error {
	w, err := disk.NewSparseWriter(out)
	if err != nil {
		return err
	}
	w.Skip(start)
	espLen, err := add(ctx, w, esp)
	if err != nil {
		return err
	}
	root, err := add(ctx, w, d.Root)
	if err != nil {
		return err
	}
	if root%sector != 0 {
		return fail(disk.Unsupported, "the root file system has %d bytes, no whole sectors", root)
	}
	size := (start+espLen+root+mib-1)/mib*mib + tail
	if err := out.Truncate(size); err != nil {
		return err
	}
	part := func(index int, at, size int64, kind gpt.Type, name string) *gpt.Partition {
		return &gpt.Partition{Index: index, Start: uint64(at / sector), End: uint64((at+size)/sector - 1), Size: uint64(size), Type: kind, Name: name}
	}
	t := &gpt.Table{LogicalSectorSize: sector, PhysicalSectorSize: sector, ProtectiveMBR: true, Partitions: []*gpt.Partition{
		part(1, start, espLen, gpt.EFISystemPartition, "efi"), part(2, start+espLen, root, gpt.LinuxFilesystem, "root")}}
	return t.Write(out, size)
}

func add(ctx context.Context, w *disk.SparseWriter, name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return w.ReadFrom(io.Reader(f))
}

// esp makes the EFI system partition in a file.
func (d Disk) esp() (string, error) {
	program, err := program()
	if err != nil {
		return "", err
	}
	id, err := VolumeID(d.UUID)
	if err != nil {
		return "", err
	}
	files := []fat.File{{Path: "/EFI/BOOT/BOOTX64.EFI", Data: program}, {Path: ConfigPath, Data: Config(d.Menu)}, {Path: EntryPath, Data: Entry(d.Menu)},
		{Path: kernelPath, Data: d.Kernel}}
	if d.Menu.Ramdisk != "" {
		files = append(files, fat.File{Path: ramdiskPath, Data: d.Ramdisk})
	}
	name := filepath.Join(d.Work, "esp")
	size := espSize(len(d.Kernel), len(d.Ramdisk))
	return name, fat.Make(name, fat.Options{Size: size, Label: "EFI", ID: id, Files: files})
}

func program() ([]byte, error) {
	for _, name := range programs {
		if b, err := os.ReadFile(name); err == nil {
			return b, nil
		}
	}
	return nil, fail(disk.ToolMissing, "%s is missing; Debian has it in systemd-boot-efi", programs[0])
}
