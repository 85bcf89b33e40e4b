package instance

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// The memory of a suspended guest is a file in its folder, which the hypervisor
// puts there whole. It is good until the guest runs again: then its disks go
// other ways. So it is removed before the guest that was started from it runs,
// and its being there is what counts, whatever is written down.

func (w *worker) memoryPath() string {
	return filepath.Join(w.m.GuestDir(w.id), hypervisor.FileMemory)
}

// suspend has the hypervisor save the guest's memory and end it.
func (w *worker) suspend(ctx context.Context) error {
	w.m.Hook("instance.suspend.before")
	if err := w.guest.Save(ctx); err != nil {
		return err
	}
	w.m.Hook("instance.suspend.saved")
	w.letGo()
	r := &w.rec
	r.Handle, r.Saved, r.Frozen = nil, true, false
	if err := w.unplug(ctx); err != nil { // taps end with their guest in any case
		w.log.Warn("a port of the suspended guest cannot be unplugged", "error", err)
	}
	r.State, w.dirty = cloud.InstanceSuspended, true
	err := w.write(true)
	w.m.Hook("instance.suspend.after")
	return err
}

// findMemory looks whether there is a saved guest.
func (w *worker) findMemory() error {
	_, err := os.Stat(w.memoryPath())
	switch {
	case err == nil:
		w.rec.Saved = true
	case errors.Is(err, fs.ErrNotExist):
		w.rec.Saved = false
	default:
		return hostError("instance.find", err)
	}
	return nil
}

// forgetMemory removes the memory of a guest: it runs on from there, or, when it
// is given up, is never to.
func (w *worker) forgetMemory(givenUp bool) error {
	if !w.rec.Saved {
		return nil
	}
	w.m.Hook("instance.memory.before")
	if err := os.Remove(w.memoryPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return hostError("instance.memory", err)
	}
	if err := w.m.syncDir(w.m.GuestDir(w.id)); err != nil {
		return hostError("instance.memory", err)
	}
	w.m.Hook("instance.memory.after")
	w.rec.Saved = false
	if givenUp {
		w.rec.Frozen = false
	}
	return nil
}
