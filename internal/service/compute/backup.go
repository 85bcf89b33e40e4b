package compute

import (
	"context"
	"maps"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// BackupRequest is an image of a server that older ones of its kind give way to.
type BackupRequest struct {
	Name, Kind string // Kind is what backups are counted by: daily, weekly, anything
	Keep       int    // how many of the kind are kept, this one included
	Properties map[string]string
}

// CreateBackup begins an image of the server's root disk. Once it has its bytes
// the oldest backups of its kind go, so that Keep are left.
func (s *Service) CreateBackup(ctx context.Context, a Actor, id string, r BackupRequest) (imageID string, err error) {
	const op = "compute.CreateBackup"
	imageID = cloud.NewID()
	_, err = s.change(ctx, op, a, id, "createBackup", func(tx *store.Tx, v *cloud.Server) error {
		if err := unlocked(op, a.Caller, *v); err != nil {
			return err
		}
		if err := v.Check(op, "createBackup", cloud.VMActive, cloud.VMStopped, cloud.VMPaused, cloud.VMSuspended); err != nil {
			return err
		}
		if v.VolumeBoot {
			return cloud.E(op, cloud.Invalid, "Backup is not supported for volume-backed instances.")
		}
		if err := metadataFits(tx, op, v.ProjectID, r.Properties); err != nil {
			return err
		}
		properties := maps.Clone(r.Properties)
		if properties == nil {
			properties = map[string]string{}
		}
		properties["image_type"], properties["backup_type"] = "backup", r.Kind
		if err := tx.Images.Insert(s.snapshotOf(a, *v, imageID, r.Name, properties)); err != nil {
			return err
		}
		v.Snapshots = append(v.Snapshots, imageID)
		v.Backups = append(v.Backups, cloud.ServerBackup{ImageID: imageID, Kind: r.Kind, Keep: r.Keep})
		s.push(v)
		return nil
	})
	return imageID, err
}
