package volume

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// GroupSnapshot is a group snapshot with its status, which is computed of those
// of its parts.
type GroupSnapshot struct {
	cloud.GroupSnapshot
	Status string
}

func groupSnapshotTx(tx *store.Tx, c cloud.Caller, id string) (cloud.GroupSnapshot, error) {
	g, err := tx.GroupSnapshots.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(g.ProjectID) {
		err = notFound("volume.GroupSnapshot", "GroupSnapshot", id)
	}
	return g, err
}

func wholeGroupSnapshot(tx *store.Tx, g cloud.GroupSnapshot) (GroupSnapshot, error) {
	parts, err := tx.Snapshots.List(store.Where(store.Eq("group_snapshot_id", g.ID)))
	whole := GroupSnapshot{GroupSnapshot: g, Status: cloud.VolumeAvailable}
	for _, p := range parts {
		if status := p.Status(); status != cloud.VolumeAvailable && whole.Status != cloud.VolumeError {
			whole.Status = status
		}
	}
	switch {
	case g.Deleted:
		whole.Status = cloud.VolumeDeleting
	case g.Forced != "":
		whole.Status = g.Forced
	}
	return whole, err
}

// GroupSnapshot gives a group snapshot that the caller sees; NotFound.
func (s *Service) GroupSnapshot(ctx context.Context, c cloud.Caller, id string) (GroupSnapshot, error) {
	return groupSnapshotKind().show(ctx, s, c, id)
}

// GroupSnapshots lists the group snapshots of the caller's project, or of all.
func (s *Service) GroupSnapshots(ctx context.Context, c cloud.Caller, l List) ([]GroupSnapshot, bool, error) {
	return groupSnapshotKind().list(ctx, s, c, l)
}

func groupSnapshotField(g GroupSnapshot, name string) (any, bool) {
	switch name {
	case "id":
		return g.ID, true
	case "name":
		return g.Name, true
	case "status":
		return g.Status, true
	case "group_id":
		return g.GroupID, true
	case "created_at":
		return g.CreatedAt, true
	}
	return nil, false
}

// CreateGroupSnapshot makes a snapshot of each volume of a group. None of them is
// attached, so they are of one moment.
func (s *Service) CreateGroupSnapshot(ctx context.Context, c cloud.Caller, group, name, description string) (g cloud.GroupSnapshot, err error) {
	now := s.clock.Now()
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		from, err := groupTx(tx, c, group)
		if err != nil {
			return err
		}
		members, err := membersTx(tx, group)
		if err != nil {
			return err
		}
		if len(members) == 0 {
			return cloud.E("volume.CreateGroupSnapshot", cloud.Invalid, "Invalid group: Group is empty. No group snapshot will be created.")
		}
		g = cloud.GroupSnapshot{ID: cloud.NewID(), Name: name, Description: description, ProjectID: from.ProjectID, UserID: c.UserID,
			GroupID: group, GroupTypeID: from.GroupTypeID, CreatedAt: now, UpdatedAt: now}
		for _, d := range members {
			if _, err := s.snapshotOf(tx, c, d, NewSnapshot{Name: name, Description: description}, g.ID); err != nil {
				return err
			}
		}
		return tx.GroupSnapshots.Insert(g)
	})
	return g, err
}

// DeleteGroupSnapshot gives a group snapshot up, with all its parts.
func (s *Service) DeleteGroupSnapshot(ctx context.Context, c cloud.Caller, id string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		g, err := groupSnapshotTx(tx, c, id)
		if err != nil {
			return err
		}
		parts, err := tx.Snapshots.List(store.Where(store.Eq("group_snapshot_id", id)))
		if err != nil {
			return err
		}
		if len(parts) == 0 {
			return tx.GroupSnapshots.Delete(id)
		}
		now := s.clock.Now()
		for _, p := range parts {
			p.Deleted, p.NextAttemptAt, p.UpdatedAt = true, now, now
			if err := tx.Snapshots.Update(p); err != nil {
				return err
			}
		}
		g.Deleted, g.UpdatedAt = true, now
		return tx.GroupSnapshots.Update(g)
	})
}

