package volume

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// BackupStore says where backups are kept; nothing of it is asked here.
type BackupStore interface {
	Service() string // what kind of store
	Where() string   // which one
}

// Backup is a backup with what is known of those around it.
type Backup struct {
	cloud.Backup
	Dependent bool // another is an increment of it
}

// backupTx gives a backup that the caller sees; NotFound.
func backupTx(tx *store.Tx, c cloud.Caller, id string) (Backup, error) {
	b, err := tx.Backups.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(b.ProjectID) {
		err = notFound("volume.Backup", "Backup", id)
	}
	if err != nil {
		return Backup{}, err
	}
	n, err := tx.Backups.Count(store.Eq("parent_id", id))
	return Backup{b, n > 0}, err
}

// Backup gives a backup that the caller sees; NotFound.
func (s *Service) Backup(ctx context.Context, c cloud.Caller, id string) (b Backup, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		b, err = backupTx(tx, c, id)
		return err
	})
	return b, err
}

// Backups lists the backups of the caller's project, or of all.
func (s *Service) Backups(ctx context.Context, c cloud.Caller, l List) (list []Backup, more bool, total int, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		all, err := tx.Backups.List(scope(c, l))
		parents := map[string]bool{}
		for _, b := range all {
			parents[b.ParentID] = true
		}
		list = list[:0]
		for _, b := range all {
			list = append(list, Backup{b, parents[b.ID]})
		}
		return err
	})
	if err != nil {
		return nil, false, 0, err
	}
	return page(list, l, backupField, func(b Backup) string { return b.ID })
}

func backupField(b Backup, name string) (any, bool) {
	switch name {
	case "id":
		return b.ID, true
	case "name", "display_name":
		return b.Name, true
	case "description", "display_description":
		return b.Description, true
	case "status":
		return b.Status(), true
	case "volume_id":
		return b.VolumeID, true
	case "snapshot_id":
		return b.SnapshotID, true
	case "parent_id":
		return b.ParentID, true
	case "size":
		return b.SizeGB, true
	case "container":
		return b.Container, true
	case "user_id":
		return b.UserID, true
	case "project_id", "tenant_id":
		return b.ProjectID, true
	case "created_at":
		return b.CreatedAt, true
	case "updated_at":
		return b.UpdatedAt, true
	case "data_timestamp":
		return b.DataAt, true
	case "metadata":
		return b.Metadata, true
	}
	return nil, false
}

// NewBackup is what a backup is wanted like.
type NewBackup struct {
	VolumeID, SnapshotID, Name, Description, Container, Zone string
	Metadata                                                 map[string]string
	Incremental                                              bool
	Force                                                    bool // although a server has the volume
}

// containerForm is what a part of the store may be called, whatever the store.
var containerForm = regexp.MustCompile(`^[0-9A-Za-z-][0-9A-Za-z.-]{0,254}$`)

// CreateBackup accepts a backup; the housekeeper makes it. Invalid, NotFound,
// QuotaExceeded, Unsupported where no store is set up.
func (s *Service) CreateBackup(ctx context.Context, c cloud.Caller, in NewBackup) (b cloud.Backup, err error) {
	const op = "volume.CreateBackup"
	if s.backups == nil {
		return b, cloud.E(op, cloud.Unsupported, "Backups are not set up in this cloud: the operator sets volume.backups.")
	}
	if in.Container != "" && !containerForm.MatchString(in.Container) {
		return b, cloud.E(op, cloud.Invalid, "Invalid input for field/attribute container. Value: %s. It may have letters, digits, dots and dashes", in.Container)
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		d, err := volumeTx(tx, c, in.VolumeID)
		if err != nil {
			return err
		}
		now := s.clock.Now()
		b = cloud.Backup{
			ID: cloud.NewID(), Name: in.Name, Description: in.Description, ProjectID: c.ProjectID, UserID: c.UserID, VolumeID: d.ID, SizeGB: d.SizeGB,
			AvailabilityZone: in.Zone, Container: in.Container, Metadata: in.Metadata, DataAt: now, Bootable: d.Bootable,
			ImageMetadata: maps.Clone(d.ImageMetadata), Key: d.Key, CreatedAt: now, UpdatedAt: now, NextAttemptAt: now,
		}
		if d.Key != nil {
			b.TypeID = d.TypeID
		}
		if b.AvailabilityZone == "" {
			b.AvailabilityZone = d.AvailabilityZone
		}
		b.Chain, b.StoredID, b.VolumeData = b.ID, b.ID, maps.Clone(d.Metadata)
		if err := s.knownZone(tx, in.Zone); err != nil {
			return err
		}
		if err := s.backedUp(tx, c, op, in, &d, &b); err != nil {
			return err
		}
		if err := increment(tx, op, in, &b); err != nil {
			return err
		}
		if err := admitBackup(tx, op, b); err != nil {
			return err
		}
		return tx.Backups.Insert(b)
	})
	return b, err
}

