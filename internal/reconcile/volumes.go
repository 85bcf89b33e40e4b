package reconcile

import (
	"cmp"
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// volumeTries is how often a step whose failure may pass is tried before the
// volume is in error. A node that is away is waited for without end.
const volumeTries = 6

// errWaiting says that something else must be done first.
var errWaiting = errors.New("something else must be done first")

// awayError is a failure to reach a node: no reason to give up.
type awayError struct{ error }

// Unwrap gives the cause.
func (e awayError) Unwrap() error { return e.error }

// chore is something of the volume service that is due.
type chore struct {
	id string
	do func(ctx context.Context, id string)
}

// runVolumes takes every volume, snapshot and upload that is due a step further,
// several at a time.
func (k *Housekeeper) runVolumes(ctx context.Context) {
	changed, stop := k.Store.Watch("volumes", "volume_snapshots", "volume_uploads", "volume_backups")
	defer stop()
	pool := &errgroup.Group{}
	pool.SetLimit(k.Workers)
	again := make(chan struct{}, 1)
	beat(ctx, merge(ctx, changed, again), time.Second, func(ctx context.Context) {
		chores, err := k.DueVolumes(ctx)
		if err != nil && ctx.Err() == nil {
			k.Log.Error("cannot read the volumes that are due", "error", err)
		}
		for _, c := range chores {
			if !k.take(c.id) {
				continue
			}
			pool.Go(func() error {
				defer func() {
					k.letGo(c.id)
					select {
					case again <- struct{}{}:
					default:
					}
				}()
				c.do(ctx, c.id)
				return nil
			})
		}
	})
	_ = pool.Wait()
}

// due is the condition that a row's next attempt has come.
func (k *Housekeeper) due() store.Query {
	return store.Query{
		Where: []store.Cond{
			store.Le("next_attempt_at", k.Clock.Now()),
			{Column: "next_attempt_at", Op: store.OpGt, Value: time.Unix(0, 0).UTC()},
		},
		Order: []store.Order{{Column: "next_attempt_at"}}, Limit: 100,
	}
}

// DueVolumes is the discover query: what of the volume service is due, longest
// due first of each kind.
func (k *Housekeeper) DueVolumes(ctx context.Context) (chores []chore, err error) {
	err = k.Store.View(ctx, func(tx *store.Tx) error {
		volumes, err := tx.Volumes.List(k.due())
		if err != nil {
			return err
		}
		snapshots, err := tx.Snapshots.List(k.due())
		if err != nil {
			return err
		}
		backups, err := tx.Backups.List(k.due())
		if err != nil {
			return err
		}
		uploads, err := tx.VolumeUploads.List(k.due())
		for _, s := range snapshots {
			chores = append(chores, chore{s.ID, k.ProcessSnapshot})
		}
		for _, v := range volumes {
			chores = append(chores, chore{v.ID, k.ProcessVolume})
		}
		for _, u := range uploads {
			chores = append(chores, chore{u.ImageID, k.ProcessUpload})
		}
		for _, b := range backups {
			chores = append(chores, chore{b.ID, k.ProcessBackup})
		}
		return err
	})
	return chores, err
}

// ProcessVolume takes one volume one step further: places it, has its node make
// or grow it, or takes it away.
func (k *Housekeeper) ProcessVolume(ctx context.Context, id string) {
	var v cloud.Volume
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		v, err = tx.Volumes.Get(id)
		return err
	})
	switch {
	case cloud.Is(err, cloud.NotFound):
		return
	case err != nil:
	case v.Deleted:
		err = k.removeVolume(ctx, v)
	default:
		err = k.applyVolume(ctx, v)
	}
	if err != nil && ctx.Err() == nil {
		k.volumeFailed(ctx, v, err)
	}
}

