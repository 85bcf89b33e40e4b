package cloud

import (
	"strings"
	"time"
)

// Backup is a volume as it was at a moment, kept away from the volume. Its status
// is computed from what is wanted and what came of it.
type Backup struct {
	ID, Name, Description, ProjectID, UserID string
	VolumeID, SnapshotID                     string // what it is of; the snapshot is "" for the volume itself
	ParentID                                 string // the backup that it is an increment of; "" for a full one
	Chain                                    string // id of the full backup at its beginning
	Container                                string // the part of the store that its chain is in
	SizeGB                                   int    // of the volume
	AvailabilityZone                         string
	Metadata                                 map[string]string
	DataAt                                   time.Time // the moment that it is of

	// What a volume that is restored from it takes over.
	Bootable      bool
	ImageMetadata map[string]string

	Imported    bool   // its record came from elsewhere, and is believed when its manifest is found
	Deleted     bool   // it is wanted no more
	RestoringID string // the volume that it is being restored to
	Forced      string // the status that an operator set; "" for none

	Ready   bool  // it is there, whole
	Objects int   // that it is made of, so far
	Stored  int64 // bytes that it added to the store, so far
	Read    int64 // bytes of the volume, so far
	Fault   string

	CreatedAt, UpdatedAt time.Time
	Attempt              int
	NextAttemptAt        time.Time
}

// The statuses that backups bring with them.
const (
	BackupRestoring      = "restoring"
	VolumeBackingUp      = "backing-up"
	VolumeRestoring      = "restoring-backup"
	VolumeErrorRestoring = "error_restoring"
	VolumeReverting      = "reverting"
)

// Status is the backup's status.
func (b Backup) Status() string {
	switch {
	case b.Deleted:
		return VolumeDeleting
	case b.Forced != "":
		return b.Forced
	case b.RestoringID != "":
		return BackupRestoring
	case b.Ready:
		return VolumeAvailable
	case b.Fault != "":
		return VolumeError
	}
	return VolumeCreating
}

// backupContent begins the names of backups' bytes.
const backupContent = "backup:"

// Content is the name that a node asks for a backup's bytes by, among those of
// images.
func (b Backup) Content() string { return backupContent + b.Container + ":" + b.Chain + ":" + b.ID }

// ParseBackupContent takes such a name apart; ok is false for other names.
func ParseBackupContent(name string) (container, chain, id string, ok bool) {
	rest, ok := strings.CutPrefix(name, backupContent)
	parts := strings.Split(rest, ":")
	if !ok || len(parts) != 3 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// VolumeRefill is new content for a volume: that of its snapshot or of a backup.
// What was on it is lost.
type VolumeRefill struct {
	SnapshotID string
	BackupID   string
	Content    string // the backup's
}

// VolumeDefaultType is the type that a project's volumes have when none is asked
// for.
type VolumeDefaultType struct{ ProjectID, TypeID string }
