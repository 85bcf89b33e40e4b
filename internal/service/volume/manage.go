package volume

import (
	"cmp"
	"context"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Disks tells which disks of volumes and snapshots a node has; the front door
// makes one of the fleet.
type Disks interface {
	// Volumes lists the disks of a node; Unavailable when it is away.
	Volumes(ctx context.Context, node string) ([]cloud.VolumeStatus, error)
}

// Manageable is a disk of a node that is a volume, or could be made one.
type Manageable struct {
	Name    string // of the disk
	SizeGB  int
	KnownAs string // the volume or snapshot that it is; "" for none
	Source  string // of a snapshot: the disk that it is of; "" where that is not known
}

// Manageables lists the disks of a node with a prefix: those of volumes, or those
// of snapshots.
func (s *Service) Manageables(ctx context.Context, host string, snapshots bool) (list []Manageable, err error) {
	node, pool, err := s.hostNamed(ctx, "volume.Manageables", host)
	if err != nil {
		return nil, err
	}
	disks, err := s.disks.Volumes(ctx, node)
	if err != nil {
		return nil, err
	}
	prefix := cloud.VolumeDisk("")
	if snapshots {
		prefix = cloud.SnapshotDisk("")
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list = list[:0]
		for _, d := range disks {
			name, in := cloud.DiskPool(d.ID)
			id, ok := strings.CutPrefix(name, prefix)
			if !ok || cmp.Or(in, cloud.VolumePool) != pool {
				continue
			}
			m := Manageable{Name: name, SizeGB: int((d.SizeBytes + cloud.GiB - 1) / cloud.GiB)}
			if err := known(tx, id, snapshots, &m); err != nil {
				return err
			}
			list = append(list, m)
		}
		return nil
	})
	return list, err
}

// known fills in what is known of a disk.
func known(tx *store.Tx, id string, snapshot bool, m *Manageable) error {
	if !snapshot {
		_, err := tx.Volumes.Get(id)
		if err == nil {
			m.KnownAs = id
		}
		return ignore(err, cloud.NotFound)
	}
	snap, err := tx.Snapshots.Get(id)
	if err == nil {
		m.KnownAs, m.Source = id, cloud.VolumeDisk(snap.VolumeID)
	}
	return ignore(err, cloud.NotFound)
}

// hostNamed finds the node and pool of a name such as host@backend#pool;
// Unavailable.
func (s *Service) hostNamed(ctx context.Context, op, name string) (node, pool string, err error) {
	node, pool = cloud.ParseVolumeHost(name)
	hosts, err := s.Hosts(ctx, false)
	if err != nil {
		return node, pool, err
	}
	for _, h := range hosts {
		p, there := h.Pool(pool)
		switch {
		case h.Name != node || !there:
		case p.Fault != "":
			return node, p.Name, cloud.E(op, cloud.Unavailable, "%s cannot be used: %s", name, p.Fault)
		default:
			return node, p.Name, nil
		}
	}
	return node, pool, cloud.E(op, cloud.Unavailable, "Host '%s' not found", name)
}

// adoptable is Invalid unless a disk's name may be taken over: it is of the kind,
// and no other's.
func adoptable(tx *store.Tx, op, name string, snapshot bool) error {
	prefix := cloud.VolumeDisk("")
	if snapshot {
		prefix = cloud.SnapshotDisk("")
	}
	id, ok := strings.CutPrefix(name, prefix)
	if !ok || id == "" {
		return cloud.E(op, cloud.Invalid, "Invalid input received: the reference must have a source-name that begins with %s, as the lists of what can be managed show it.", prefix)
	}
	m := Manageable{}
	if err := known(tx, id, snapshot, &m); err != nil {
		return err
	}
	if m.KnownAs != "" {
		return cloud.E(op, cloud.Invalid, "Unable to manage existing volume. %s is already managed.", name)
	}
	taken, err := tx.Volumes.List(store.Query{})
	if err != nil {
		return err
	}
	for _, v := range taken {
		if from, _ := cloud.DiskPool(v.Adopt); from == name {
			return cloud.E(op, cloud.Invalid, "Unable to manage existing volume. %s is being managed as %s.", name, v.ID)
		}
	}
	return nil
}

