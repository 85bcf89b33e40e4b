package compute

import (
	"slices"

	"hearth/internal/cloud"
)

// Properties of an image that say how a server is rescued by it (nova's stable
// device rescue).
const (
	rescueDevice = "hw_rescue_device"
	rescueBus    = "hw_rescue_bus"
)

// rescuable refuses to rescue a server that boots from a volume, unless the image
// says all of how, and the client knows of that.
func rescuable(op string, v cloud.Server, said map[string]string, may bool) error {
	if !v.VolumeBoot || may && said[rescueDevice] != "" && said[rescueBus] != "" {
		return nil
	}
	return cloud.E(op, cloud.Invalid, "Instance %s cannot be rescued: Cannot rescue a volume-backed instance", v.ID)
}

// rescueAs reads what an image says of the disk that a server is rescued by; nil
// when it says nothing.
func rescueAs(op string, said map[string]string) (*cloud.RescueAs, error) {
	as := cloud.RescueAs{Device: said[rescueDevice], Bus: said[rescueBus]}
	if as == (cloud.RescueAs{}) {
		return nil, nil
	}
	if as.Device == "" {
		as.Device = "disk"
	}
	switch {
	case as.Bus == "sata":
		as.Bus = "ide" // both are AT Attachment to the guest
	case as.Bus == "" && as.Device == "cdrom":
		as.Bus = "ide"
	case as.Bus == "":
		as.Bus = "virtio"
	}
	buses := map[string][]string{"disk": {"virtio", "scsi", "ide", "usb"}, "cdrom": {"ide", "scsi"}}[as.Device]
	switch {
	case buses == nil:
		return nil, cloud.E(op, cloud.Invalid, "The image's %s is %s: a server is rescued by a disk or a cdrom.", rescueDevice, as.Device)
	case !slices.Contains(buses, as.Bus):
		return nil, cloud.E(op, cloud.Invalid, "The image's %s is %s, which has no %s here: use one of %v.", rescueBus, as.Bus, as.Device, buses)
	}
	return &as, nil
}
