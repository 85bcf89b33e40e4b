package reconcile

import (
	"context"
	"io"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Backups is where backups are kept; the front door makes one of driver/backup.
type Backups interface {
	// Write makes a backup of size bytes out of src; progress is told how far it
	// has come. What broke off is gone on with.
	Write(ctx context.Context, b cloud.Backup, size int64, src io.Reader, progress func(BackupProgress)) (BackupProgress, error)
	// Remove removes a backup, whole or half. No error when it is gone.
	Remove(ctx context.Context, b cloud.Backup) error
	// Size tells how large the volume of a backup that is there was; NotFound.
	Size(ctx context.Context, b cloud.Backup) (size int64, objects int, err error)
}

// BackupProgress is how far a backup has come.
type BackupProgress struct {
	Read    int64 // bytes of the volume
	Objects int   // that the backup is made of
	Stored  int64 // bytes that the store did not have
}

// backupPulse is how often a backup's progress is written down.
const backupPulse = 2 * time.Second

// ProcessBackup takes a backup one step further: makes it, finds the one that a
// record names, or takes it away.
func (k *Housekeeper) ProcessBackup(ctx context.Context, id string) {
	var b cloud.Backup
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		b, err = tx.Backups.Get(id)
		return err
	})
	switch {
	case cloud.Is(err, cloud.NotFound):
		return
	case err != nil:
	case b.Deleted:
		err = k.removeBackup(ctx, b)
	case b.Imported:
		err = k.findBackup(ctx, b)
	default:
		err = k.makeBackup(ctx, b)
	}
	if err != nil && ctx.Err() == nil {
		k.backupFailed(ctx, b, err)
	}
}

// makeBackup moves the bytes from the node to the store in one pass.
func (k *Housekeeper) makeBackup(ctx context.Context, b cloud.Backup) error {
	var v cloud.Volume
	disk, name := "", ""
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		if b.SnapshotID == "" {
			v, err = tx.Volumes.Get(b.VolumeID)
			disk, name = v.Disk(), v.Node
			return err
		}
		s, err := tx.Snapshots.Get(b.SnapshotID)
		disk, name, v.Seen = s.Disk(), s.Node, s.Seen
		return err
	})
	if err != nil {
		return err
	}
	n, err := k.Fleet.Node(name)
	if err != nil {
		return awayError{err}
	}
	body, err := n.ReadVolume(ctx, disk)
	if err != nil {
		return err
	}
	defer body.Close()
	told := k.Clock.Now()
	done, err := k.Backups.Write(ctx, b, v.Seen.SizeBytes, body, func(p BackupProgress) {
		if now := k.Clock.Now(); now.Sub(told) >= backupPulse {
			told = now
			k.backupProgress(ctx, b.ID, p)
		}
	})
	k.Hook("reconcile.backup.write.after")
	if err != nil {
		return err
	}
	return k.backupReady(ctx, b.ID, done)
}

// backupProgress writes down how far a backup has come.
func (k *Housekeeper) backupProgress(ctx context.Context, id string, p BackupProgress) {
	err := k.changeBackup(ctx, id, func(_ *store.Tx, b *cloud.Backup) error {
		b.Read, b.Stored, b.Objects = p.Read, p.Stored, p.Objects
		return nil
	})
	if err != nil && ctx.Err() == nil {
		k.Log.Warn("the progress of a backup cannot be written down", "backup", id, "error", err)
	}
}

func (k *Housekeeper) backupReady(ctx context.Context, id string, p BackupProgress) error {
	return k.changeBackup(ctx, id, func(tx *store.Tx, b *cloud.Backup) error {
		b.Ready, b.Fault, b.Attempt, b.NextAttemptAt = true, "", 0, time.Time{}
		b.Read, b.Stored, b.Objects = p.Read, p.Stored, p.Objects
		if b.Deleted {
			b.NextAttemptAt = k.Clock.Now()
		}
		return k.backedUp(tx, *b)
	})
}

func (k *Housekeeper) changeBackup(ctx context.Context, id string, fn func(tx *store.Tx, b *cloud.Backup) error) error {
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		b, err := tx.Backups.Get(id)
		if err != nil {
			return unlessGone(err)
		}
		if err := fn(tx, &b); err != nil {
			return err
		}
		b.UpdatedAt = k.Clock.Now()
		return tx.Backups.Update(b)
	})
}

