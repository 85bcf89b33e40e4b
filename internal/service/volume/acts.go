package volume

import (
	"cmp"
	"context"
	"maps"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// inStatus is Invalid unless the volume's status is one of some.
func inStatus(op string, d *Detail, statuses ...string) error {
	if contains(statuses, d.Status) {
		return nil
	}
	return cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s status must be %s, but current status is: %s.", d.ID, either(statuses), d.Status)
}

func either(words []string) string {
	out := ""
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			out += " or "
		default:
			out += ", "
		}
		out += w
	}
	return out
}

// Delete gives a volume up, with cascade its snapshots too. force leaves its
// status out of account. Invalid while it is used or has snapshots.
func (s *Service) Delete(ctx context.Context, c cloud.Caller, id string, cascade, force bool) error {
	const op = "volume.Delete"
	_, err := s.change(ctx, c, id, func(tx *store.Tx, d *Detail) error {
		if d.Deleted {
			return nil
		}
		if at := plugged(d.Attachments); at != nil {
			return cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s is still attached to the server %s, detach volume first.", d.ID, at.ServerID)
		}
		if !force {
			if err := deletable(op, d); err != nil {
				return err
			}
		}
		if d.UploadID != "" {
			return cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s is being uploaded to the image %s.", d.ID, d.UploadID)
		}
		if err := s.dropSnapshots(tx, op, d, cascade); err != nil {
			return err
		}
		d.Deleted, d.NextAttemptAt, d.Attempt = true, s.clock.Now(), 0
		return nil
	})
	return err
}

func deletable(op string, d *Detail) error {
	if err := inStatus(op, d, cloud.VolumeAvailable, cloud.VolumeError, "error_restoring", cloud.VolumeErrorExtending, "error_managing"); err != nil {
		return cloud.E(op, cloud.Invalid, "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer. Its status is %s.", d.Status)
	}
	switch {
	case len(d.Attachments) > 0:
		return cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s is still attached, detach volume first.", d.ID)
	case d.GroupID != "":
		return cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s belongs to the group %s: take it out of it, or delete the group with its volumes.", d.ID, d.GroupID)
	}
	return nil
}

// dropSnapshots gives a volume's snapshots up, or refuses when it has any.
func (s *Service) dropSnapshots(tx *store.Tx, op string, d *Detail, cascade bool) error {
	snapshots, err := tx.Snapshots.List(store.Where(store.Eq("volume_id", d.ID)))
	if err != nil {
		return err
	}
	for _, snap := range snapshots {
		switch {
		case snap.Deleted:
			continue
		case !cascade:
			return cloud.E(op, cloud.Invalid, "Invalid volume: Volume %s has the snapshot %s: delete it first, or both with cascade.", d.ID, snap.ID)
		}
		snap.Deleted, snap.NextAttemptAt, snap.UpdatedAt = true, s.clock.Now(), s.clock.Now()
		if err := tx.Snapshots.Update(snap); err != nil {
			return err
		}
	}
	return nil
}

// Extend makes a volume larger, to so many GB. Invalid in other statuses than
// available, or with attached in-use, and for a size that is not larger;
// QuotaExceeded.
func (s *Service) Extend(ctx context.Context, c cloud.Caller, id string, size int, attached bool) error {
	const op = "volume.Extend"
	_, err := s.change(ctx, c, id, func(tx *store.Tx, d *Detail) error {
		may := []string{cloud.VolumeAvailable}
		if attached {
			may = append(may, cloud.VolumeInUse)
		}
		if err := inStatus(op, d, may...); err != nil {
			return err
		}
		if size <= d.SizeGB {
			return cloud.E(op, cloud.Invalid, "Invalid input received: New size for extend must be greater than current size. (current: %d, extended: %d).", d.SizeGB, size)
		}
		if err := admit(tx, op, d.ProjectID, d.TypeName, demand{gigabytes: size - d.SizeGB, largest: size}); err != nil {
			return err
		}
		d.SizeGB, d.Forced, d.NextAttemptAt = size, "", s.clock.Now()
		return nil
	})
	return err
}

// SetBootable says whether servers may boot from a volume.
func (s *Service) SetBootable(ctx context.Context, c cloud.Caller, id string, bootable bool) error {
	_, err := s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		d.Bootable = bootable
		return nil
	})
	return err
}

// SetReadOnly says whether servers may write to a volume, from the next
// attachment on.
func (s *Service) SetReadOnly(ctx context.Context, c cloud.Caller, id string, ro bool) error {
	_, err := s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		if err := inStatus("volume.SetReadOnly", d, cloud.VolumeAvailable); err != nil {
			return err
		}
		d.ReadOnly, d.ReadOnlySet = ro, true
		return nil
	})
	return err
}

// admitType is QuotaExceeded when the quota of a type has no room for a volume.
func admitType(tx *store.Tx, op string, v cloud.Volume, kind string) error {
	limits, err := limitsTx(tx, v.ProjectID)
	if err != nil {
		return err
	}
	used, err := usageTx(tx, v.ProjectID)
	if err != nil {
		return err
	}
	for name, n := range map[string]int{"volumes_" + kind: 1, "gigabytes_" + kind: v.SizeGB} {
		if limit := limits[name]; limit >= 0 && used[name]+n > limit {
			return cloud.E(op, cloud.QuotaExceeded, "VolumeLimitExceeded: Maximum number of volumes allowed (%d) exceeded for quota '%s'.", limit, name)
		}
	}
	return nil
}

