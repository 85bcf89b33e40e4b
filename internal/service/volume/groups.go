package volume

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Group is a group with its volumes and its status, which is computed of theirs.
type Group struct {
	cloud.VolumeGroup
	Volumes []string
	Status  string
}

// groupTx gives a group that the caller sees; NotFound.
func groupTx(tx *store.Tx, c cloud.Caller, id string) (cloud.VolumeGroup, error) {
	g, err := tx.VolumeGroups.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(g.ProjectID) {
		err = notFound("volume.Group", "Group", id)
	}
	return g, err
}

func membersTx(tx *store.Tx, group string) ([]Detail, error) {
	return detailsTx(tx, store.Where(store.Eq("group_id", group)))
}

func wholeGroup(tx *store.Tx, g cloud.VolumeGroup) (Group, error) {
	members, err := membersTx(tx, g.ID)
	whole := Group{VolumeGroup: g, Volumes: []string{}, Status: cloud.VolumeAvailable}
	for _, d := range members {
		whole.Volumes = append(whole.Volumes, d.ID)
		switch {
		case !d.Seen.Ready && d.Fault != "":
			whole.Status = cloud.VolumeError
		case !d.Seen.Ready && whole.Status == cloud.VolumeAvailable:
			whole.Status = cloud.VolumeCreating
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

// Group gives a group that the caller sees; NotFound.
func (s *Service) Group(ctx context.Context, c cloud.Caller, id string) (Group, error) {
	return groupKind().show(ctx, s, c, id)
}

// Groups lists the groups of the caller's project, or of all.
func (s *Service) Groups(ctx context.Context, c cloud.Caller, l List) ([]Group, bool, error) {
	return groupKind().list(ctx, s, c, l)
}

func groupField(g Group, name string) (any, bool) {
	switch name {
	case "id":
		return g.ID, true
	case "name":
		return g.Name, true
	case "status":
		return g.Status, true
	case "group_type":
		return g.GroupTypeID, true
	case "created_at":
		return g.CreatedAt, true
	}
	return nil, false
}

// NewGroup is what a group is wanted like: empty, or with a copy of each volume of
// a group snapshot or of another group.
type NewGroup struct {
	Name, Description, Type, Zone string
	VolumeTypes                   []string // ids or names
	SnapshotID, SourceID          string
}

// CreateGroup makes a group. Invalid, NotFound, QuotaExceeded.
func (s *Service) CreateGroup(ctx context.Context, c cloud.Caller, in NewGroup) (g cloud.VolumeGroup, err error) {
	now := s.clock.Now()
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		g = cloud.VolumeGroup{
			ID: cloud.NewID(), Name: in.Name, Description: in.Description, ProjectID: c.ProjectID, UserID: c.UserID, AvailabilityZone: in.Zone,
			SnapshotID: in.SnapshotID, SourceID: in.SourceID, CreatedAt: now, UpdatedAt: now,
		}
		if err := admitGroup(tx, c.ProjectID); err != nil {
			return err
		}
		if err := s.knownZone(tx, in.Zone); err != nil {
			return err
		}
		if g.AvailabilityZone == "" {
			g.AvailabilityZone = s.zone
		}
		if in.SnapshotID != "" || in.SourceID != "" {
			return s.copyGroup(tx, c, &g)
		}
		kind, err := groupTypeTx(tx, c, in.Type)
		if err != nil {
			return err
		}
		g.GroupTypeID = kind.ID
		for _, name := range in.VolumeTypes {
			t, err := typeTx(tx, c, name)
			if err != nil {
				return err
			}
			g.VolumeTypes = append(g.VolumeTypes, t.ID)
		}
		return tx.VolumeGroups.Insert(g)
	})
	return g, err
}

func admitGroup(tx *store.Tx, project string) error {
	limits, err := limitsTx(tx, project)
	if err != nil {
		return err
	}
	n, err := tx.VolumeGroups.Count(store.Eq("project_id", project))
	if most := limits["groups"]; err == nil && most >= 0 && n >= most {
		err = cloud.E("volume.CreateGroup", cloud.QuotaExceeded, "GroupLimitExceeded: Maximum number of groups allowed (%d) exceeded", most)
	}
	return err
}

// copyGroup makes a group with a volume of each snapshot or volume of its source.
func (s *Service) copyGroup(tx *store.Tx, c cloud.Caller, g *cloud.VolumeGroup) error {
	source := g.SourceID
	var wanted []Wanted
	if g.SnapshotID != "" {
		snap, err := groupSnapshotTx(tx, c, g.SnapshotID)
		if err != nil {
			return err
		}
		source = snap.GroupID
		parts, err := tx.Snapshots.List(store.Where(store.Eq("group_snapshot_id", snap.ID)))
		if err != nil {
			return err
		}
		for _, p := range parts {
			wanted = append(wanted, Wanted{Name: p.Name, SnapshotID: p.ID})
		}
	}
	from, err := groupTx(tx, c, source)
	if err != nil {
		return err
	}
	if g.SnapshotID == "" {
		members, err := membersTx(tx, from.ID)
		if err != nil {
			return err
		}
		for _, m := range members {
			wanted = append(wanted, Wanted{Name: m.Name, SourceID: m.ID})
		}
	}
	if len(wanted) == 0 {
		return cloud.E("volume.CreateGroup", cloud.Invalid, "Invalid group: there is no volume in the group's source to copy.")
	}
	g.GroupTypeID, g.VolumeTypes = from.GroupTypeID, from.VolumeTypes
	if err := tx.VolumeGroups.Insert(*g); err != nil {
		return err
	}
	for _, w := range wanted {
		w.GroupID = g.ID
		if _, err := s.create(tx, c, w, nil); err != nil {
			return err
		}
	}
	return nil
}

// UpdateGroup changes what a group is called and which volumes are in it.
func (s *Service) UpdateGroup(ctx context.Context, c cloud.Caller, id string, in Changes, add, remove []string) error {
	const op = "volume.UpdateGroup"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		g, err := groupTx(tx, c, id)
		if err != nil {
			return err
		}
		set(&g.Name, in.Name)
		set(&g.Description, in.Description)
		for _, v := range slices.Concat(add, remove) {
			d, err := volumeTx(tx, c, v)
			if cloud.Is(err, cloud.NotFound) {
				return cloud.E(op, cloud.Invalid, "Invalid volume: the volume %s is not there.", v)
			}
			if err != nil {
				return err
			}
			adding := slices.Contains(add, v)
			switch {
			case adding && d.GroupID != "":
				return cloud.E(op, cloud.Invalid, "Invalid volume: Cannot add volume %s to group %s because it is already in group %s.", v, id, d.GroupID)
			case adding && !contains(g.VolumeTypes, d.TypeID):
				return cloud.E(op, cloud.Invalid, "Invalid volume: Cannot add volume %s to group %s because its volume type is not supported by the group.", v, id)
			case !adding && d.GroupID != id:
				return cloud.E(op, cloud.Invalid, "Invalid volume: Cannot remove volume %s from group %s because it is not in the group.", v, id)
			}
			d.GroupID = ""
			if adding {
				d.GroupID = id
			}
			if err := tx.Volumes.Update(d.Volume); err != nil {
				return err
			}
		}
		g.UpdatedAt = s.clock.Now()
		return tx.VolumeGroups.Update(g)
	})
}

