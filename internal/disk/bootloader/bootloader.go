// Package bootloader puts together disks that boot, by the loader and under the firmware
// that are wanted:
//
//	grub          bios (MBR), or hybrid: BIOS and UEFI (GPT)
//	extlinux      bios (MBR)
//	systemd-boot  uefi (GPT)
//
// All of them speak on the serial line, and none of them needs rights, mounts or loop devices.
package bootloader

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/extlinux"
	"hearth/internal/disk/hybrid"
	"hearth/internal/disk/sdboot"
)

// Loaders.
const (
	GRUB        = "grub"
	Extlinux    = "extlinux"
	SystemdBoot = "systemd-boot"
)

// What a disk boots under.
const (
	BIOS   = "bios"
	UEFI   = "uefi"
	Hybrid = "hybrid" // BIOS and UEFI
)

// All lists the loaders.
func All() []string { return []string{GRUB, Extlinux, SystemdBoot} }

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "choose the boot loader", Reason: fmt.Sprintf(format, args...)}
}

// Settle fills in what is not said, and refuses what cannot be with a sentence that says
// what can.
func Settle(loader, firmware string) (string, string, error) {
	under := map[string][]string{GRUB: {BIOS, Hybrid}, Extlinux: {BIOS}, SystemdBoot: {UEFI}}
	if !slices.Contains([]string{"", BIOS, UEFI, Hybrid}, firmware) {
		return "", "", refuse("the firmware %q is not known here; say bios, uefi, or hybrid for both", firmware)
	}
	if loader == "" {
		if loader = GRUB; firmware == UEFI {
			loader = SystemdBoot
		}
	}
	can := under[loader]
	switch {
	case can == nil:
		return "", "", refuse("there is no boot loader %q here; there are %s", loader, strings.Join(All(), ", "))
	case firmware == "":
		return loader, can[0], nil
	case slices.Contains(can, firmware):
		return loader, firmware, nil
	case loader == GRUB:
		return "", "", refuse("GRUB's disk for UEFI boots under BIOS too: say hybrid, or take systemd-boot")
	}
	other := map[string]string{Extlinux: "extlinux starts under BIOS only: take systemd-boot for uefi, or grub for hybrid",
		SystemdBoot: "systemd-boot starts under UEFI only: take extlinux or grub for bios, or grub for hybrid"}
	return "", "", refuse("%s", other[loader])
}

// Disk is what is put together.
type Disk struct {
	Loader, Firmware string        // settled
	Path             string        // raw, to be made; it must not exist
	Root             string        // a file that is an ext file system of 4 KiB blocks
	UUID             string        // of Root
	ID               uint32        // of an MBR, of which PARTUUID is made
	Work             string        // a folder for files in between
	Menu             bootdisk.Menu // none: GRUB's is in the root already
	Kernel, Ramdisk  []byte        // for a loader that has them beside it
	Files            []disk.File   // what the root gets besides the loader's own
}

// Besides is what the disk has besides its root, bytes; at most a MiB more.
func (d Disk) Besides() int64 {
	switch {
	case d.Loader == SystemdBoot:
		return sdboot.Besides(len(d.Kernel), len(d.Ramdisk)) + 1<<20
	case d.Firmware == Hybrid:
		return hybrid.Size(0) + 1<<20
	}
	return bootdisk.Gap
}

// Make writes the disk. What was written of it is removed after a failure.
func (d Disk) Make(ctx context.Context, run *disk.Runner) error {
	if err := d.make(ctx, run); err != nil {
		if !errors.Is(err, os.ErrExist) {
			_ = os.Remove(d.Path) // the other error is the one to be told
		}
		return err
	}
	return nil
}

func (d Disk) make(ctx context.Context, run *disk.Runner) error {
	files := d.Files
	switch {
	case d.Loader == SystemdBoot:
		if err := sdboot.Make(ctx, sdboot.Disk{Path: d.Path, Root: d.Root, UUID: d.UUID, Work: d.Work, Menu: d.Menu, Kernel: d.Kernel, Ramdisk: d.Ramdisk}); err != nil {
			return err
		}
		files = slices.DeleteFunc(slices.Clone(files), func(f disk.File) bool { return f.Path == d.Menu.Kernel || f.Path == d.Menu.Ramdisk })
	case d.Loader == Extlinux:
		return d.extlinux(ctx, run)
	case d.Firmware == Hybrid:
		files = d.withMenu()
		if err := hybrid.Make(ctx, run, hybrid.Disk{Path: d.Path, Root: d.Root, UUID: d.UUID, Work: d.Work}); err != nil {
			return err
		}
	default:
		files = d.withMenu()
		head, err := bootdisk.Head(ctx, run, d.Work, bootdisk.Gap+d.length(), d.ID)
		if err != nil {
			return err
		}
		if err := bootdisk.Join(d.Path, head, d.Root); err != nil {
			return err
		}
	}
	return d.inject(ctx, run, files)
}

func (d Disk) withMenu() []disk.File {
	if d.Menu == (bootdisk.Menu{}) {
		return d.Files
	}
	return append(slices.Clone(d.Files), disk.File{Path: bootdisk.ConfigPath, Mode: 0o644, Data: d.Menu.Config()})
}

func (d Disk) inject(ctx context.Context, run *disk.Runner, files []disk.File) error {
	if len(files) == 0 {
		return nil
	}
	return run.Inject(ctx, []disk.Layer{{Path: d.Path, Format: disk.Raw}}, files)
}

// length of the root; 0 if it is not there, which is seen when it is read.
func (d Disk) length() int64 {
	st, err := os.Stat(d.Root)
	if err != nil {
		return 0
	}
	return st.Size()
}

func (d Disk) extlinux(ctx context.Context, run *disk.Runner) error {
	l, err := extlinux.Load()
	if err != nil {
		return err
	}
	size := d.length()
	head := bootdisk.BareHead(bootdisk.Gap+size, d.ID)
	copy(head[:440], l.MBR())
	if err := bootdisk.Join(d.Path, head, d.Root); err != nil {
		return err
	}
	files := append(slices.Clone(d.Files), disk.File{Path: extlinux.ConfigPath, Mode: 0o644, Data: extlinux.Config(d.Menu)})
	if err := d.inject(ctx, run, append(files, l.Files()...)); err != nil {
		return err
	}
	f, err := os.OpenFile(d.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(l.Install(f, bootdisk.Gap, size), f.Close())
}