// applyVolume has the volume's node make it, or make it larger, and writes down
// what came of it.
func (k *Housekeeper) applyVolume(ctx context.Context, v cloud.Volume) error {
	if v.Node == "" {
		placed, err := k.placeVolume(ctx, v.ID)
		if err != nil {
			return err
		}
		v = placed
		k.Hook("reconcile.volume.place.after")
	}
	n, err := k.Fleet.Node(v.Node)
	if err != nil {
		return awayError{err}
	}
	switch {
	case v.Stale != "":
		return k.leavePool(ctx, n, v)
	case v.Move != nil && v.Seen.Ready && v.Refill == nil:
		return k.moveVolume(ctx, n, v)
	}
	spec := volumeSpec(v)
	if v.Key != nil && fresh(spec) {
		if spec.Key, err = k.passphrase(v.Key); err != nil {
			return err
		}
		spec.KeyBits = v.Key.Bits
	}
	status, err := n.ApplyVolume(ctx, spec)
	k.Hook("reconcile.volume.apply.after")
	if err != nil {
		return err
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Volumes.Get(v.ID)
		if err != nil {
			return unlessGone(err)
		}
		at, was := k.Clock.Now(), now.Seen
		now.Seen = cloud.VolumeSeen{Ready: true, SizeBytes: status.SizeBytes, Path: status.Path, Format: status.Format, At: at}
		now.Fault, now.Attempt, now.UpdatedAt = "", 0, at
		if v.Refill != nil && now.Refill != nil && *v.Refill == *now.Refill {
			if err := k.refilled(tx, now); err != nil {
				return err
			}
			now.Refill = nil
		}
		if v.Adopt != "" && now.SizeGB == 0 { // it was for the node to say; a part of a GB is filled up
			now.SizeGB = int((status.SizeBytes + cloud.GiB - 1) / cloud.GiB)
			now.Adopt = ""
		}
		if now.LaunchedAt == nil {
			now.LaunchedAt = &at
		}
		if !now.Deleted && now.SizeGB == v.SizeGB { // else there is more to do at once
			now.NextAttemptAt = time.Time{}
		}
		if was.Ready && was.SizeBytes < status.SizeBytes {
			if err := k.tellExtended(tx, now); err != nil {
				return err
			}
			if err := k.tellNodes(tx, now); err != nil {
				return err
			}
		}
		if err := k.wakeServers(tx, v.ID); err != nil {
			return err
		}
		return tx.Volumes.Update(now)
	})
}

// fresh tells whether a disk is to be made of bytes in the clear, or of none: others
// are encrypted already if their volume is.
func fresh(spec cloud.VolumeSpec) bool {
	return (!spec.Made || spec.Replace) && spec.From == "" && spec.Adopt == "" && spec.Content == ""
}

// passphrase is what a volume is encrypted under; "" for nil.
func (k *Housekeeper) passphrase(key *cloud.VolumeKey) (cloud.Secret, error) {
	switch {
	case key == nil:
		return "", nil
	case k.Keys == nil:
		return "", cloud.E("reconcile.passphrase", cloud.Unavailable, "this cloud has no key file, and the key %s cannot be read without", key.ID)
	}
	return k.Keys.Open(key.Sealed, key.ID)
}

// volumeSpec is what a node is asked for, but the key.
func volumeSpec(v cloud.Volume) cloud.VolumeSpec {
	spec := cloud.VolumeSpec{ID: v.Disk(), SizeBytes: int64(v.SizeGB) * cloud.GiB, Made: v.Seen.Ready, Whole: v.Multiattach}
	switch {
	case v.Refill != nil && v.Refill.SnapshotID != "":
		spec.Replace, spec.From = true, cloud.DiskIn(cloud.SnapshotDisk(v.Refill.SnapshotID), v.Pool)
	case v.Refill != nil && v.Refill.Image.ID != "":
		image := v.Refill.Image
		spec.Replace, spec.Image = true, &image
	case v.Refill != nil:
		spec.Replace, spec.Content = true, v.Refill.Content
	case spec.Made:
	case v.Adopt != "":
		spec.Made, spec.Adopt = true, v.Adopt
	case v.SnapshotID != "":
		spec.From = cloud.DiskIn(cloud.SnapshotDisk(v.SnapshotID), v.SourcePool)
	case v.SourceID != "":
		spec.From = cloud.DiskIn(cloud.VolumeDisk(v.SourceID), v.SourcePool)
	case v.RootDisk != "":
		spec.From = v.RootDisk
	case v.Image != nil:
		spec.Image = v.Image
	default:
		// Its owner may have changed the metadata since it was accepted; what is not
		// to be understood any more is no file system.
		if fs, err := cloud.ParseVolumeFileSystem(v.Metadata); err == nil && fs.Type != "" {
			spec.Label = fs.Label
		}
	}
	return spec
}

// removeVolume takes the volume off its node, and then its row and all that
// belongs to it, once nothing is being made from it any more.
func (k *Housekeeper) removeVolume(ctx context.Context, v cloud.Volume) error {
	if err := k.Store.View(ctx, func(tx *store.Tx) error { return volumeIdle(tx, v.ID) }); err != nil {
		return err
	}
	if v.Node != "" {
		n, err := k.Fleet.Node(v.Node)
		if err != nil {
			return awayError{err}
		}
		for _, disk := range v.Disks() {
			if err := n.RemoveVolume(ctx, disk); err != nil {
				return err
			}
		}
		k.Hook("reconcile.volume.remove.after")
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.VolumeAttachments.DeleteWhere(store.Eq("volume_id", v.ID)); err != nil {
			return err
		}
		if _, err := tx.VolumeTransfers.DeleteWhere(store.Eq("volume_id", v.ID)); err != nil {
			return err
		}
		if err := k.refilled(tx, v); err != nil {
			return err
		}
		if err := tx.Volumes.Delete(v.ID); err != nil {
			return unlessGone(err)
		}
		return endGroup(tx, v.GroupID)
	})
}

