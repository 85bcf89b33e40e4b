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

// How often a guest is asked to let go of a device, and how many times. Some do
// not hear it: one that is still booting, or whose system uses the device. nova
// asks as patiently.
const (
	unplugEvery = 10 * time.Second
	unplugTries = 12
)

// fitting is what a guest was last made to fit.
type fitting struct {
	guest      hypervisor.Guest
	generation int64
	volumes    []cloud.InstanceVolume
	ports      []cloud.InstancePort
	tries      map[string]try       // by device, of this generation
	since      map[string]time.Time // by device: when it was found without a driver first
	looks      int                  // how often that was looked at after all else was done
	look       time.Time            // when it is next
	done       bool
}

// try counts what was done about a device that is not as it should be.
type try struct {
	count int
	next  time.Time
}

// fit makes the guest have the volumes and ports of its spec: it asks what is
// there, unplugs what should not be, plugs what is missing. done is whether
// all is as wanted, or given up and said so; if not, again is when to look again.
func (w *worker) fit(ctx context.Context, spec cloud.InstanceSpec) (again time.Duration, done bool, err error) {
	if w.guest == nil {
		return 0, true, w.fitNone(ctx, spec)
	}
	f := &w.fitting
	if f.guest != w.guest || f.generation != spec.Intent.Generation || !slices.Equal(f.volumes, spec.Volumes) || !slices.Equal(f.ports, spec.Ports) {
		*f = fitting{guest: w.guest, generation: spec.Intent.Generation, volumes: spec.Volumes, ports: spec.Ports, tries: map[string]try{}, since: map[string]time.Time{}}
	}
	if f.done {
		return w.lookAgain(ctx, spec)
	}
	if w.rec.RefusedFor != spec.Intent.Generation {
		w.rec.Refused, w.rec.RefusedFor, w.dirty = nil, spec.Intent.Generation, true
	}
	have, err := w.devices(ctx)
	if err != nil {
		return 0, false, err
	}
	waits, err := w.unplugExtra(ctx, spec, have)
	if err != nil {
		return 0, false, err
	}
	more, err := w.plugMissing(ctx, spec, have)
	if err != nil {
		return 0, false, err
	}
	waits = append(waits, more...)
	if have, err = w.devices(ctx); err != nil {
		return 0, false, err
	}
	changed := w.hold(spec, have)
	if wait := w.judge(spec, have); wait > 0 {
		waits = append(waits, wait)
	}
	if f.done = len(waits) == 0; f.done {
		w.forgetSwaps(spec)
		return w.lookAgain(ctx, spec)
	}
	if changed { // told at once; the generation follows when all is done
		err = w.save(false)
	}
	return max(slices.Min(waits), time.Millisecond), false, err
}

// fitNone is fit for a server without a guest: what it is to have it gets at its
// next start.
func (w *worker) fitNone(ctx context.Context, spec cloud.InstanceSpec) error {
	r := &w.rec
	for _, t := range slices.Clone(r.Taps) {
		if err := w.closeTap(ctx, t); err != nil {
			return err
		}
	}
	if !r.Saved { // a guest that is to wake up finds its disks as they were
		if err := w.swapOffline(ctx, spec); err != nil {
			return err
		}
	}
	w.forgetSwaps(spec)
	if len(r.Refused) > 0 || len(r.Leaving) > 0 || len(r.Plugged) > 0 {
		r.Refused, r.Leaving, r.Plugged, r.Untaken, w.dirty = nil, nil, nil, nil, true
	}
	w.holdAll(spec)
	return nil
}

// holdAll notes that all that is wanted is there.
func (w *worker) holdAll(spec cloud.InstanceSpec) {
	r := &w.rec
	if volumes, ports := volumeIDs(spec), portIDs(spec); !slices.Equal(r.Volumes, volumes) || !slices.Equal(r.Ports, ports) {
		r.Volumes, r.Ports, w.dirty = volumes, ports, true
	}
}

// hold notes which volumes and ports the guest has, and tells whether these are
// others than before.
func (w *worker) hold(spec cloud.InstanceSpec, have map[string]hypervisor.Device) bool {
	r := &w.rec
	addresses := map[string]string{}
	macs := map[string]hypervisor.Device{}
	for _, d := range have {
		macs[strings.ToLower(d.MAC)] = d
	}
	for _, p := range spec.Ports { // of guests whose NICs were named otherwise
		if d, there := macs[strings.ToLower(p.MAC)]; there && p.MAC != "" {
			have[nicDevice(p.ID)] = d
		}
	}
	held := func(ids []string, device func(string) string) (out []string) {
		for _, id := range ids {
			d, there := have[device(id)]
			if !there && !slices.Contains(r.Leaving, device(id)) {
				continue
			}
			out = append(out, id)
			if d.Address != "" {
				addresses[id] = d.Address
			}
		}
		return out
	}
	volumes, ports := held(union(volumeIDs(spec), r.Volumes), volumeDevice), held(union(portIDs(spec), r.Ports), nicDevice)
	if slices.Equal(volumes, r.Volumes) && slices.Equal(ports, r.Ports) && maps.Equal(addresses, r.Addresses) {
		return false
	}
	r.Volumes, r.Ports, r.Addresses, w.dirty = volumes, ports, addresses, true
	return true
}

