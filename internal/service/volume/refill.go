package volume

import (
	"context"
	"encoding/json"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Revert takes a volume back to its latest snapshot: what was written since is
// lost. Invalid for another snapshot, Conflict while the volume is used.
func (s *Service) Revert(ctx context.Context, c cloud.Caller, id, snapshotID string) error {
	const op = "volume.Revert"
	_, err := s.change(ctx, c, id, func(tx *store.Tx, d *Detail) error {
		all, err := tx.Snapshots.List(store.Where(store.Eq("volume_id", id)))
		if err != nil {
			return err
		}
		var latest *cloud.Snapshot
		for i, snap := range all {
			if !snap.Deleted && (latest == nil || snap.CreatedAt.After(latest.CreatedAt)) {
				latest = &all[i]
			}
		}
		switch {
		case latest == nil:
			return cloud.E(op, cloud.Invalid, "Volume %s doesn't have any snapshots.", id)
		case latest.ID != snapshotID:
			return cloud.E(op, cloud.Invalid, "Specified snapshot %s is None or not the latest one of volume %s.", snapshotID, id)
		case latest.SizeGB != d.SizeGB:
			return cloud.E(op, cloud.Invalid, "Can't revert volume %s to its latest snapshot %s. The volume size must be equal to the snapshot size.", id, snapshotID)
		case d.Status != cloud.VolumeAvailable:
			return cloud.E(op, cloud.Conflict, "Invalid volume: Volume %s status must be available, but current status is: %s.", id, d.Status)
		case latest.Status() != cloud.VolumeAvailable:
			return cloud.E(op, cloud.Conflict, "Invalid snapshot: Snapshot %s status must be available, but current status is: %s.", snapshotID, latest.Status())
		}
		d.Refill, d.NextAttemptAt = &cloud.VolumeRefill{SnapshotID: snapshotID}, s.clock.Now()
		return nil
	})
	return err
}

// Reimage gives a volume what an image holds: what was on it is lost. Conflict
// while it is used; a reserved one only when that is asked for.
func (s *Service) Reimage(ctx context.Context, c cloud.Caller, id, imageID string, reserved bool) error {
	const op = "volume.Reimage"
	image, err := s.images.Get(ctx, c, imageID)
	if err != nil {
		return err
	}
	if image.Status != cloud.ImageActive {
		return cloud.E(op, cloud.Invalid, "Image %s is not active.", imageID)
	}
	_, err = s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		may := []string{cloud.VolumeAvailable, cloud.VolumeError}
		if reserved {
			may = append(may, cloud.VolumeReserved)
		}
		if !contains(may, d.Status) {
			return cloud.E(op, cloud.Conflict, "Invalid volume: Volume %s status must be %s to be re-imaged, but current status is: %s.", id, either(may), d.Status)
		}
		v := d.Volume // with the image in it, to see that it fits
		if err := fromImage(op, &image, &v); err != nil {
			return err
		}
		if d.Key != nil && v.Image.VirtualSize > int64(v.SizeGB)*cloud.GiB-luksHeader {
			return cloud.E(op, cloud.Invalid, "Image %s does not fit on the volume, which needs 2 MB for its encryption.", imageID)
		}
		d.Bootable, d.ImageMetadata, d.Fault = true, v.ImageMetadata, ""
		d.Refill, d.NextAttemptAt = &cloud.VolumeRefill{Image: *v.Image}, s.clock.Now()
		return nil
	})
	return err
}

// idleSnapshot is Invalid while a volume is being taken back to a snapshot.
func idleSnapshot(tx *store.Tx, op string, snap cloud.Snapshot) error {
	v, err := tx.Volumes.Get(snap.VolumeID)
	if err == nil && v.Refill != nil && v.Refill.SnapshotID == snap.ID {
		err = cloud.E(op, cloud.Invalid, "Invalid snapshot: the volume %s is being reverted to the snapshot %s.", v.ID, snap.ID)
	}
	return ignore(err, cloud.NotFound)
}

// multiattach tells whether a type's volumes may be had by several servers.
func multiattach(t cloud.VolumeType) bool { return t.Multiattach() }

// serverSnapshot is the snapshot that the image of a server booted from a volume
// stands for; "" for other images.
func serverSnapshot(image *cloud.Image) string {
	if image == nil || image.Properties["block_device_mapping"] == "" {
		return ""
	}
	var mapping []struct {
		Source   string `json:"source_type"`
		Snapshot string `json:"snapshot_id"`
		Index    *int   `json:"boot_index"`
	}
	if json.Unmarshal([]byte(image.Properties["block_device_mapping"]), &mapping) != nil {
		return ""
	}
	for _, m := range mapping {
		if m.Source == "snapshot" && (m.Index == nil || *m.Index == 0) {
			return m.Snapshot
		}
	}
	return ""
}