// DeleteGroup gives a group up, with its volumes or only an empty one.
func (s *Service) DeleteGroup(ctx context.Context, c cloud.Caller, id string, withVolumes bool) error {
	const op = "volume.DeleteGroup"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		g, err := groupTx(tx, c, id)
		if err != nil {
			return err
		}
		members, err := membersTx(tx, id)
		if err != nil {
			return err
		}
		if n, err := tx.GroupSnapshots.Count(store.Eq("group_id", id)); err != nil || n > 0 {
			return cloud.E(op, cloud.Invalid, "Invalid group: the group %s has %d snapshots: delete them first.", id, n)
		}
		switch {
		case len(members) == 0:
			return tx.VolumeGroups.Delete(id)
		case !withVolumes:
			return cloud.E(op, cloud.Invalid, "Invalid group: Group %s still contains volumes. The delete-volumes flag is required to delete it.", id)
		}
		for _, d := range members {
			if len(d.Attachments) > 0 || d.UploadID != "" {
				return cloud.E(op, cloud.Invalid, "Invalid group: the volume %s of the group is %s.", d.ID, d.Status)
			}
			if err := s.dropSnapshots(tx, op, &d, false); err != nil {
				return err
			}
			d.Deleted, d.NextAttemptAt, d.Attempt = true, s.clock.Now(), 0
			if err := tx.Volumes.Update(d.Volume); err != nil {
				return err
			}
		}
		g.Deleted, g.UpdatedAt = true, s.clock.Now()
		return tx.VolumeGroups.Update(g)
	})
}

// ResetGroup has a group shown in a status until it is given its own again.
func (s *Service) ResetGroup(ctx context.Context, c cloud.Caller, id, status string) error {
	return groupKind().reset(ctx, s, c, id, status, func(g *cloud.VolumeGroup, to string) { g.Forced = to }, func(g Group) string { return g.Status })
}
