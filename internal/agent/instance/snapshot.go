package instance

import (
	"context"
	"slices"

	"hearth/internal/cloud"
)

// copyRoots makes the copies of the root disk that are wanted, and removes those
// that are no longer. A guest that runs stands still meanwhile: its hypervisor
// then has written all to the disk that the guest has.
func (w *worker) copyRoots(ctx context.Context, spec cloud.InstanceSpec) error {
	r := &w.rec
	for _, id := range slices.Clone(r.Snapshots) {
		if slices.Contains(spec.Snapshots, id) {
			continue
		}
		if err := w.m.Storage.RemoveDisk(ctx, cloud.ServerSnapshotDisk(spec.ID, id)); err != nil {
			return err
		}
		r.Snapshots = slices.DeleteFunc(r.Snapshots, func(s string) bool { return s == id })
	}
	for _, id := range spec.Snapshots {
		if slices.Contains(r.Snapshots, id) {
			continue
		}
		if err := w.copyRootFor(ctx, spec, id); err != nil {
			return err
		}
	}
	r.Snapshots = slices.Clone(spec.Snapshots)
	w.dirty = true
	return nil
}

func (w *worker) copyRootFor(ctx context.Context, spec cloud.InstanceSpec, id string) error {
	w.m.Hook("instance.copy.before")
	if w.guest != nil && w.rec.State == cloud.InstanceRunning {
		w.rec.Frozen = true
		if err := w.write(false); err != nil {
			return err
		}
		if err := w.guest.Pause(ctx); err != nil {
			return err // act thaws it first of all
		}
	}
	w.m.Hook("instance.copy.frozen")
	_, err := w.m.Storage.CopyDisk(ctx, cloud.ServerSnapshotDisk(spec.ID, id), diskID(spec.ID, rootName(spec.Intent.Disk.Turn)), 0)
	if w.rec.Frozen {
		if terr := w.thaw(ctx); err == nil {
			err = terr
		}
	}
	w.m.Hook("instance.copy.after")
	if err == nil {
		w.rec.Snapshots = append(w.rec.Snapshots, id)
	}
	return err
}

// thaw lets a guest run on that was stopped for a copy, or that goes on from its
// saved memory; that memory means nothing from then on.
func (w *worker) thaw(ctx context.Context) error {
	if err := w.forgetMemory(false); err != nil {
		return err
	}
	if err := w.guest.Resume(ctx); err != nil && !cloud.Is(err, cloud.Conflict) && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	w.rec.Frozen = false
	return w.write(false)
}
