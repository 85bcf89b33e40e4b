package sdboot

import (
	_ "embed"
	"fmt"

	"hearth/internal/disk"
)

// Mounted is where a system sees the EFI system partition.
const Mounted = "/boot/efi"

//go:embed copy.sh
var copyScript []byte

// Hooks have Debian's package manager copy each new kernel and ramdisk to the loader.
func Hooks() (list []disk.File) {
	for _, dir := range []string{"/etc/kernel/postinst.d", "/etc/initramfs/post-update.d"} {
		list = append(list, disk.File{Path: dir + "/zz-hearth-efi", Mode: 0o755, Data: copyScript})
	}
	return list
}

// FstabLine mounts the EFI system partition of the disk whose root has the UUID; a system
// without it boots all the same.
func FstabLine(uuid string) (string, error) {
	id, err := VolumeID(uuid)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("UUID=%04X-%04X %s vfat umask=0077,nofail 0 2", id>>16, id&0xffff, Mounted), nil
}
