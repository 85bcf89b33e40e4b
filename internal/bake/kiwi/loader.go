package kiwi

import "hearth/internal/disk/bootloader"

// loader takes the boot loader and the firmware by KIWI's names for them. What is not
// made here becomes GRUB's disk for both firmwares, or for BIOS.
func (r *reader) loader(name, firmware string) {
	loader := map[string]string{"": "", "grub": bootloader.GRUB, "grub2": bootloader.GRUB, "extlinux": bootloader.Extlinux, "syslinux": bootloader.Extlinux,
		"systemd_boot": bootloader.SystemdBoot}
	under := map[string]string{"": "", "bios": bootloader.BIOS, "efi": bootloader.UEFI, "uefi": bootloader.UEFI}
	l, known := loader[name]
	if !known {
		r.warn("the boot loader %s is not available: it becomes GRUB", name)
	}
	f, known := under[firmware]
	if !known {
		r.warn("firmware %s is not available: the image boots by BIOS", firmware)
	}
	if f == bootloader.UEFI && l != bootloader.SystemdBoot {
		f = bootloader.Hybrid
	}
	if _, _, err := bootloader.Settle(l, f); err != nil {
		r.warn("%v: it becomes GRUB", err)
		l = bootloader.GRUB
	}
	if _, _, err := bootloader.Settle(l, f); err != nil {
		f = ""
	}
	r.Boot.Loader, r.Firmware = l, f
}