// Manage makes a volume of a disk that a node has; the housekeeper gives it its
// name, and learns its size.
func (s *Service) Manage(ctx context.Context, c cloud.Caller, host, source string, in Wanted, bootable bool) (d Detail, err error) {
	const op = "volume.Manage"
	node, pool, err := s.hostNamed(ctx, op, host)
	if err != nil {
		return d, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if err := adoptable(tx, op, source, false); err != nil {
			return err
		}
		kind, err := s.typeFor(tx, c, in.Type, "")
		if cloud.Is(err, cloud.NotFound) {
			return cloud.E(op, cloud.Invalid, "Invalid volume type: Cannot find requested '%s' volume type", in.Type)
		}
		if kind.Encryption != nil {
			return cloud.E(op, cloud.Invalid, "Invalid volume type: a disk that is there cannot be managed as an encrypted volume, for its key is not known here: choose another type than %s.", kind.Name)
		}
		if err := firstError(err, s.knownZone(tx, in.Zone), admit(tx, op, c.ProjectID, kind.Name, demand{volumes: 1})); err != nil {
			return err
		}
		now := s.clock.Now()
		v := cloud.Volume{
			ID: cloud.NewID(), Name: in.Name, Description: in.Description, ProjectID: c.ProjectID, UserID: c.UserID, TypeID: kind.ID, Metadata: in.Metadata,
			Bootable: bootable, AvailabilityZone: in.Zone, Adopt: cloud.DiskIn(source, pool), Node: node, Pool: pool, Multiattach: multiattach(kind), CreatedAt: now, UpdatedAt: now, NextAttemptAt: now,
		}
		if v.AvailabilityZone == "" {
			v.AvailabilityZone = s.zone
			if h, err := tx.Hosts.Get(node); err == nil {
				v.AvailabilityZone = h.AvailabilityZone
			}
		}
		if err := tx.Volumes.Insert(v); err != nil {
			return err
		}
		d, err = detail(tx, v)
		return err
	})
	return d, err
}

// Unmanage forgets a volume; its disk stays on its node as it is.
func (s *Service) Unmanage(ctx context.Context, c cloud.Caller, id string) error {
	const op = "volume.Unmanage"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		d, err := volumeTx(tx, c, id)
		if err != nil {
			return err
		}
		if err := firstError(deletable(op, &d), unlocked(op, d, "Unmanaging")); err != nil {
			return err
		}
		if n, err := tx.Snapshots.Count(store.Eq("volume_id", id)); err != nil || n > 0 {
			return firstError(err, cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s has %d snapshots: unmanage or delete them first.", id, n))
		}
		if _, err := tx.VolumeTransfers.DeleteWhere(store.Eq("volume_id", id)); err != nil {
			return err
		}
		return tx.Volumes.Delete(id)
	})
}

// ManageSnapshot makes a snapshot of a disk that the volume's node has.
func (s *Service) ManageSnapshot(ctx context.Context, c cloud.Caller, source string, in NewSnapshot) (snap cloud.Snapshot, err error) {
	const op = "volume.ManageSnapshot"
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		d, err := volumeTx(tx, c, in.VolumeID)
		if err != nil {
			return err
		}
		source := strings.TrimPrefix(source, "_") // as cinder's own LVM driver names them
		if err := firstError(unlocked(op, d, "Managing snapshots of"), adoptable(tx, op, source, true), admit(tx, op, c.ProjectID, d.TypeName, demand{snapshots: 1, gigabytes: d.SizeGB})); err != nil {
			return err
		}
		now := s.clock.Now()
		snap = cloud.Snapshot{
			ID: cloud.NewID(), Name: in.Name, Description: in.Description, ProjectID: d.ProjectID, UserID: c.UserID, VolumeID: d.ID, SizeGB: d.SizeGB,
			TypeID: d.TypeID, Metadata: in.Metadata, Bootable: d.Bootable, ImageMetadata: d.ImageMetadata, Adopt: cloud.DiskIn(source, d.Pool), Node: d.Node, Pool: d.Pool,
			CreatedAt: now, UpdatedAt: now, NextAttemptAt: now,
		}
		return tx.Snapshots.Insert(snap)
	})
	return snap, err
}

// UnmanageSnapshot forgets a snapshot; its disk stays on its node as it is.
func (s *Service) UnmanageSnapshot(ctx context.Context, c cloud.Caller, id string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		snap, err := snapshotTx(tx, c, id)
		if err != nil {
			return err
		}
		if status := snap.Status(); status != cloud.VolumeAvailable && status != cloud.VolumeError && status != cloud.VolumeErrorManaging || snap.GroupSnapshotID != "" {
			return cloud.E("volume.UnmanageSnapshot", cloud.Invalid, "Invalid snapshot: Snapshot %s must be available or error, and of no group, to be unmanaged: it is %s.", id, status)
		}
		return tx.Snapshots.Delete(id)
	})
}