// volumeIdle is errWaiting while something is being made from a volume.
func volumeIdle(tx *store.Tx, id string) error {
	clones, err := tx.Volumes.List(store.Where(store.Eq("source_id", id)))
	if err != nil {
		return err
	}
	for _, c := range clones {
		if !c.Seen.Ready && c.Fault == "" && !c.Deleted {
			return errWaiting
		}
	}
	snapshots, err := tx.Snapshots.List(store.Where(store.Eq("volume_id", id)))
	if err != nil {
		return err
	}
	for _, s := range snapshots {
		if !s.Seen.Ready && s.Fault == "" && !s.Deleted {
			return errWaiting
		}
	}
	return nil
}

// endGroup removes a group that is wanted no more after its last volume.
func endGroup(tx *store.Tx, id string) error {
	if id == "" {
		return nil
	}
	g, err := tx.VolumeGroups.Get(id)
	if err != nil || !g.Deleted {
		return unlessGone(err)
	}
	if left, err := tx.Volumes.Count(store.Eq("group_id", id)); err != nil || left > 0 {
		return err
	}
	return tx.VolumeGroups.Delete(id)
}

// lasting tells whether a failure is for good.
func lasting(err error, attempt int) bool {
	var away awayError
	if errors.Is(err, errWaiting) || errors.As(err, &away) {
		return false
	}
	switch cloud.KindOf(err) {
	case cloud.Invalid, cloud.NotFound, cloud.Unsupported, cloud.NoCapacity:
		return true
	}
	return attempt+1 >= volumeTries
}

// waitFor is the time to the next try.
func waitFor(err error, attempt int) time.Duration {
	if errors.Is(err, errWaiting) {
		return time.Second
	}
	return backOff(attempt)
}

// volumeFailed writes a failed try down, or that the volume cannot be made. A
// removal is tried without end.
func (k *Housekeeper) volumeFailed(ctx context.Context, v cloud.Volume, cause error) {
	final := !v.Deleted && lasting(cause, v.Attempt)
	if !errors.Is(cause, errWaiting) {
		k.Log.Warn("a volume's step failed", "volume", v.ID, "attempt", v.Attempt+1, "for_good", final, "error", cause)
	}
	err := k.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Volumes.Get(v.ID)
		if err != nil {
			return unlessGone(err)
		}
		now.Attempt++
		now.NextAttemptAt = k.Clock.Now().Add(waitFor(cause, v.Attempt))
		if final && !now.Deleted {
			if err := k.wakeServers(tx, v.ID); err != nil {
				return err
			}
			now.Fault, now.Attempt, now.NextAttemptAt = cloud.Message(cause), 0, time.Time{}
			event, said := "VOLUME_VOLUME_001_001", "create volume: "+now.Fault
			if err := k.refilled(tx, now); err != nil {
				return err
			}
			switch {
			case now.Refill != nil && now.Refill.BackupID != "":
				event, said = "VOLUME_VOLUME_015_001", "restore backup: "+now.Fault
			case now.Move != nil:
				event, said = "VOLUME_VOLUME_001_001", "migrate volume: "+now.Fault
				now.Stale, now.Move, now.MigrationStatus, now.Fault, now.NextAttemptAt = cmp.Or(now.Move.Pool, cloud.VolumePool), nil, cloud.VolumeMigrationError, "", k.Clock.Now()
			case now.Refill != nil:
				event, said = "VOLUME_VOLUME_001_001", "revert to snapshot: "+now.Fault
			case now.Seen.Ready: // it keeps the size that it has
				now.SizeGB = int(now.Seen.SizeBytes / cloud.GiB)
				event, said = "VOLUME_VOLUME_004_001", "extend volume: "+now.Fault
			}
			if err := k.tell(tx, now.ProjectID, "VOLUME", now.ID, event, said); err != nil {
				return err
			}
		}
		now.UpdatedAt = k.Clock.Now()
		return tx.Volumes.Update(now)
	})
	if err != nil && ctx.Err() == nil {
		k.Log.Error("cannot write a failed try down", "volume", v.ID, "error", err)
	}
}

// messageLife is how long a message is kept (cinder's message_ttl): 30 days.
const messageLife = 30 * 24 * time.Hour

// tell leaves a project a message about what failed.
func (k *Housekeeper) tell(tx *store.Tx, project, kind, id, event, text string) error {
	now := k.Clock.Now()
	return tx.VolumeMessages.Insert(cloud.VolumeMessage{
		ID: cloud.NewID(), ProjectID: project, RequestID: "req-" + cloud.NewID(), ResourceType: kind, ResourceID: id,
		EventID: event, Level: "ERROR", Text: text, CreatedAt: now, ExpiresAt: now.Add(messageLife),
	})
}
