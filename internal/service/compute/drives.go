package compute

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// drives is the device type of CD-ROMs.
const drives = "cdrom"

func (d BlockDevice) cdrom() bool { return d.Type == drives }

// checkDrive refuses what a CD-ROM cannot mean. One that is an image is read from the
// node's cache, and is not copied: nova knows none such.
func (d BlockDevice) checkDrive(op string) error {
	switch {
	case d.Source == "blank":
		return invalidDevices(op, "a CD-ROM is made of an image, a volume or a snapshot: a drive without one is not implemented.")
	case d.Destination == "local" && d.Source != "image":
		return invalidDevices(op, "Mapping %s to local is not supported.", d.Source)
	case d.Destination == "local" && d.VolumeType != "":
		return invalidDevices(op, "Specifying a volume_type with destination_type=local is not supported.")
	case d.Destination == "local" && d.BootIndex == 0:
		return invalidDevices(op, "a CD-ROM of destination_type local is not the first to boot from: give the empty disk boot_index 0 and the CD-ROM 1, for the firmware goes on to it while nothing is installed.")
	case d.Source == "volume" && d.VolumeType != "":
		return invalidDevices(op, "Specifying volume type to existing volume is not supported.")
	case d.Bus != "" && d.Bus != "ide" && d.Bus != "scsi":
		return invalidDevices(op, "The provided disk bus %s is not valid: a CD-ROM is on ide, sata or scsi.", d.Bus)
	}
	return nil
}

// installs tells whether devices have a CD-ROM that is tried when the boot disk has
// nothing on it yet: the disk may be empty then.
func installs(list []BlockDevice) bool {
	return slices.ContainsFunc(list, func(d BlockDevice) bool { return d.cdrom() && d.BootIndex > 0 })
}

// drive is a CD-ROM that is an image.
func drive(tx *store.Tx, op string, c cloud.Caller, d BlockDevice) (cloud.InstanceCD, error) {
	image, err := imageTx(tx, op, c, d.ID)
	switch {
	case err != nil:
		return cloud.InstanceCD{}, invalidDevices(op, "failed to get image %s.", d.ID)
	case image.DiskFormat != "iso" && image.DiskFormat != "raw" || image.Digest == "":
		return cloud.InstanceCD{}, unacceptable(op, image.ID, "a CD-ROM is an image of the disk_format iso or raw, not "+image.DiskFormat)
	}
	cd := cloud.InstanceCD{Image: ref(image), Bus: d.Bus, BootIndex: max(0, d.BootIndex)}
	if cd.Bus == "" {
		cd.Bus = "ide"
	}
	return cd, nil
}

// driveName is what the next CD-ROM is called that is a volume, as nova calls it by
// its bus.
func driveName(bus string, have []cloud.VolumeAttachment) string {
	prefix := "/dev/hd"
	if bus == "scsi" {
		prefix = "/dev/sd"
	}
	for i := 0; ; i++ {
		name := prefix + deviceLetter(i)
		if !slices.ContainsFunc(have, func(a cloud.VolumeAttachment) bool { return a.Device == name }) {
			return name
		}
	}
}
