package reconcile

import (
	"cmp"
	"context"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/store"
)

// moveVolume has the node copy a volume to the pool that it is to be in, and then
// says that it is there. What it leaves behind is removed by leavePool, so that
// whenever this breaks off, the volume has a whole disk and nothing is forgotten.
func (k *Housekeeper) moveVolume(ctx context.Context, n node.Node, v cloud.Volume) error {
	to := cloud.DiskIn(cloud.VolumeDisk(v.ID), v.Move.Pool)
	status, err := n.ApplyVolume(ctx, cloud.VolumeSpec{ID: to, From: v.Disk(), SizeBytes: v.Seen.SizeBytes})
	k.Hook("reconcile.volume.move.after")
	if err != nil {
		return err
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Volumes.Get(v.ID)
		if err != nil || now.Move == nil {
			return unlessGone(err)
		}
		at := k.Clock.Now()
		now.Seen = cloud.VolumeSeen{Ready: true, SizeBytes: status.SizeBytes, Path: status.Path, Format: status.Format, At: at}
		now.Stale, now.Pool = cmp.Or(now.Pool, cloud.VolumePool), now.Move.Pool
		if now.Move.TypeID != "" {
			if err := k.retyped(tx, &now); err != nil {
				return err
			}
		}
		now.Move, now.MigrationStatus, now.Attempt, now.UpdatedAt, now.NextAttemptAt = nil, cloud.VolumeMigrationSuccess, 0, at, at
		return tx.Volumes.Update(now)
	})
}

// retyped gives a volume the type that it moved for.
func (k *Housekeeper) retyped(tx *store.Tx, v *cloud.Volume) error {
	t, err := tx.VolumeTypes.Get(v.Move.TypeID)
	if err != nil {
		return unlessGone(err)
	}
	v.TypeID, v.Multiattach = t.ID, t.Multiattach()
	return nil
}

// leavePool removes the disk that a move has left behind.
func (k *Housekeeper) leavePool(ctx context.Context, n node.Node, v cloud.Volume) error {
	if err := n.RemoveVolume(ctx, cloud.DiskIn(cloud.VolumeDisk(v.ID), v.Stale)); err != nil {
		return awayError{err} // the volume is well: there is no reason to give up
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Volumes.Get(v.ID)
		if err != nil || now.Stale != v.Stale {
			return unlessGone(err)
		}
		now.Stale, now.Attempt, now.NextAttemptAt = "", 0, time.Time{}
		if now.Deleted || now.Move != nil || now.Refill != nil || now.Seen.SizeBytes < int64(now.SizeGB)*cloud.GiB {
			now.NextAttemptAt = k.Clock.Now()
		}
		return tx.Volumes.Update(now)
	})
}