// union is all of a, and then what only b has.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, id := range b {
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// devices are the guest's, by their ids.
func (w *worker) devices(ctx context.Context) (map[string]hypervisor.Device, error) {
	list, err := w.guest.Devices(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]hypervisor.Device{}
	for _, d := range list {
		all[d.ID] = d
	}
	return all, nil
}

// unplugExtra asks the guest to let go of what it should not have, and clears
// away what it let go of. It gives the times after which to look again.
func (w *worker) unplugExtra(ctx context.Context, spec cloud.InstanceSpec, have map[string]hypervisor.Device) (waits []time.Duration, err error) {
	r := &w.rec
	wanted := map[string]bool{}
	for _, v := range spec.Volumes {
		wanted[volumeDevice(v.VolumeID)] = true
		if v.Swaps != "" {
			wanted[volumeDevice(v.Swaps)] = true // until the other has its place
		}
	}
	for _, p := range spec.Ports {
		wanted[nicDevice(p.ID)] = true
	}
	// A disk that is wanted again may stay. A NIC cannot: its cable is cut.
	r.Leaving = slices.DeleteFunc(r.Leaving, func(id string) bool { return wanted[id] && strings.HasPrefix(id, volumePrefix) })
	for _, id := range slices.Sorted(maps.Keys(have)) {
		ours := strings.HasPrefix(id, volumePrefix) || strings.HasPrefix(id, nicPrefix)
		if ours && !wanted[id] && !slices.Contains(r.Leaving, id) {
			r.Leaving = append(r.Leaving, id)
			if err := w.write(false); err != nil {
				return nil, err
			}
		}
	}
	for _, id := range slices.Clone(r.Leaving) {
		_, there := have[id]
		wait, err := w.unplugOne(ctx, id, there)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(r.Leaving, id) {
			delete(have, id)
		}
		if wait > 0 {
			waits = append(waits, wait)
		}
	}
	return waits, w.closeStrayTaps(ctx, spec)
}

// unplugOne has the guest let go of a device. It gives the time after which to
// look again; 0 when it is gone, or given up.
func (w *worker) unplugOne(ctx context.Context, id string, there bool) (time.Duration, error) {
	r, now := &w.rec, w.m.Clock.Now()
	owner := w.ownerOf(id)
	t := w.fitting.tries[id]
	switch {
	case there && r.Refused[owner] != "":
		return 0, nil
	case there && now.Before(t.next):
		return t.next.Sub(now), nil
	case there && t.count >= unplugTries:
		w.refuse(owner, "the guest did not let go of it: its system may not be up, or use it")
		return 0, nil
	}
	w.m.Hook("instance.unplug.before")
	gone, err := w.guest.Unplug(ctx, id)
	if err != nil {
		return w.stumbled(ctx, id, owner, err)
	}
	w.m.Hook("instance.unplug.after")
	if gone {
		r.Leaving, w.dirty = slices.DeleteFunc(r.Leaving, func(l string) bool { return l == id }), true
		return 0, nil
	}
	w.fitting.tries[id] = try{t.count + 1, now.Add(unplugEvery)}
	return unplugEvery, nil
}

// ownerOf is the id of the volume or port that a device is of; the device's own
// when nobody knows.
func (w *worker) ownerOf(device string) string {
	for _, v := range w.rec.Volumes {
		if volumeDevice(v) == device {
			return v
		}
	}
	for _, p := range w.rec.Ports {
		if nicDevice(p) == device {
			return p
		}
	}
	return device
}