// backedUp takes hold of what a backup is made of: a volume, or its snapshot.
func (s *Service) backedUp(tx *store.Tx, c cloud.Caller, op string, in NewBackup, d *Detail, b *cloud.Backup) error {
	if in.SnapshotID == "" {
		switch {
		case d.Status != cloud.VolumeAvailable && d.Status != cloud.VolumeInUse:
			return cloud.E(op, cloud.Invalid, "Invalid volume: Volume to be backed up must be available or in-use, but the current status is \"%s\".", d.Status)
		case d.Status == cloud.VolumeInUse && !in.Force:
			return cloud.E(op, cloud.Invalid, "Invalid volume: Backing up an in-use volume must use the force flag.")
		}
		d.BackupID, d.UpdatedAt = b.ID, s.clock.Now()
		return tx.Volumes.Update(d.Volume)
	}
	snap, err := snapshotTx(tx, c, in.SnapshotID)
	switch {
	case err != nil:
		return err
	case snap.VolumeID != d.ID:
		return cloud.E(op, cloud.Invalid, "Invalid snapshot: the snapshot %s is not of the volume %s.", snap.ID, d.ID)
	case snap.Status() != cloud.VolumeAvailable:
		return cloud.E(op, cloud.Invalid, "Invalid snapshot: Snapshot to be backed up must be available, but the current status is \"%s\".", snap.Status())
	}
	b.SnapshotID, b.SizeGB, b.DataAt, b.Bootable, b.ImageMetadata = snap.ID, snap.SizeGB, snap.CreatedAt, snap.Bootable, maps.Clone(snap.ImageMetadata)
	snap.BackupID, snap.UpdatedAt = b.ID, s.clock.Now()
	return tx.Snapshots.Update(snap)
}

// increment hangs a backup on the last one of its volume, of the project's own.
func increment(tx *store.Tx, op string, in NewBackup, b *cloud.Backup) error {
	if !in.Incremental {
		return nil
	}
	all, err := tx.Backups.List(store.Where(store.Eq("volume_id", b.VolumeID)))
	if err != nil {
		return err
	}
	var parent *cloud.Backup
	for i, p := range all {
		fits := p.ProjectID == b.ProjectID && p.Status() == cloud.VolumeAvailable && (b.SnapshotID == "" || p.DataAt.Before(b.DataAt))
		if fits && (parent == nil || p.DataAt.After(parent.DataAt)) {
			parent = &all[i]
		}
	}
	if parent == nil {
		return cloud.E(op, cloud.Invalid, "Invalid backup: No backups available to do an incremental backup.")
	}
	b.ParentID, b.Chain, b.Container = parent.ID, parent.Chain, parent.Container
	return nil
}

// admitBackup is QuotaExceeded, in cinder's words, when there is no room.
func admitBackup(tx *store.Tx, op string, b cloud.Backup) error {
	limits, err := limitsTx(tx, b.ProjectID)
	if err != nil {
		return err
	}
	used, err := usageTx(tx, b.ProjectID)
	if err != nil {
		return err
	}
	if most := limits["backup_gigabytes"]; most >= 0 && used["backup_gigabytes"]+b.SizeGB > most {
		return cloud.E(op, cloud.QuotaExceeded, "VolumeBackupSizeExceedsAvailableQuota: Requested backup exceeds allowed Backup gigabytes quota. Requested %dG, quota is %dG and %dG has been consumed.", b.SizeGB, most, used["backup_gigabytes"])
	}
	if most := limits["backups"]; most >= 0 && used["backups"]+1 > most {
		return cloud.E(op, cloud.QuotaExceeded, "BackupLimitExceeded: Maximum number of backups allowed (%d) exceeded", most)
	}
	return nil
}

// changeBackup changes a backup that the caller sees.
func (s *Service) changeBackup(ctx context.Context, c cloud.Caller, id string, fn func(tx *store.Tx, b *Backup) error) (b Backup, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if b, err = backupTx(tx, c, id); err != nil {
			return err
		}
		if err := fn(tx, &b); err != nil {
			return err
		}
		b.UpdatedAt = s.clock.Now()
		return tx.Backups.Update(b.Backup)
	})
	return b, err
}

// UpdateBackup changes what a backup is called, and its metadata.
func (s *Service) UpdateBackup(ctx context.Context, c cloud.Caller, id string, in Changes) (Backup, error) {
	return s.changeBackup(ctx, c, id, func(_ *store.Tx, b *Backup) error {
		set(&b.Name, in.Name)
		set(&b.Description, in.Description)
		if in.Metadata != nil {
			b.Metadata = in.Metadata
		}
		return nil
	})
}

