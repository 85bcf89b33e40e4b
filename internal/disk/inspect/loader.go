package inspect

import (
	"bytes"
	"io"

	"hearth/internal/disk/fat"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
)

// firmware looks what could start the disk: code in the first sector, a
// partition for UEFI.
func (r *Report) firmware(d *guestfs.Disk) {
	head := make([]byte, 2<<20)
	n, err := d.Reader().ReadAt(head, 0)
	if err != nil && n == 0 {
		return
	}
	head = head[:n]
	boot := head[:min(440, n)]
	if len(bytes.TrimLeft(boot, "\x00")) > 0 && n >= 512 && head[510] == 0x55 && head[511] == 0xaa {
		r.Firmware = append(r.Firmware, "bios")
		switch {
		case bytes.Contains(boot, []byte("GRUB")):
			r.Loader = "grub"
		case bytes.Contains(head[:512], []byte("SYSLINUX")), bytes.Contains(head[:512], []byte("EXTLINUX")), bytes.Contains(head[:512], []byte("isolinux")), bytes.Contains(boot, []byte("Missing operating system")):
			if r.Loader = "syslinux"; extlinux(d) != nil {
				r.Loader = "extlinux"
			}
		case bytes.Contains(head[:512], []byte("LILO")):
			r.Loader = "lilo"
		}
	}
	for _, v := range d.Volumes {
		if isEFI(v) {
			r.Firmware = append(r.Firmware, "uefi")
			if r.Loader == "" {
				r.Loader = efiLoader(d, v)
			}
		}
	}
}

func isEFI(v *guestfs.Volume) bool {
	return v.Type == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B" || v.Type == "ef"
}

// extlinux finds the ext file system that the loader's boot sector is in.
func extlinux(d *guestfs.Disk) *guestfs.Volume {
	for _, v := range d.Volumes {
		b := make([]byte, 512)
		if n, _ := d.Reader().ReadAt(b, v.Start); n == 512 && v.FS() != nil && (bytes.Contains(b, []byte("SYSLINUX")) || bytes.Contains(b, []byte("EXTLINUX"))) {
			return v
		}
	}
	return nil
}

// maxProgram bounds a boot loader's, bytes.
const maxProgram = 16 << 20

// efiFiles reads an EFI system partition; nil if it cannot be read.
func efiFiles(d *guestfs.Disk, v *guestfs.Volume) *fat.FS {
	f, err := fat.Open(io.NewSectionReader(d.Reader(), v.Start, v.Size), v.Size)
	if err != nil {
		return nil
	}
	return f
}

// efiLoader tells by the program that firmware starts by default which loader it is.
func efiLoader(d *guestfs.Disk, v *guestfs.Volume) string {
	f := efiFiles(d, v)
	if f == nil {
		return ""
	}
	b, err := f.ReadFile("/EFI/BOOT/BOOTX64.EFI", maxProgram)
	if err != nil {
		return ""
	}
	switch {
	case bytes.Contains(b, []byte("LoaderInfo: systemd-boot")): // what bootctl looks for too
		return "systemd-boot"
	case bytes.Contains(b, []byte("GRUB")), bytes.Contains(b, []byte("grub")):
		return "grub"
	}
	return ""
}

// efi reads the menu of systemd-boot, which lies beside it with the kernel.
func (r *Report) efi(d *guestfs.Disk) {
	for _, v := range d.Volumes {
		if !isEFI(v) || r.Default != nil && r.Default.Kernel != "" {
			continue
		}
		f := efiFiles(d, v)
		if f == nil {
			continue
		}
		e := guestos.DefaultEntry(f)
		if e == nil || e.Kernel == "" {
			continue
		}
		if len(r.Kernels) == 0 {
			r.Kernels = append(r.Kernels, guestos.Kernel{Path: efiName + e.Kernel, Version: guestos.VersionOf(f, e.Kernel), Ramdisk: efiName + e.Ramdisk})
		}
		e.Config, e.Kernel, e.Ramdisk = efiName+e.Config, efiName+e.Kernel, efiName+e.Ramdisk
		e.Serial = true // it speaks where the firmware does
		r.Default = e
	}
}

// efiName is put before names of files in the EFI system partition.
const efiName = "esp:"

// loader holds what the boot loader needs against what is there.
func (l *linter) loader(d *guestfs.Disk) {
	if l.Loader != "extlinux" {
		return
	}
	v := extlinux(d)
	if v == nil || v.FS() == nil {
		return
	}
	l.judge("extlinux", v.FS().BlockSize >= 4096, Problem, "its file system has blocks it can read kernels from",
		"extlinux reads no kernel from blocks of less than 4096 bytes: it stops with an I/O error; make the file system with mke2fs -b 4096")
}
