package instance

import (
	"context"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// A volume that takes the place of another is given its data first. Under a guest
// the hypervisor copies it and then writes to both, so that both hold the same
// from a moment on which is written down (record.Swapped): from then on the new
// one counts, before it the old one. Without a guest the storage copies.

// swapEvery is how often the hypervisor is asked how far a copy is when it does not
// tell by itself.
const swapEvery = time.Minute

// swapping tells whether a volume is on its way to take another's place.
func (w *worker) swapping(v cloud.InstanceVolume) bool {
	return v.Swaps != "" && !slices.Contains(w.rec.Volumes, v.VolumeID)
}

// swapVolume has the guest's disk of one volume become another's. It gives the
// time after which to look again; 0 when it is done.
func (w *worker) swapVolume(ctx context.Context, spec cloud.InstanceSpec, v cloud.InstanceVolume) (time.Duration, error) {
	bus, err := diskBus(spec.ImageProperties["hw_disk_bus"])
	if err != nil {
		return 0, err
	}
	to, err := w.volumeDisk(ctx, v, bus)
	if err != nil {
		return 0, err
	}
	from := volumeDevice(v.Swaps)
	w.m.Hook("instance.swap.before")
	alike, err := w.guest.MirrorDisk(ctx, from, to)
	if err != nil {
		return 0, err
	}
	if !alike {
		return swapEvery, nil
	}
	w.m.Hook("instance.swap.alike")
	if err := w.swapped(v); err != nil {
		return 0, err
	}
	w.m.Hook("instance.swap.noted")
	done, err := w.guest.SwitchDisk(ctx, from, to.ID)
	if err != nil || !done {
		return swapEvery, err
	}
	w.m.Hook("instance.swap.after")
	return 0, nil
}

// swapped writes down that a volume has its data.
func (w *worker) swapped(v cloud.InstanceVolume) error {
	if slices.Contains(w.rec.Swapped, v.VolumeID) {
		return nil
	}
	w.rec.Swapped = append(w.rec.Swapped, v.VolumeID)
	return w.write(true)
}

// forgetSwaps drops what is noted of swaps that are over for the head, too.
func (w *worker) forgetSwaps(spec cloud.InstanceSpec) {
	left := slices.DeleteFunc(slices.Clone(w.rec.Swapped), func(id string) bool {
		return !slices.ContainsFunc(spec.Volumes, func(v cloud.InstanceVolume) bool { return v.VolumeID == id && v.Swaps != "" })
	})
	if len(left) < len(w.rec.Swapped) {
		w.rec.Swapped, w.dirty = left, true
	}
}

// swapOffline copies the data of volumes whose place others take, while no guest
// has them.
func (w *worker) swapOffline(ctx context.Context, spec cloud.InstanceSpec) error {
	for _, v := range spec.Volumes {
		if !w.swapping(v) || slices.Contains(w.rec.Swapped, v.VolumeID) {
			continue
		}
		was, err := w.m.Storage.Disk(ctx, v.Disk)
		if err != nil {
			return err
		}
		w.m.Hook("instance.swap.offline")
		if _, err := w.m.Storage.RevertDisk(ctx, v.Disk, cloud.VolumeDisk(v.Swaps)); err != nil {
			return err
		}
		if _, err := w.m.Storage.GrowDisk(ctx, v.Disk, was.Size); err != nil {
			return err
		}
		if err := w.swapped(v); err != nil {
			return err
		}
	}
	return nil
}

// swapDevice tells whether the guest has the disk whose place a volume is to take.
func (w *worker) swapDevice(v cloud.InstanceVolume, have map[string]hypervisor.Device) bool {
	if v.Swaps == "" {
		return false
	}
	_, there := have[volumeDevice(v.Swaps)]
	return there
}
