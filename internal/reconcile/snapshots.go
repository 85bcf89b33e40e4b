package reconcile

import (
	"context"
	"errors"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// ProcessSnapshot takes one snapshot one step further: has its node make it, or
// takes it away.
func (k *Housekeeper) ProcessSnapshot(ctx context.Context, id string) {
	var s cloud.Snapshot
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		s, err = tx.Snapshots.Get(id)
		return err
	})
	switch {
	case cloud.Is(err, cloud.NotFound):
		return
	case err != nil:
	case s.Deleted:
		err = k.removeSnapshot(ctx, s)
	default:
		err = k.applySnapshot(ctx, s)
	}
	if err != nil && ctx.Err() == nil {
		k.snapshotFailed(ctx, s, err)
	}
}

func (k *Housekeeper) applySnapshot(ctx context.Context, s cloud.Snapshot) error {
	if s.Seen.Ready {
		return k.updateSnapshot(ctx, s.ID, func(now *cloud.Snapshot) { now.NextAttemptAt = time.Time{} })
	}
	n, err := k.Fleet.Node(s.Node)
	if err != nil {
		return awayError{err}
	}
	spec := cloud.VolumeSpec{ID: s.Disk(), From: cloud.DiskIn(cloud.VolumeDisk(s.VolumeID), s.Pool)}
	if s.Adopt != "" {
		spec = cloud.VolumeSpec{ID: spec.ID, Adopt: s.Adopt, Made: true}
	}
	status, err := n.ApplyVolume(ctx, spec)
	k.Hook("reconcile.snapshot.apply.after")
	if err != nil {
		return err
	}
	return k.updateSnapshot(ctx, s.ID, func(now *cloud.Snapshot) {
		at := k.Clock.Now()
		now.Seen = cloud.VolumeSeen{Ready: true, SizeBytes: status.SizeBytes, Path: status.Path, Format: status.Format, At: at}
		now.Fault, now.Attempt, now.UpdatedAt = "", 0, at
		if now.Adopt != "" {
			now.Adopt, now.SizeGB = "", int((status.SizeBytes+cloud.GiB-1)/cloud.GiB)
		}
		if !now.Deleted {
			now.NextAttemptAt = time.Time{}
		}
	})
}

func (k *Housekeeper) updateSnapshot(ctx context.Context, id string, change func(*cloud.Snapshot)) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Snapshots.Get(id)
		if err != nil {
			return unlessGone(err)
		}
		change(&now)
		return tx.Snapshots.Update(now)
	})
}

// removeSnapshot takes the snapshot off its node once no volume is being made
// from it any more, and then its row.
func (k *Housekeeper) removeSnapshot(ctx context.Context, s cloud.Snapshot) error {
	err := k.Store.View(ctx, func(tx *store.Tx) error {
		made, err := tx.Volumes.List(store.Where(store.Eq("snapshot_id", s.ID)))
		for _, v := range made {
			if !v.Seen.Ready && v.Fault == "" && !v.Deleted {
				return errWaiting
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	n, err := k.Fleet.Node(s.Node)
	if err != nil {
		return awayError{err}
	}
	if err := n.RemoveVolume(ctx, s.Disk()); err != nil {
		return err
	}
	k.Hook("reconcile.snapshot.remove.after")
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Snapshots.Delete(s.ID); err != nil {
			return unlessGone(err)
		}
		return endGroupSnapshot(tx, s.GroupSnapshotID)
	})
}

// endGroupSnapshot removes a group snapshot that is wanted no more after the
// last of its snapshots.
func endGroupSnapshot(tx *store.Tx, id string) error {
	if id == "" {
		return nil
	}
	g, err := tx.GroupSnapshots.Get(id)
	if err != nil || !g.Deleted {
		return unlessGone(err)
	}
	if left, err := tx.Snapshots.Count(store.Eq("group_snapshot_id", id)); err != nil || left > 0 {
		return err
	}
	return tx.GroupSnapshots.Delete(id)
}

// snapshotFailed writes a failed try down, or that the snapshot cannot be made.
func (k *Housekeeper) snapshotFailed(ctx context.Context, s cloud.Snapshot, cause error) {
	final := !s.Deleted && lasting(cause, s.Attempt)
	if !errors.Is(cause, errWaiting) {
		k.Log.Warn("a snapshot's step failed", "snapshot", s.ID, "attempt", s.Attempt+1, "for_good", final, "error", cause)
	}
	err := k.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Snapshots.Get(s.ID)
		if err != nil {
			return unlessGone(err)
		}
		now.Attempt++
		now.NextAttemptAt = k.Clock.Now().Add(waitFor(cause, s.Attempt))
		if final && !now.Deleted {
			now.Fault, now.Attempt, now.NextAttemptAt = cloud.Message(cause), 0, time.Time{}
			if err := k.tell(tx, now.ProjectID, "VOLUME_SNAPSHOT", now.ID, "VOLUME_VOLUME_SNAPSHOT_011_001", "create snapshot: "+now.Fault); err != nil {
				return err
			}
		}
		now.UpdatedAt = k.Clock.Now()
		return tx.Snapshots.Update(now)
	})
	if err != nil && ctx.Err() == nil {
		k.Log.Error("cannot write a failed try down", "snapshot", s.ID, "error", err)
	}
}
