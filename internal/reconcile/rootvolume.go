package reconcile

import (
	"cmp"
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// rootToVolume goes on with a server whose root disk becomes a volume. It is
// errWaiting while the node copies the disk. Once the copy is whole, one transaction
// has the server boot from it; its node gives the disk up when it has carried that
// out, and not before. A copy that failed is given up, and the server is as it was.
func (k *Housekeeper) rootToVolume(ctx context.Context, server cloud.Server) error {
	if server.ToVolume == nil {
		return nil
	}
	var wait error
	err := k.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Servers.Get(server.ID)
		if err != nil || now.ToVolume == nil || now.Intent.Deleted {
			return unlessGone(err)
		}
		v, err := tx.Volumes.Get(now.ToVolume.VolumeID)
		if err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
		switch {
		case err == nil && v.Seen.Ready && !v.Deleted:
			return k.bootsFrom(tx, now, v)
		case err == nil && v.Fault == "" && !v.Deleted:
			wait = errWaiting
			return nil
		}
		return k.staysOnRoot(tx, now, v)
	})
	k.Hook("reconcile.rootvolume.after")
	return cmp.Or(err, wait)
}

// bootsFrom has a server boot from the volume that its root disk was copied to.
func (k *Housekeeper) bootsFrom(tx *store.Tx, s cloud.Server, v cloud.Volume) error {
	at, err := tx.VolumeAttachments.List(store.Where(store.Eq("server_id", s.ID), store.Eq("volume_id", v.ID)))
	if err != nil {
		return err
	}
	for _, a := range at {
		a.DeleteOnTermination, a.UpdatedAt = s.ToVolume.DeleteOnTermination, k.Clock.Now()
		if err := tx.VolumeAttachments.Update(a); err != nil {
			return err
		}
	}
	s.VolumeBoot, s.ToVolume, s.ImageID, s.Image = true, nil, "", cloud.ImageRef{}
	s.Intent.Disk = s.Intent.Disk.Next(cloud.DiskToVolume, false)
	s.UpdatedAt = k.Clock.Now()
	k.respecify(&s)
	return tx.Servers.Update(s)
}

// staysOnRoot takes the wish back. What is there of the volume goes.
func (k *Housekeeper) staysOnRoot(tx *store.Tx, s cloud.Server, v cloud.Volume) error {
	why := "the volume is gone"
	if v.Fault != "" {
		why = v.Fault
	}
	why = "Root disk of instance " + s.ID + " could not become a volume: " + why
	if _, err := tx.VolumeAttachments.DeleteWhere(store.Eq("volume_id", s.ToVolume.VolumeID)); err != nil {
		return err
	}
	err := k.touchVolume(tx, s.ToVolume.VolumeID, func(v *cloud.Volume) { v.Deleted, v.NextAttemptAt, v.Attempt = true, k.Clock.Now(), 0 })
	if err != nil {
		return err
	}
	if err := k.endActions(tx, s, why); err != nil {
		return err
	}
	k.Log.Warn("a server's root disk could not become a volume; it stays as it is", "server", s.ID, "why", why)
	s.ToVolume, s.UpdatedAt = nil, k.Clock.Now()
	k.respecify(&s)
	return tx.Servers.Update(s)
}