// backedUp lets go of what a backup was made of.
func (k *Housekeeper) backedUp(tx *store.Tx, b cloud.Backup) error {
	v, err := tx.Volumes.Get(b.VolumeID)
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	if err == nil && v.BackupID == b.ID {
		v.BackupID, v.UpdatedAt = "", k.Clock.Now()
		if err := tx.Volumes.Update(v); err != nil {
			return err
		}
	}
	s, err := tx.Snapshots.Get(b.SnapshotID)
	if err != nil || s.BackupID != b.ID {
		return unlessGone(err)
	}
	s.BackupID, s.UpdatedAt = "", k.Clock.Now()
	return tx.Snapshots.Update(s)
}

// findBackup believes a record when the backup that it names is there.
func (k *Housekeeper) findBackup(ctx context.Context, b cloud.Backup) error {
	size, objects, err := k.Backups.Size(ctx, b)
	switch {
	case cloud.Is(err, cloud.NotFound):
		return cloud.E("reconcile.findBackup", cloud.Invalid, "the backup that the record names is not in the store of this cloud")
	case err != nil:
		return err
	case size != int64(b.SizeGB)*cloud.GiB:
		return cloud.E("reconcile.findBackup", cloud.Invalid, "the record names a backup of %d GB, and the one that is there has %d bytes", b.SizeGB, size)
	}
	return k.backupReady(ctx, b.ID, BackupProgress{Read: size, Objects: objects})
}

func (k *Housekeeper) removeBackup(ctx context.Context, b cloud.Backup) error {
	shared, err := k.sharedBackup(ctx, b)
	if err != nil {
		return err
	}
	if !shared {
		if err := k.Backups.Remove(ctx, b); err != nil {
			return err
		}
		k.Hook("reconcile.backup.remove.after")
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		if err := k.backedUp(tx, b); err != nil {
			return err
		}
		return unlessGone(tx.Backups.Delete(b.ID))
	})
}

// sharedBackup tells whether another record names the same backup in the store.
func (k *Housekeeper) sharedBackup(ctx context.Context, b cloud.Backup) (shared bool, err error) {
	err = k.Store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Backups.List(store.Where(store.Eq("chain", b.Chain)))
		for _, other := range all {
			shared = shared || other.ID != b.ID && other.StoredID == b.StoredID && !other.Deleted
		}
		return err
	})
	return shared, err
}

// backupFailed writes a failed try down, or that the backup cannot be made. A
// removal is tried without end.
func (k *Housekeeper) backupFailed(ctx context.Context, b cloud.Backup, cause error) {
	final := !b.Deleted && lasting(cause, b.Attempt)
	k.Log.Warn("a backup's step failed", "backup", b.ID, "attempt", b.Attempt+1, "for_good", final, "error", cause)
	err := k.changeBackup(ctx, b.ID, func(tx *store.Tx, now *cloud.Backup) error {
		now.Attempt++
		now.NextAttemptAt = k.Clock.Now().Add(waitFor(cause, b.Attempt))
		if !final || now.Deleted {
			return nil
		}
		now.Fault, now.Attempt, now.NextAttemptAt = cloud.Message(cause), 0, time.Time{}
		if err := k.backedUp(tx, *now); err != nil {
			return err
		}
		return k.tell(tx, now.ProjectID, "VOLUME_BACKUP", now.ID, "VOLUME_VOLUME_BACKUP_013_001", "create backup: "+now.Fault)
	})
	if err != nil && ctx.Err() == nil {
		k.Log.Error("cannot write a failed try down", "backup", b.ID, "error", err)
	}
}

// refilled lets go of the backup that a volume was restored from.
func (k *Housekeeper) refilled(tx *store.Tx, v cloud.Volume) error {
	if v.Refill == nil || v.Refill.BackupID == "" {
		return nil
	}
	b, err := tx.Backups.Get(v.Refill.BackupID)
	if err != nil || b.RestoringID != v.ID {
		return unlessGone(err)
	}
	b.RestoringID, b.UpdatedAt = "", k.Clock.Now()
	if b.Deleted {
		b.NextAttemptAt = k.Clock.Now()
	}
	return tx.Backups.Update(b)
}
