package bake

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"

	"hearth/internal/disk/bootloader"
	"hearth/internal/disk/sdboot"
)

// disk is the disk of a system as it is put together.
func (o *oven) disk(sys *system, root string) bootloader.Disk {
	return bootloader.Disk{Loader: o.Loader, Firmware: o.Firmware, Path: filepath.Join(o.work, "disk"), Root: root, UUID: sys.uuid, Work: o.work,
		Menu: sys.menu, Kernel: sys.kernel, Ramdisk: sys.ramdisk, Files: sys.boot}
}

// bootable makes the raw disk: the root file system, with the boot files, in its
// last partition.
func (o *oven) bootable(ctx context.Context, sys *system, root string, size int64) (string, error) {
	d := o.disk(sys, root)
	d.Menu.Params += o.early()
	done := o.steps.begin("put the disk together", size)
	return d.Path, done.end(d.Make(ctx, &o.run))
}

// early has the kernel speak on the serial line from its first line on, where the loader
// leaves the line set up. GRUB's images do without: they are made to be quick.
func (o *oven) early() string {
	if o.Loader == bootloader.GRUB {
		return ""
	}
	return " earlyprintk=serial,ttyS0,115200"
}

// fstab is that of a system with one root, and with the EFI system partition that its
// loader reads.
func (o *oven) fstab(root, uuid string) (string, error) {
	if o.Loader != bootloader.SystemdBoot {
		return root, nil
	}
	efi, err := sdboot.FstabLine(uuid)
	return line(root, efi), err
}

// efi has a system that others put together mount the EFI system partition.
func (o *oven) efi(r *rootfs, uuid string) error {
	if o.Loader != bootloader.SystemdBoot {
		return nil
	}
	old, err := r.read("/etc/fstab")
	if err != nil {
		return err
	}
	text, err := o.fstab(old, uuid)
	if err != nil {
		return err
	}
	if err := r.text("/etc/fstab", text); err != nil {
		return err
	}
	if err := r.put(entry{path: sdboot.Mounted, mode: fs.ModeDir | 0o700}); err != nil {
		return err
	}
	for _, e := range o.efiHooks() {
		if !r.has("/var/lib/dpkg/status") || strings.HasPrefix(e.path, "/etc/initramfs/") && !r.has("/etc/initramfs-tools") {
			continue
		}
		if err := r.put(e); err != nil {
			return err
		}
	}
	return nil
}

// efiHooks copy new kernels to the loader; none for loaders that find them.
func (o *oven) efiHooks() (list []entry) {
	if o.Loader != bootloader.SystemdBoot {
		return nil
	}
	for _, f := range sdboot.Hooks() {
		list = append(list, entry{path: f.Path, mode: f.Mode, data: f.Data})
	}
	return list
}
