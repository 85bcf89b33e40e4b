package disk

// Opaque formats of the image API that say how an image is used, not how its
// bytes are laid out (glance: Amazon kernel, ramdisk and machine image).
const (
	AKI Format = "aki"
	ARI Format = "ari"
	AMI Format = "ami"
)

// CheckClaim holds the format that a user named against what the bytes are.
// It returns nil, or an [Error] of kind Mismatch that says what the bytes are
// and what to do.
//
// aki, ari, ami and raw take all bytes but those of a container format, for a
// container read as raw, or raw read as a container, is how a guest makes the
// host open a file it should not. A kernel named as ramdisk and the like is
// refused because it would only fail at boot, hours later. An ISO 9660 image is
// taken as raw as well: such an image has no pointers out of itself and hybrid
// ones are meant to be written to a disk as they are.
func CheckClaim(claimed string, info Info) error {
	want := Format(claimed)
	if want == "vpc" {
		want = VHD
	}
	switch want {
	case Raw:
		return checkRaw(want, info)
	case AMI:
		return checkUse(want, info, Kernel, Ramdisk)
	case AKI:
		return checkUse(want, info, Ext, XFS, Btrfs, F2FS, GPT, Ramdisk)
	case ARI:
		return checkUse(want, info, Ext, XFS, Btrfs, F2FS, GPT, Kernel)
	case QCOW2, ISO, VMDK, VDI, VHD, VHDX:
		if info.Format != want {
			return fail(Mismatch, "check format", "the image was named %s, but its bytes are %s; upload it again with disk_format %s", claimed, info.describe(), info.name())
		}
		return nil
	}
	return fail(Unsupported, "check format", "the format %q is not known here; use raw, qcow2, iso, aki, ari or ami", claimed)
}

func checkRaw(want Format, info Info) error {
	if info.Format == Raw || info.Format == ISO {
		return nil
	}
	return fail(Mismatch, "check format", "the image was named %s, but its bytes are %s; upload it again with disk_format %s", want, info.describe(), info.name())
}

func checkUse(want Format, info Info, wrong ...Content) error {
	if err := checkRaw(want, info); err != nil {
		return err
	}
	for _, c := range wrong {
		if info.Content == c {
			return fail(Mismatch, "check format", "the image was named %s, but its bytes are %s; upload it again with disk_format %s", want, info.describe(), info.name())
		}
	}
	return nil
}

// name is the disk_format that fits the bytes.
func (i Info) name() string {
	if i.Format != Raw {
		return string(i.Format)
	}
	switch i.Content {
	case Kernel:
		return string(AKI)
	case Ramdisk:
		return string(ARI)
	case Ext, XFS, Btrfs, F2FS:
		return string(AMI) + " or raw"
	}
	return string(Raw)
}

// describe names the bytes for a sentence.
func (i Info) describe() string {
	if i.Format != Raw {
		return string(i.Format)
	}
	switch i.Content {
	case Kernel:
		return "a Linux kernel"
	case Ramdisk:
		return "a cpio archive (a ramdisk)"
	case Ext, XFS, Btrfs, F2FS:
		return "a file system (" + string(i.Content) + ")"
	case GPT, MBR:
		return "a raw disk with a partition table"
	case Packed:
		return "packed with " + i.Packing
	}
	return "of no format known here (raw)"
}
