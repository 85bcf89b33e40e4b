package main

import (
	"context"
	"io"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/driver/backup"
	"hearth/internal/driver/backup/folder"
	"hearth/internal/driver/backup/s3"
	"hearth/internal/driver/storage/blob"
	"hearth/internal/reconcile"
	"hearth/internal/service/volume"
)

// openBackups opens the store of backups that the configuration names; nil for
// none.
func openBackups(cfg *config.Config) (*backup.Repository, error) {
	var objects backup.Objects
	var err error
	endpoint, bucket, prefix, inS3 := cfg.Volume.S3()
	switch {
	case cfg.Volume.Backups == "none":
		return nil, nil
	case inS3:
		objects, err = s3.Open(s3.Config{
			Endpoint: endpoint, Region: cfg.Volume.S3Region, Bucket: bucket, Prefix: prefix, Key: cfg.Volume.S3Key, Secret: cfg.Volume.S3Secret,
		})
	default:
		objects, err = folder.Open(cfg.Volume.BackupDir(cfg.Paths()))
	}
	if err != nil {
		return nil, err
	}
	return backup.New(objects)
}

// backupStore is the store for the volume service; nil for none.
func (h *head) backupStore() volume.BackupStore {
	if h.backups == nil {
		return nil
	}
	return h.backups
}

// keptBackups gives the housekeeper the store.
type keptBackups struct{ repo *backup.Repository }

func placeOf(b cloud.Backup) backup.Place {
	return backup.Place{Container: b.Container, Chain: b.Chain, ID: b.StoredID}
}

// errNoBackups is for backups of a cloud whose store was taken away.
var errNoBackups = cloud.E("backup.Store", cloud.Unavailable, "this cloud keeps no backups (volume.backups is none)")

// Write implements reconcile.Backups.
func (k keptBackups) Write(ctx context.Context, b cloud.Backup, size int64, src io.Reader, progress func(reconcile.BackupProgress)) (reconcile.BackupProgress, error) {
	if k.repo == nil {
		return reconcile.BackupProgress{}, errNoBackups
	}
	done, err := k.repo.Write(ctx, placeOf(b), size, src, func(p backup.Progress) { progress(reconcile.BackupProgress(p)) })
	return reconcile.BackupProgress(done), err
}

// Remove implements reconcile.Backups.
func (k keptBackups) Remove(ctx context.Context, b cloud.Backup) error {
	if k.repo == nil {
		return errNoBackups
	}
	return k.repo.Remove(ctx, placeOf(b))
}

// Size implements reconcile.Backups.
func (k keptBackups) Size(ctx context.Context, b cloud.Backup) (int64, int, error) {
	if k.repo == nil {
		return 0, 0, errNoBackups
	}
	return k.repo.Size(ctx, placeOf(b))
}

// contents gives the node the image service's own files, and what backups hold.
type contents struct {
	blobs   *blob.Store
	backups *backup.Repository
}

// Open implements node.Images.
func (c contents) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	container, chain, id, ok := cloud.ParseBackupContent(name)
	switch {
	case !ok:
		return c.blobs.Open(name)
	case c.backups == nil:
		return nil, errNoBackups
	}
	return c.backups.Open(ctx, backup.Place{Container: container, Chain: chain, ID: id})
}

// Path implements node.LocalImages.
func (c contents) Path(digest string) (string, error) { return c.blobs.Path(digest) }
