package instance

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// A guest's driver takes a device that is plugged in within moments, or, where the
// guest is booting, when its kernel is up. Nothing tells when: it is looked at, more
// rarely as time goes by. takeWithin is after which time an attachment is over with
// the word that the guest has not taken it; that is looked at later, too, for a while.
const (
	takeWithin = 10 * time.Second
	lookEvery  = 30 * time.Second
	lookTimes  = 20
)

// plugged notes a device that the guest was given as it ran.
func (w *worker) plugged(device string) {
	if !slices.Contains(w.rec.Plugged, device) {
		w.rec.Plugged, w.dirty = append(w.rec.Plugged, device), true
	}
}

// judge looks which of the devices that were plugged in the guest drives. It gives
// the time after which to look again; 0 when all are taken, or waited for in vain.
func (w *worker) judge(spec cloud.InstanceSpec, have map[string]hypervisor.Device) time.Duration {
	r, f, now := &w.rec, &w.fitting, w.m.Clock.Now()
	if len(r.Plugged) == 0 || r.State != cloud.InstanceRunning {
		return 0
	}
	var wait time.Duration
	untaken := map[string]string{}
	keep := []string{}
	for _, device := range r.Plugged {
		d, there := have[device]
		owner, what := ownerIn(spec, device)
		if owner == "" || !there || d.Driver != hypervisor.DriverMissing {
			continue
		}
		keep = append(keep, device)
		if f.since[device].IsZero() {
			f.since[device] = now
		}
		if waited := now.Sub(f.since[device]); waited < takeWithin && r.Untaken[owner] == "" {
			wait = max(wait, min(takeWithin-waited, max(100*time.Millisecond, waited)))
			continue
		}
		untaken[owner] = "the guest has not taken it: is its system up, and are " + what + " there?"
	}
	if !slices.Equal(keep, r.Plugged) || !maps.Equal(untaken, r.Untaken) {
		r.Plugged, r.Untaken, w.dirty = keep, untaken, true
	}
	return wait
}

// ownerIn is the volume or port of a device, and the drivers that a Linux guest needs
// for it; "" when it is wanted no more.
func ownerIn(spec cloud.InstanceSpec, device string) (owner, drivers string) {
	if strings.HasPrefix(device, nicPrefix) {
		for _, p := range spec.Ports {
			if nicDevice(p.ID) == device {
				return p.ID, "acpiphp (or pciehp) and virtio_net"
			}
		}
	}
	for _, v := range spec.Volumes {
		if volumeDevice(v.VolumeID) == device {
			return v.VolumeID, "acpiphp (or pciehp) and virtio_blk"
		}
	}
	return "", ""
}

// lookAgain looks, when all else is done, whether the guest has taken since what it
// had not. done is true: nobody waits for this.
func (w *worker) lookAgain(ctx context.Context, spec cloud.InstanceSpec) (again time.Duration, done bool, err error) {
	f, now := &w.fitting, w.m.Clock.Now()
	if len(w.rec.Untaken) == 0 || f.looks >= lookTimes {
		return 0, true, nil
	}
	if f.look.IsZero() {
		f.look = now.Add(lookEvery)
	}
	if left := f.look.Sub(now); left > 0 {
		return left, true, nil
	}
	have, err := w.devices(ctx)
	if err != nil {
		return 0, false, err
	}
	w.judge(spec, have)
	f.looks, f.look = f.looks+1, now.Add(lookEvery)
	if len(w.rec.Untaken) == 0 {
		return 0, true, nil
	}
	return lookEvery, true, nil
}
