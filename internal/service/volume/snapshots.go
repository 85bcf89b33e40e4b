package volume

import (
	"context"
	"maps"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// snapshotTx gives a snapshot that the caller sees; NotFound.
func snapshotTx(tx *store.Tx, c cloud.Caller, id string) (cloud.Snapshot, error) {
	s, err := tx.Snapshots.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(s.ProjectID) {
		err = notFound("volume.Snapshot", "Snapshot", id)
	}
	return s, err
}

// Snapshot gives a snapshot that the caller sees; NotFound.
func (s *Service) Snapshot(ctx context.Context, c cloud.Caller, id string) (snap cloud.Snapshot, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		snap, err = snapshotTx(tx, c, id)
		return err
	})
	return snap, err
}

// NewSnapshot is what a snapshot is wanted like.
type NewSnapshot struct {
	VolumeID, Name, Description string
	Metadata                    map[string]string
	Force                       bool // although a server is using the volume
}

// CreateSnapshot accepts a snapshot of a volume; the housekeeper makes it. Invalid
// while a server is using the volume, unless forced: then the snapshot is what the
// disk was at a moment, as after a loss of power.
func (s *Service) CreateSnapshot(ctx context.Context, c cloud.Caller, in NewSnapshot) (snap cloud.Snapshot, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		d, err := volumeTx(tx, c, in.VolumeID)
		if err != nil {
			return err
		}
		snap, err = s.snapshotOf(tx, c, d, in, "")
		return err
	})
	return snap, err
}

// snapshotOf accepts a snapshot, perhaps as a part of a group's.
func (s *Service) snapshotOf(tx *store.Tx, c cloud.Caller, d Detail, in NewSnapshot, group string) (cloud.Snapshot, error) {
	const op = "volume.CreateSnapshot"
	may := []string{cloud.VolumeAvailable}
	if in.Force {
		may = append(may, cloud.VolumeInUse)
	}
	if err := inStatus(op, &d, may...); err != nil {
		return cloud.Snapshot{}, err
	}
	if err := admit(tx, op, c.ProjectID, d.TypeName, demand{snapshots: 1, gigabytes: d.SizeGB}); err != nil {
		return cloud.Snapshot{}, err
	}
	now := s.clock.Now()
	snap := cloud.Snapshot{
		ID: cloud.NewID(), Name: in.Name, Description: in.Description, ProjectID: d.ProjectID, UserID: c.UserID, VolumeID: d.ID,
		SizeGB: d.SizeGB, TypeID: d.TypeID, Metadata: in.Metadata, Bootable: d.Bootable, ImageMetadata: maps.Clone(d.ImageMetadata),
		GroupSnapshotID: group, Key: d.Key, Node: d.Node, Pool: d.Pool, CreatedAt: now, UpdatedAt: now, NextAttemptAt: now,
	}
	return snap, tx.Snapshots.Insert(snap)
}

// changeSnapshot changes a snapshot that the caller sees.
func (s *Service) changeSnapshot(ctx context.Context, c cloud.Caller, id string, fn func(tx *store.Tx, snap *cloud.Snapshot) error) (snap cloud.Snapshot, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if snap, err = snapshotTx(tx, c, id); err != nil {
			return err
		}
		if err := fn(tx, &snap); err != nil {
			return err
		}
		snap.UpdatedAt = s.clock.Now()
		return tx.Snapshots.Update(snap)
	})
	return snap, err
}

// UpdateSnapshot changes what a snapshot is called.
func (s *Service) UpdateSnapshot(ctx context.Context, c cloud.Caller, id string, in Changes) (cloud.Snapshot, error) {
	return s.changeSnapshot(ctx, c, id, func(_ *store.Tx, snap *cloud.Snapshot) error {
		set(&snap.Name, in.Name)
		set(&snap.Description, in.Description)
		return nil
	})
}

