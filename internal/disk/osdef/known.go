package osdef

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// known is one setting of ganeti-instance-image.
type known struct {
	name, def string
	check     func(string) error
}

const cache = "/var/cache/ganeti-instance-image"
const etc = "/etc/ganeti/instance-image"

// settings are all that ganeti-instance-image 1.1 reads, with its defaults. An
// empty SWAP_SIZE is the instance's memory. CACHE_SIZE is ours: how many megabytes
// of images that were fetched are kept in CACHE_DIR. So is IMAGE_KEYRING: a file of public
// keys, of OpenPGP or minisign, by one of which images that are fetched must be signed.
// LOADER is ours: a tarball or dump becomes a disk of one file system with this boot
// loader; systemd-boot's is for UEFI. FIRMWARE is ours: "hybrid" has GRUB start the disk under
// BIOS and UEFI.
func settings() []known {
	return []known{
		{"CDINSTALL", "no", yesNo}, {"SWAP", "yes", yesNo}, {"SWAP_SIZE", "", megabytes}, {"BOOT_SIZE", "100", megabytes},
		{"FILESYSTEM", "ext3", fileSystem}, {"FDISK", "sfdisk", oneOf("sfdisk", "parted")},
		{"KERNEL_ARGS", "", kernelArgs}, {"IMAGE_NAME", "", fileName}, {"IMAGE_TYPE", "dump", oneOf("dump", "tarball", "qemu", "raw", "qcow2")},
		{"IMAGE_DIR", cache, path}, {"IMAGE_DEBUG", "no", oneOf("no", "yes", "0", "1")}, {"IMAGE_URL", "", nil}, {"IMAGE_VERIFY", "yes", yesNo}, {"IMAGE_KEYRING", "", path},
		{"IMAGE_CLEANUP", "no", yesNo}, {"CACHE_DIR", cache, path}, {"CACHE_SIZE", "", megabytes}, {"NOMOUNT", "no", yesNo}, {"ARCH", "", fileName},
		{"CUSTOMIZE_DIR", etc + "/hooks", path}, {"VARIANTS_DIR", etc + "/variants", path}, {"NETWORKS_DIR", etc + "/networks", path},
		{"OVERLAYS_DIR", etc + "/overlays", path}, {"OVERLAY", "", overlay}, {"EXPORT_DIR", "/tmp", path},
		{"LOADER", "", oneOf("", "grub", "extlinux", "systemd-boot")}, {"FIRMWARE", "", oneOf("", "bios", "uefi", "hybrid")},
		{"DNS_SERVERS", "", nil}, {"DNS_SEARCH", "", nil},
		{"CINIT_USER", "", nil}, {"CINIT_SSH_KEY", "", nil}, {"CINIT_SSH_PWAUTH", "", nil}, {"CINIT_MANAGE_RESOLV_CONF", "", nil}, {"CINIT_DISABLE_ROOT", "", nil},
	}
}

// find gives the setting of a name; nil if ganeti-instance-image has none such.
func find(name string) *known {
	all := settings()
	if i := slices.IndexFunc(all, func(k known) bool { return k.name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// fileSystem allows those that a disk of files gets. All but ext are filled by the
// appliance.
func fileSystem(v string) error {
	return oneOf("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat")(v)
}

func oneOf(words ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(words, v) {
			return fmt.Errorf("is %q; it may be %s", v, strings.Join(words, ", "))
		}
		return nil
	}
}

func yesNo(v string) error { return oneOf("yes", "no")(v) }

// megabytes allows what a disk may have: up to 16 TiB.
func megabytes(v string) error {
	if n, err := strconv.ParseInt(v, 10, 64); v != "" && (err != nil || n < 1 || n > 16<<20) {
		return fmt.Errorf("is %q; it is a whole number of megabytes", v)
	}
	return nil
}

func path(v string) error {
	if v != "" && !strings.HasPrefix(v, "/") || strings.ContainsAny(v, "\x00\n") {
		return fmt.Errorf("is %q; it is a path that begins with /", v)
	}
	return nil
}

func fileName(v string) error {
	if strings.ContainsAny(v, "/\x00\n") || v == ".." {
		return fmt.Errorf("is %q; it is part of the name of a file, without /", v)
	}
	return nil
}

// overlay is a folder within OVERLAYS_DIR, or a path.
func overlay(v string) error {
	if strings.HasPrefix(v, "/") {
		return path(v)
	}
	return fileName(v)
}

// kernelArgs are printable words: they go into configurations of boot loaders.
func kernelArgs(v string) error {
	if i := strings.IndexFunc(v, func(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune("{};`\\", r) }); i >= 0 {
		return fmt.Errorf("has %q, which no boot loader would hand on as it is", v[i:i+1])
	}
	return nil
}
