package instance

import (
	"context"
	"slices"

	"hearth/internal/cloud"
)

// ask is something that a worker is asked to do in between.
type ask struct {
	do   func() error
	done chan error
}

// ask has the worker do something between what it does by itself, and waits for
// it. Unavailable when ctx ends before it came to that; nothing is done then, or
// when the worker is gone.
func (w *worker) ask(ctx context.Context, do func() error) error {
	a := ask{do, make(chan error, 1)}
	select {
	case w.asks <- a:
		return <-a.done
	case <-w.over:
		if w.m.ctx.Err() != nil {
			return cloud.E("instance.ask", cloud.Unavailable, "the agent is going down; try again")
		}
		return nil
	case <-ctx.Done():
		return cloud.E("instance.ask", cloud.Unavailable, "instance %s is busy: %w", w.id, context.Cause(ctx))
	}
}

// holders are the workers of instances that have a volume's disk, or are to.
func (m *Manager) holders(disk string) (out []*worker) {
	for _, w := range m.all() {
		if w.holds(disk) {
			out = append(out, w)
		}
	}
	return out
}

func (w *worker) holds(disk string) bool {
	bare, _ := cloud.DiskPool(disk)
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.spec.Volumes, func(v cloud.InstanceVolume) bool { return v.Disk == disk }) ||
		slices.ContainsFunc(w.shown.Volumes, func(id string) bool { return cloud.VolumeDisk(id) == bare })
}

// device is the device that the guest has of a volume's disk; "" for none.
func (w *worker) device(ctx context.Context, disk string) (string, error) {
	if w.guest == nil {
		return "", nil
	}
	have, err := w.devices(ctx)
	if cloud.Is(err, cloud.NotFound) { // it has just ended; that is looked after in its turn
		return "", nil
	} else if err != nil {
		return "", err
	}
	bare, _ := cloud.DiskPool(disk)
	for id := range have {
		for _, v := range union(volumeIDs(w.wanted()), w.rec.Volumes) {
			if volumeDevice(v) == id && cloud.VolumeDisk(v) == bare {
				return id, nil
			}
		}
	}
	return "", nil
}

// GrowVolume makes a volume's disk larger by the guest that has it, which sees it
// at once; false when no guest has it.
func (m *Manager) GrowVolume(ctx context.Context, disk string, size int64) (grown bool, err error) {
	for _, w := range m.holders(disk) {
		err := w.ask(ctx, func() error {
			id, err := w.device(ctx, disk)
			if err != nil || id == "" {
				return err
			}
			err = w.guest.ResizeDisk(ctx, id, size-w.ownBytes(disk))
			if cloud.Is(err, cloud.NotFound) { // it has just ended, or let go of it
				return nil
			}
			grown = err == nil || grown
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return grown, nil
}

// ownBytes is how much of a volume's disk its guest does not see.
func (w *worker) ownBytes(disk string) int64 {
	for _, v := range w.wanted().Volumes {
		if v.Disk == disk {
			return ownBytes(v)
		}
	}
	return 0
}

// Quiesce calls fn while no guest writes to a volume's disk: those that have it
// stand still. Should the agent die meanwhile, the next one lets them run on.
func (m *Manager) Quiesce(ctx context.Context, disk string, fn func() error) error {
	for _, w := range m.holders(disk) { // each lasts until the innermost is done; all in one order, so none waits for another
		inner := fn
		fn = func() error {
			ran := false
			err := w.ask(ctx, func() error {
				ran = true
				return w.still(ctx, disk, inner)
			})
			if err == nil && !ran { // the instance went meanwhile
				return inner()
			}
			return err
		}
	}
	return fn()
}

// still calls fn while the guest, if it has the disk and runs, stands still.
func (w *worker) still(ctx context.Context, disk string, fn func() error) error {
	id, err := w.device(ctx, disk)
	if err != nil {
		return err
	}
	if id == "" || w.rec.State != cloud.InstanceRunning {
		return fn()
	}
	w.rec.Frozen = true
	if err := w.write(false); err != nil {
		return err
	}
	w.m.Hook("instance.still.before")
	if err = w.guest.Pause(ctx); err == nil || cloud.Is(err, cloud.NotFound) { // one that has just ended stands still
		err = fn()
	}
	w.m.Hook("instance.still.after")
	if terr := w.thaw(ctx); err == nil {
		err = terr
	}
	return err
}
