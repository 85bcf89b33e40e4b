package instance

import (
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// Names of the devices of a guest that come and go: this and a part of the id of
// the volume or port.
const (
	volumePrefix = "vol-"
	nicPrefix    = "nic-"
)

// shortID is the beginning of an id as devices have it, which have no room for
// more: 48 bits of a UUID.
func shortID(id string) string {
	short := strings.ReplaceAll(id, "-", "")
	return short[:min(12, len(short))]
}

func volumeDevice(volume string) string { return volumePrefix + shortID(volume) }
func nicDevice(port string) string      { return nicPrefix + shortID(port) }

// volumeSerial is what a guest sees a volume's disk as, so that it is under
// /dev/disk/by-id as in other clouds: virtio has room for 20 characters.
func volumeSerial(volume string) string { return volume[:min(20, len(volume))] }

// volumeDisk describes a volume as a disk of the guest.
func (w *worker) volumeDisk(ctx context.Context, v cloud.InstanceVolume, imageBus string) (hypervisor.Disk, error) {
	bus := imageBus
	if v.CDROM && v.Bus == "" {
		bus = hypervisor.BusIDE
	}
	if v.Bus != "" {
		asked, err := diskBus(v.Bus)
		if err != nil {
			return hypervisor.Disk{}, err
		}
		bus = asked
	}
	if v.Source.Node != "" {
		return w.remoteDisk(v, bus)
	}
	d, err := w.m.Storage.Disk(ctx, v.Disk)
	if err != nil {
		return hypervisor.Disk{}, err
	}
	if v.Shared && d.Format != hypervisor.FormatRaw {
		return hypervisor.Disk{}, cloud.E("instance.volume", cloud.Unsupported, "volume %s is a %s overlay, which only one guest can have at a time: make a copy of it that is of a multiattach type, and attach that", v.VolumeID, d.Format)
	}
	g := guestDisk(volumeDevice(v.VolumeID), d, bus)
	g.Serial, g.ReadOnly, g.Shared = volumeSerial(v.VolumeID), v.ReadOnly || v.CDROM, v.Shared
	g.CDROM, g.Key = v.CDROM, v.Key
	return g, nil
}

// tap is a port whose tap device may be there.
type tap struct{ Port, Network string }

// volumeIDs and portIDs are those of a spec, in order.
func volumeIDs(spec cloud.InstanceSpec) (ids []string) {
	for _, v := range spec.Volumes {
		ids = append(ids, v.VolumeID)
	}
	return ids
}

func portIDs(spec cloud.InstanceSpec) (ids []string) {
	for _, p := range spec.Ports {
		ids = append(ids, p.ID)
	}
	return ids
}

// nic describes a port as a NIC of the guest.
func nic(p cloud.InstancePort, model string) hypervisor.NIC {
	return hypervisor.NIC{ID: nicDevice(p.ID), MAC: p.MAC, MTU: p.MTU, Model: model}
}

// openTap plugs a port into its network, and writes down before that it did.
func (w *worker) openTap(ctx context.Context, p cloud.InstancePort) error {
	if t := (tap{p.ID, p.NetworkID}); !slices.Contains(w.rec.Taps, t) {
		w.rec.Taps = append(w.rec.Taps, t)
		if err := w.write(false); err != nil {
			return err
		}
	}
	f, err := w.m.Ports.Plug(ctx, p.NetworkID, p.ID)
	if err == nil {
		w.taps = append(w.taps, f)
	}
	return err
}

// closeTap takes a port off its network.
func (w *worker) closeTap(ctx context.Context, t tap) error {
	if err := w.m.Ports.Unplug(ctx, t.Network, t.Port); err != nil {
		return err
	}
	w.rec.Taps = slices.DeleteFunc(w.rec.Taps, func(o tap) bool { return o == t })
	w.dirty = true
	return nil
}