// DeleteBackup gives a backup up; Invalid while an increment hangs on it. force
// leaves its status out of account.
func (s *Service) DeleteBackup(ctx context.Context, c cloud.Caller, id string, force bool) error {
	const op = "volume.DeleteBackup"
	_, err := s.changeBackup(ctx, c, id, func(_ *store.Tx, b *Backup) error {
		status := b.Status()
		switch {
		case b.Backup.Deleted:
			return nil
		case !force && status != cloud.VolumeAvailable && status != cloud.VolumeError:
			return cloud.E(op, cloud.Invalid, "Invalid backup: Backup status must be available or error: it is %s.", status)
		case b.Dependent:
			return cloud.E(op, cloud.Invalid, "Invalid backup: Incremental backups exist for this backup.")
		}
		b.Backup.Deleted, b.NextAttemptAt, b.Attempt = true, s.clock.Now(), 0
		return nil
	})
	return err
}

// ResetBackup has a backup shown in a status until it is given its own again. A
// restore that is announced is forgotten.
func (s *Service) ResetBackup(ctx context.Context, c cloud.Caller, id, status string) error {
	_, err := s.changeBackup(ctx, c, id, func(_ *store.Tx, b *Backup) error {
		b.Forced, b.RestoringID = "", ""
		if b.Status() != status {
			b.Forced = status
		}
		return nil
	})
	return err
}

// Restore puts a backup on a volume, or on a new one for "". What was on it is
// lost. Invalid, NotFound, QuotaExceeded.
func (s *Service) Restore(ctx context.Context, c cloud.Caller, id, volumeID, name string) (d Detail, err error) {
	const op = "volume.Restore"
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		b, err := backupTx(tx, c, id)
		if err != nil {
			return err
		}
		if b.Status() != cloud.VolumeAvailable {
			return cloud.E(op, cloud.Invalid, "Invalid backup: Backup status must be available: it is %s.", b.Status())
		}
		if volumeID == "" {
			if name == "" {
				name = "restore_backup_" + b.ID
			}
			d, err = s.create(tx, c, Wanted{Name: name, Description: "auto-created_from_restore_from_backup", SizeGB: b.SizeGB, BackupID: b.ID}, nil)
			return err
		}
		if d, err = volumeTx(tx, c, volumeID); err != nil {
			return err
		}
		switch {
		case d.Status != cloud.VolumeAvailable:
			return cloud.E(op, cloud.Invalid, "Invalid volume: Volume to be restored to must be available: it is %s.", d.Status)
		case d.SizeGB < b.SizeGB:
			return cloud.E(op, cloud.Invalid, "Invalid input received: volume size %d is too small to restore backup of size %d.", d.SizeGB, b.SizeGB)
		}
		if !alike(d.Key, b.Key) {
			return cloud.E(op, cloud.Invalid, "Invalid backup: of the backup %s and the volume %s one is encrypted, and not the other: restore it to a new volume.", b.ID, d.ID)
		}
		if err := s.refill(tx, &d.Volume, b); err != nil {
			return err
		}
		d.NextAttemptAt, d.UpdatedAt = s.clock.Now(), s.clock.Now()
		return tx.Volumes.Update(d.Volume)
	})
	return d, err
}

// refill has a volume take a backup's content, and what is told of it.
func (s *Service) refill(tx *store.Tx, v *cloud.Volume, b Backup) error {
	v.Refill = &cloud.VolumeRefill{BackupID: b.ID, Content: b.Content()}
	if v.Key = b.Key; v.Key != nil && v.TypeID == "" {
		v.TypeID = b.TypeID
	}
	v.Bootable, v.ImageMetadata = b.Bootable, maps.Clone(b.ImageMetadata)
	v.Metadata = merged(b.VolumeData, v.Metadata, false)
	b.RestoringID, b.UpdatedAt = v.ID, s.clock.Now()
	return tx.Backups.Update(b.Backup)
}

// fromBackup has a new volume be made of a backup.
func (s *Service) fromBackup(tx *store.Tx, c cloud.Caller, op string, in Wanted, v *cloud.Volume) error {
	if in.BackupID == "" {
		return nil
	}
	b, err := backupTx(tx, c, in.BackupID)
	switch {
	case err != nil:
		return err
	case b.Status() != cloud.VolumeAvailable:
		return cloud.E(op, cloud.Invalid, "Invalid backup: Backup status must be available: it is %s.", b.Status())
	}
	if v.SizeGB == 0 {
		v.SizeGB = b.SizeGB
	}
	if v.SizeGB < b.SizeGB {
		return cloud.E(op, cloud.Invalid, "Invalid input received: Volume size '%d'GB cannot be smaller than the backup size %dGB. It must be >= backup size.", v.SizeGB, b.SizeGB)
	}
	return s.refill(tx, v, b)
}

