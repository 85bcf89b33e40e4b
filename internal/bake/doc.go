// Package bake is the oven: it makes bootable images from recipes, as any
// user, without root mounts, loop devices or a chroot of the host's.
//
// A recipe gives a [Result] with the same system twice: as a bootable qcow2
// (MBR, GRUB, kernel and login on the serial console) and as the three parts of
// an Amazon machine image: kernel, ramdisk and root file system.
//
// File systems are filled by mke2fs -d and debugfs in the sandbox of package
// disk; GRUB is put into the gap behind the MBR by writing bytes, as LAB 6 has it.
package bake