// ResetStatus has a volume shown in a status, until it is given another or is
// worked on. available and in-use are not shown but made so as far as the world
// is: faults and announcements are forgotten, and the status is computed again.
func (s *Service) ResetStatus(ctx context.Context, c cloud.Caller, id, status, attach string) error {
	_, err := s.change(ctx, c, id, func(tx *store.Tx, d *Detail) error {
		if attach == "detached" {
			if err := forget(tx, d.Attachments); err != nil {
				return err
			}
		}
		if status == "" {
			return nil
		}
		d.Forced, d.Fault, d.Reserved, d.Detaching, d.UploadID, d.BackupID, d.Refill = status, "", false, false, "", "", nil
		if d.Move != nil { // what was copied is taken away
			d.Stale, d.Move, d.MigrationStatus, d.NextAttemptAt = cmp.Or(d.Move.Pool, cloud.VolumePool), nil, cloud.VolumeMigrationError, s.clock.Now()
		}
		now, err := detail(tx, d.Volume)
		if err != nil {
			return err
		}
		now.Forced = ""
		if now.Volume.Status(now.Attachments) == status {
			d.Forced = ""
		}
		return nil
	})
	return err
}

// forget drops attachments, but those that a server has: only its node ends them.
func forget(tx *store.Tx, list []cloud.VolumeAttachment) error {
	for _, a := range list {
		if a.Plug {
			if _, err := tx.Servers.Get(a.ServerID); !cloud.Is(err, cloud.NotFound) {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := tx.VolumeAttachments.Delete(a.ID); err != nil {
			return err
		}
	}
	return nil
}

// SetMetadata adds to a volume's metadata, or replaces all of it.
func (s *Service) SetMetadata(ctx context.Context, c cloud.Caller, id string, m map[string]string, replace bool) (Detail, error) {
	return s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		d.Metadata = merged(d.Metadata, m, replace)
		_, err := ParseSchedule(d.Metadata[SnapshotSchedule])
		return err
	})
}

func merged(old, m map[string]string, replace bool) map[string]string {
	out := map[string]string{}
	if !replace {
		maps.Copy(out, old)
	}
	maps.Copy(out, m)
	return out
}

// DropMetadata takes a key out of a volume's metadata; NotFound.
func (s *Service) DropMetadata(ctx context.Context, c cloud.Caller, id, key string) error {
	_, err := s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error { return drop(d.Metadata, d.ID, key) })
	return err
}

func drop(m map[string]string, id, key string) error {
	if _, ok := m[key]; !ok {
		return cloud.E("volume.DropMetadata", cloud.NotFound, "Volume %s has no metadata with key %s.", id, key)
	}
	delete(m, key)
	return nil
}

// SetImageMetadata adds to what a volume remembers of its image.
func (s *Service) SetImageMetadata(ctx context.Context, c cloud.Caller, id string, m map[string]string) (Detail, error) {
	return s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error {
		d.ImageMetadata = merged(d.ImageMetadata, m, false)
		return nil
	})
}

// DropImageMetadata takes a key out of what a volume remembers of its image;
// NotFound.
func (s *Service) DropImageMetadata(ctx context.Context, c cloud.Caller, id, key string) error {
	_, err := s.change(ctx, c, id, func(_ *store.Tx, d *Detail) error { return drop(d.ImageMetadata, d.ID, key) })
	return err
}

// NewImage is what an image made of a volume is wanted like.
type NewImage struct {
	Name, ContainerFormat, DiskFormat string
	Visibility                        string
	Protected                         bool
	Force                             bool // although the volume is attached
}

// Upload makes an image of a volume; the housekeeper moves the bytes. Of one that a
// server is using, if forced, the image is what the disk was at a moment.
func (s *Service) Upload(ctx context.Context, c cloud.Caller, id string, in NewImage) (d Detail, img cloud.Image, err error) {
	const op = "volume.Upload"
	if in.DiskFormat != "raw" {
		return d, img, cloud.E(op, cloud.Unsupported, "Volumes are uploaded as raw images; disk_format %s is not implemented.", in.DiskFormat)
	}
	if d, err = s.Get(ctx, c, id); err != nil {
		return d, img, err
	}
	may := []string{cloud.VolumeAvailable}
	if in.Force {
		may = append(may, cloud.VolumeInUse)
	}
	if err := firstError(inStatus(op, &d, may...), unlocked(op, d, "Uploading")); err != nil {
		return d, img, err
	}
	attributes := map[string]any{"name": in.Name, "container_format": in.ContainerFormat, "disk_format": in.DiskFormat}
	if in.Visibility != "" {
		attributes["visibility"] = in.Visibility
	}
	if in.Protected {
		attributes["protected"] = true
	}
	if img, err = s.images.Create(ctx, c, attributes); err != nil {
		return d, img, err
	}
	d, err = s.change(ctx, c, id, func(tx *store.Tx, d *Detail) error {
		if err := inStatus(op, d, may...); err != nil {
			return err
		}
		d.UploadID = img.ID
		now := s.clock.Now()
		return tx.VolumeUploads.Insert(cloud.VolumeUpload{
			ImageID: img.ID, VolumeID: d.ID, ProjectID: img.ProjectID, UserID: c.UserID, DiskFormat: in.DiskFormat, CreatedAt: now, NextAttemptAt: now,
		})
	})
	return d, img, err
}