// BackupRecord is what another cloud needs to know of a backup in the same store.
type BackupRecord struct {
	Version          int               `json:"version"`
	ID               string            `json:"id"`
	Name             string            `json:"display_name"`
	Description      string            `json:"display_description"`
	VolumeID         string            `json:"volume_id"`
	SnapshotID       string            `json:"snapshot_id"`
	ParentID         string            `json:"parent_id"`
	Chain            string            `json:"chain"`
	StoredID         string            `json:"stored_id"`
	Container        string            `json:"container"`
	AvailabilityZone string            `json:"availability_zone"`
	Where            string            `json:"where"`
	SizeGB           int               `json:"size"`
	Metadata         map[string]string `json:"backup_metadata"`
	VolumeData       map[string]string `json:"volume_metadata"`
	ImageMetadata    map[string]string `json:"volume_image_metadata"`
	Bootable         bool              `json:"bootable"`
	DataAt           time.Time         `json:"data_timestamp"`
}

// recordVersion is that of the records that are written here.
const recordVersion = 1

// ExportBackup gives the record of a backup, and the kind of its store.
func (s *Service) ExportBackup(ctx context.Context, c cloud.Caller, id string) (record BackupRecord, service string, err error) {
	const op = "volume.ExportBackup"
	b, err := s.Backup(ctx, c, id)
	switch {
	case err != nil:
		return record, "", err
	case b.Status() != cloud.VolumeAvailable:
		return record, "", cloud.E(op, cloud.Invalid, "Invalid backup: Backup status must be available and not %s.", b.Status())
	case b.Key != nil:
		return record, "", cloud.E(op, cloud.Invalid, "Invalid backup: the backup %s is of an encrypted volume, whose key stays in this cloud: its record is of no use to another.", b.ID)
	case s.backups == nil:
		return record, "", cloud.E(op, cloud.Unsupported, "Backups are not set up in this cloud.")
	}
	return BackupRecord{
		Version: recordVersion, ID: b.ID, Name: b.Name, Description: b.Description, VolumeID: b.VolumeID, SnapshotID: b.SnapshotID, ParentID: b.ParentID,
		Chain: b.Chain, Container: b.Container, AvailabilityZone: b.AvailabilityZone, Where: s.backups.Where(), SizeGB: b.SizeGB, Metadata: b.Metadata,
		StoredID: b.StoredID, VolumeData: b.VolumeData, ImageMetadata: b.ImageMetadata, Bootable: b.Bootable, DataAt: b.DataAt,
	}, s.backups.Service(), nil
}

// ImportBackup takes a record over; the housekeeper looks whether the backup is
// there. Invalid for a record of another store or of a backup that is known.
func (s *Service) ImportBackup(ctx context.Context, c cloud.Caller, service string, r BackupRecord) (b cloud.Backup, err error) {
	const op = "volume.ImportBackup"
	switch {
	case s.backups == nil:
		return b, cloud.E(op, cloud.Unsupported, "Backups are not set up in this cloud.")
	case service != s.backups.Service():
		return b, cloud.E(op, cloud.Invalid, "Invalid backup: the record is of a backup in a store of the kind %q; this cloud's is %q.", service, s.backups.Service())
	case r.Version != recordVersion || !cloud.IsID(r.ID) || !cloud.IsID(r.Chain) || !cloud.IsID(r.StoredID) || r.SizeGB < 1 || r.Container != "" && !containerForm.MatchString(r.Container):
		return b, cloud.E(op, cloud.Invalid, "Invalid backup: the record cannot be read: it is not one that this cloud exports.")
	}
	now := s.clock.Now()
	b = cloud.Backup{
		ID: r.ID, Name: r.Name, Description: r.Description, ProjectID: c.ProjectID, UserID: c.UserID, VolumeID: r.VolumeID, SnapshotID: r.SnapshotID,
		ParentID: r.ParentID, Chain: r.Chain, Container: r.Container, SizeGB: r.SizeGB, AvailabilityZone: r.AvailabilityZone, Metadata: r.Metadata,
		StoredID: r.StoredID, VolumeData: r.VolumeData, DataAt: r.DataAt, Bootable: r.Bootable, ImageMetadata: r.ImageMetadata, Imported: true, CreatedAt: now, UpdatedAt: now, NextAttemptAt: now,
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Backups.Get(b.ID); !cloud.Is(err, cloud.NotFound) {
			return firstError(err, cloud.E(op, cloud.Invalid, "Invalid backup: %s", fmt.Sprintf("Backup %s already exists in database.", b.ID)))
		}
		return tx.Backups.Insert(b)
	})
	return b, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