// closeStrayTaps takes the ports off their networks whose NICs are gone.
func (w *worker) closeStrayTaps(ctx context.Context, spec cloud.InstanceSpec) error {
	wanted := portIDs(spec)
	for _, t := range slices.Clone(w.rec.Taps) {
		if slices.Contains(wanted, t.Port) || slices.Contains(w.rec.Leaving, nicDevice(t.Port)) {
			continue
		}
		if err := w.closeTap(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// plugMissing gives the guest what it lacks. It gives the times after which to
// try again.
func (w *worker) plugMissing(ctx context.Context, spec cloud.InstanceSpec, have map[string]hypervisor.Device) (waits []time.Duration, err error) {
	plug := func(device, owner string, do func() error) error {
		now := w.m.Clock.Now()
		if t := w.fitting.tries[device]; w.rec.Refused[owner] != "" {
			return nil
		} else if now.Before(t.next) {
			waits = append(waits, t.next.Sub(now))
			return nil
		}
		err := do()
		if err == nil {
			return nil
		}
		wait, err := w.stumbled(ctx, device, owner, err)
		if wait > 0 {
			waits = append(waits, wait)
		}
		return err
	}
	for _, v := range spec.Volumes {
		has, there := have[volumeDevice(v.VolumeID)]
		if there && !w.switching(v) && !grown(v, has) {
			continue
		}
		do := func() error { return w.plugVolume(ctx, spec, v) }
		if there && grown(v, has) {
			do = func() error { return w.showGrown(ctx, v) }
		}
		if there && w.switching(v) || w.swapDevice(v, have) {
			do = func() error {
				wait, err := w.swapVolume(ctx, spec, v)
				if err == nil && wait > 0 {
					waits = append(waits, wait)
				}
				return err
			}
		}
		if err := plug(volumeDevice(v.VolumeID), v.VolumeID, do); err != nil {
			return nil, err
		}
	}
	for _, p := range spec.Ports {
		if hasNIC(have, p) || slices.Contains(w.rec.Leaving, nicDevice(p.ID)) {
			continue
		}
		if err := plug(nicDevice(p.ID), p.ID, func() error { return w.plugPort(ctx, spec, p) }); err != nil {
			return nil, err
		}
	}
	return waits, nil
}

// hasNIC tells whether the guest has a port's NIC, under whatever name.
func hasNIC(have map[string]hypervisor.Device, p cloud.InstancePort) bool {
	for id, d := range have {
		if id == nicDevice(p.ID) || d.MAC != "" && strings.EqualFold(d.MAC, p.MAC) {
			return true
		}
	}
	return false
}

func (w *worker) plugVolume(ctx context.Context, spec cloud.InstanceSpec, v cloud.InstanceVolume) error {
	bus, err := diskBus(spec.ImageProperties["hw_disk_bus"])
	if err != nil {
		return err
	}
	d, err := w.volumeDisk(ctx, v, bus)
	if err != nil {
		return err
	}
	w.m.Hook("instance.volume.before")
	if err := w.guest.PlugDisk(ctx, d); err != nil {
		return err
	}
	w.plugged(d.ID)
	w.m.Hook("instance.volume.after")
	return nil
}

func (w *worker) plugPort(ctx context.Context, spec cloud.InstanceSpec, p cloud.InstancePort) error {
	model, err := nicModel(spec.ImageProperties["hw_vif_model"])
	if err != nil {
		return err
	}
	w.m.Hook("instance.nic.before")
	defer w.closeTaps()
	if _, err := w.guest.Unplug(ctx, nicDevice(p.ID)); err != nil { // half of one that was cut off holds the tap
		return err
	}
	if err := w.openTap(ctx, p); err != nil {
		return err
	}
	w.m.Hook("instance.nic.tap")
	n := nic(p, model)
	n.Tap = w.taps[len(w.taps)-1]
	if err := w.guest.PlugNIC(ctx, n); err != nil {
		return err
	}
	w.plugged(n.ID)
	w.m.Hook("instance.nic.after")
	return nil
}

// stumbled decides what follows when a device could not be plugged or unplugged:
// another try after a while, or a refusal that the head is told. The error that
// it gives is one of the guest as a whole.
func (w *worker) stumbled(ctx context.Context, device, owner string, cause error) (time.Duration, error) {
	state, err := w.guest.State(ctx)
	if err != nil || state == hypervisor.StateGone {
		return 0, cause
	}
	t := w.fitting.tries[device]
	t.count++
	wait := backoff(t.count)
	t.next = w.m.Clock.Now().Add(wait)
	w.fitting.tries[device] = t
	if passing(cause) && t.count < w.m.Attempts {
		w.log.Warn("a device is not as it should be; it is tried again", "device", device, "of", owner, "after", wait, "error", cause)
		return wait, nil
	}
	w.log.Error("a device is not as it should be; it is given up", "device", device, "of", owner, "error", cause)
	w.refuse(owner, cloud.Message(cause))
	return 0, nil
}

// refuse notes that a volume or port cannot be plugged, or unplugged.
func (w *worker) refuse(owner, why string) {
	refused := maps.Clone(w.rec.Refused)
	if refused == nil {
		refused = map[string]string{}
	}
	refused[owner] = why
	w.rec.Refused, w.dirty = refused, true
}
