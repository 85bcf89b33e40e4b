package volume

import (
	"cmp"
	"context"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// poolFor is the pool of a volume's node that is fit for a type: the one that the
// volume is in if that is, else the one with the most room. Invalid for none.
func poolFor(tx *store.Tx, op string, v cloud.Volume, kind cloud.VolumeType) (string, error) {
	h, err := tx.Hosts.Get(v.Node)
	if cloud.Is(err, cloud.NotFound) {
		return cmp.Or(v.Pool, cloud.VolumePool), nil // the housekeeper says that the node is gone
	}
	if err != nil {
		return "", err
	}
	best, lacks := cloud.PoolStatus{FreeGB: -1}, ""
	for _, p := range h.Pools() {
		missing := schedule.Lacks(p, kind.ExtraSpecs)
		disabled, _ := h.PoolDisabled(p.Name)
		here := p.Name == cmp.Or(v.Pool, cloud.VolumePool)
		switch {
		case missing != "":
			lacks = missing
		case here:
			return p.Name, nil
		case !disabled && p.Fault == "" && p.FreeGB > best.FreeGB && p.FreeGB > 0:
			best = p
		}
	}
	if best.Name == "" {
		return "", cloud.E(op, cloud.Invalid, "No valid backend was found: the volume's node %s does not have %s, as the type %s wants, or has no room there.", v.Node, cmp.Or(lacks, "a pool"), kind.Name)
	}
	return best.Name, nil
}

// movable is Invalid for a volume that cannot be taken to another pool.
func movable(tx *store.Tx, op string, d *Detail) error {
	if err := inStatus(op, d, cloud.VolumeAvailable); err != nil {
		return err
	}
	n, err := tx.Snapshots.Count(store.Eq("volume_id", d.ID))
	if err == nil && n > 0 {
		err = cloud.E(op, cloud.Invalid, "Invalid volume: the volume %s has %d snapshots, which would not go with it to another pool: delete them first.", d.ID, n)
	}
	return err
}

// Retype gives a volume another type. Where its pool is not fit for that, the
// housekeeper moves it to one that is, if move says that it may; Invalid else.
func (s *Service) Retype(ctx context.Context, c cloud.Caller, id, kind string, move bool) error {
	const op = "volume.Retype"
	_, err := s.change(ctx, c, id, func(tx *store.Tx, d *Detail) error {
		if err := inStatus(op, d, cloud.VolumeAvailable); err != nil {
			return err
		}
		to, err := typeTx(tx, c, kind)
		if cloud.Is(err, cloud.NotFound) {
			return cloud.E(op, cloud.NotFound, "Volume type %s could not be found.", kind)
		}
		if err != nil {
			return err
		}
		key, err := s.plan(op, to)
		switch {
		case err != nil:
			return err
		case !alike(d.Key, key): // in cinder's words
			return cloud.E(op, cloud.Invalid, "Invalid input received: Retype cannot change encryption requirements: copy what is on the volume to one of the type %s, within a server.", to.Name)
		}
		if to.ID == d.TypeID {
			return cloud.E(op, cloud.Invalid, "Invalid volume_type provided: New volume_type same as original: %s.", to.ID)
		}
		pool, err := poolFor(tx, op, d.Volume, to)
		if err != nil {
			return err
		}
		// Only the type's own quotas see a change.
		if err := admitType(tx, op, d.Volume, to.Name); err != nil {
			return err
		}
		if pool == cmp.Or(d.Pool, cloud.VolumePool) {
			d.TypeID, d.Multiattach = to.ID, multiattach(to)
			return nil
		}
		if !move {
			return cloud.E(op, cloud.Invalid, "Invalid volume: the pool %s is not fit for the type %s, and the volume may not be moved to %s: ask for migration_policy on-demand.", cmp.Or(d.Pool, cloud.VolumePool), to.Name, pool)
		}
		return s.depart(tx, op, d, pool, to.ID)
	})
	return err
}

// depart has a volume go to another pool.
func (s *Service) depart(tx *store.Tx, op string, d *Detail, pool, kind string) error {
	if err := movable(tx, op, d); err != nil {
		return err
	}
	d.Move, d.MigrationStatus, d.NextAttemptAt = &cloud.VolumeMove{Pool: pool, TypeID: kind}, cloud.VolumeMigrationRunning, s.clock.Now()
	return nil
}

// Migrate has a volume go to another pool of its node, named as host@backend#pool.
// Invalid; Unsupported for another node.
func (s *Service) Migrate(ctx context.Context, c cloud.Caller, id, host string) error {
	const op = "volume.Migrate"
	node, pool := cloud.ParseVolumeHost(host)
	_, err := s.change(ctx, c, id, func(tx *store.Tx, d *Detail) error {
		h, err := tx.Hosts.Get(node)
		at, there := h.Pool(pool)
		switch {
		case cloud.Is(err, cloud.NotFound) || err == nil && (!there || !h.Alive(s.clock.Now())):
			return cloud.E(op, cloud.Invalid, "Invalid host: No available service named '%s'", host)
		case err != nil:
			return err
		case node == d.Node && (pool == "" || at.Name == cmp.Or(d.Pool, cloud.VolumePool)):
			return cloud.E(op, cloud.Invalid, "Invalid host: Destination host must be different than the current host.")
		case node != d.Node:
			return cloud.E(op, cloud.Unsupported, "Volumes are not moved between nodes yet: make a backup of %s and restore it, or a copy on %s from an image.", id, host)
		case at.Fault != "":
			return cloud.E(op, cloud.Invalid, "Invalid host: %s cannot be used: %s", host, at.Fault)
		}
		kind, err := tx.VolumeTypes.Get(d.TypeID)
		if err := ignore(err, cloud.NotFound); err != nil {
			return err
		}
		if lacks := schedule.Lacks(at, kind.ExtraSpecs); lacks != "" {
			return cloud.E(op, cloud.Invalid, "Invalid host: %s does not have %s, as the volume's type %s wants: retype the volume.", host, lacks, kind.Name)
		}
		return s.depart(tx, op, d, at.Name, "")
	})
	return err
}