// DeleteSnapshot gives a snapshot up. force leaves its status out of account.
func (s *Service) DeleteSnapshot(ctx context.Context, c cloud.Caller, id string, force bool) error {
	const op = "volume.DeleteSnapshot"
	_, err := s.changeSnapshot(ctx, c, id, func(tx *store.Tx, snap *cloud.Snapshot) error {
		if err := idleSnapshot(tx, op, *snap); err != nil {
			return err
		}
		status := snap.Status()
		switch {
		case snap.Deleted:
			return nil
		case !force && status != cloud.VolumeAvailable && status != cloud.VolumeError && status != cloud.VolumeErrorManaging:
			return cloud.E(op, cloud.Invalid, "Invalid snapshot: Snapshot %s has status %s: it must be available or error to be deleted.", id, status)
		case !force && snap.GroupSnapshotID != "":
			return cloud.E(op, cloud.Invalid, "Invalid snapshot: Snapshot %s is a part of the group snapshot %s: delete that.", id, snap.GroupSnapshotID)
		}
		snap.Deleted, snap.NextAttemptAt, snap.Attempt = true, s.clock.Now(), 0
		return nil
	})
	return err
}

// SetSnapshotMetadata adds to a snapshot's metadata, or replaces all of it.
func (s *Service) SetSnapshotMetadata(ctx context.Context, c cloud.Caller, id string, m map[string]string, replace bool) (cloud.Snapshot, error) {
	return s.changeSnapshot(ctx, c, id, func(_ *store.Tx, snap *cloud.Snapshot) error {
		snap.Metadata = merged(snap.Metadata, m, replace)
		return nil
	})
}

// DropSnapshotMetadata takes a key out of a snapshot's metadata; NotFound.
func (s *Service) DropSnapshotMetadata(ctx context.Context, c cloud.Caller, id, key string) error {
	_, err := s.changeSnapshot(ctx, c, id, func(_ *store.Tx, snap *cloud.Snapshot) error {
		if _, ok := snap.Metadata[key]; !ok {
			return cloud.E("volume.DropMetadata", cloud.NotFound, "Snapshot %s has no metadata with key %s.", id, key)
		}
		delete(snap.Metadata, key)
		return nil
	})
	return err
}

// ResetSnapshot has a snapshot shown in a status until it is given its own again;
// progress, such as "80%", is shown beside it.
func (s *Service) ResetSnapshot(ctx context.Context, c cloud.Caller, id, status, progress string) error {
	_, err := s.changeSnapshot(ctx, c, id, func(_ *store.Tx, snap *cloud.Snapshot) error {
		snap.Progress = progress
		snap.Forced = ""
		if snap.Status() != status {
			snap.Forced = status
		}
		return nil
	})
	return err
}

func snapshotField(s cloud.Snapshot, name string) (any, bool) {
	switch name {
	case "id":
		return s.ID, true
	case "name", "display_name":
		return s.Name, true
	case "description", "display_description":
		return s.Description, true
	case "status":
		return s.Status(), true
	case "volume_id":
		return s.VolumeID, true
	case "size", "volume_size":
		return s.SizeGB, true
	case "user_id":
		return s.UserID, true
	case "project_id", "tenant_id":
		return s.ProjectID, true
	case "group_snapshot_id":
		return s.GroupSnapshotID, true
	case "created_at":
		return s.CreatedAt, true
	case "updated_at":
		return s.UpdatedAt, true
	case "metadata":
		return s.Metadata, true
	case "consumes_quota":
		return true, true
	}
	return nil, false
}

// Snapshots lists the snapshots of the caller's project, or of all.
func (s *Service) Snapshots(ctx context.Context, c cloud.Caller, l List) (list []cloud.Snapshot, more bool, total int, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = tx.Snapshots.List(scope(c, l))
		return err
	})
	if err != nil {
		return nil, false, 0, err
	}
	return page(list, l, snapshotField, func(s cloud.Snapshot) string { return s.ID })
}