// ResetGroupSnapshot has a group snapshot shown in a status until it is given its
// own again.
func (s *Service) ResetGroupSnapshot(ctx context.Context, c cloud.Caller, id, status string) error {
	return groupSnapshotKind().reset(ctx, s, c, id, status, func(g *cloud.GroupSnapshot, to string) { g.Forced = to }, func(g GroupSnapshot) string { return g.Status })
}

// groupTypeTx finds a group type that the caller sees, by id or name.
func groupTypeTx(tx *store.Tx, c cloud.Caller, idOrName string) (cloud.GroupType, error) {
	if idOrName == "default" {
		idOrName = DefaultGroupType
	}
	all, err := tx.GroupTypes.List(store.Query{})
	for _, t := range all {
		if (t.ID == idOrName || t.Name == idOrName) && (t.Public || c.IsAdmin()) {
			return t, nil
		}
	}
	if err == nil {
		err = notFound("volume.GroupType", "Group type", idOrName)
	}
	return cloud.GroupType{}, err
}

// GroupType gives a group type by id or name, or the default one; NotFound.
func (s *Service) GroupType(ctx context.Context, c cloud.Caller, id string) (t cloud.GroupType, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		t, err = groupTypeTx(tx, c, id)
		return err
	})
	return t, err
}

// GroupTypes lists the group types: public ones (true), others (false), or both
// (nil).
func (s *Service) GroupTypes(ctx context.Context, c cloud.Caller, public *bool, l List) (list []cloud.GroupType, more bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.GroupTypes.List(store.Query{})
		list = list[:0]
		for _, t := range all {
			if (t.Public || c.IsAdmin()) && (public == nil || t.Public == *public) {
				list = append(list, t)
			}
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	list, more, _, err = page(list, l, func(t cloud.GroupType, name string) (any, bool) {
		v, ok := map[string]any{"id": t.ID, "name": t.Name, "description": t.Description, "created_at": t.CreatedAt}[name]
		return v, ok
	}, func(t cloud.GroupType) string { return t.ID })
	return list, more, err
}

// CreateGroupType makes a group type; Conflict for a name that is taken.
func (s *Service) CreateGroupType(ctx context.Context, t cloud.GroupType) (cloud.GroupType, error) {
	now := s.clock.Now()
	t.ID, t.CreatedAt, t.UpdatedAt = cloud.NewID(), now, now
	err := s.store.Update(ctx, func(tx *store.Tx) error { return tx.GroupTypes.Insert(t) })
	if cloud.Is(err, cloud.Conflict) {
		err = cloud.E("volume.CreateGroupType", cloud.Conflict, "Group Type %s already exists.", t.Name)
	}
	return t, err
}

// ChangeGroupType changes a group type.
func (s *Service) ChangeGroupType(ctx context.Context, c cloud.Caller, id string, fn func(t *cloud.GroupType) error) (t cloud.GroupType, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if t, err = groupTypeTx(tx, c, id); err != nil {
			return err
		}
		if err := fn(&t); err != nil {
			return err
		}
		t.UpdatedAt = s.clock.Now()
		return tx.GroupTypes.Update(t)
	})
	return t, err
}

// DeleteGroupType removes a group type; Invalid while a group has it.
func (s *Service) DeleteGroupType(ctx context.Context, c cloud.Caller, id string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		t, err := groupTypeTx(tx, c, id)
		if err != nil {
			return err
		}
		if n, err := tx.VolumeGroups.Count(store.Eq("group_type_id", t.ID)); err != nil || n > 0 {
			return cloud.E("volume.DeleteGroupType", cloud.Invalid, "Target group type is still in use.")
		}
		return tx.GroupTypes.Delete(t.ID)
	})
}
