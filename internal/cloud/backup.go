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
	StoredID                                 string // its name in the store: its id, but for an imported record that was given another
	Container                                string // the part of the store that its chain is in
	SizeGB                                   int    // of the volume
	AvailabilityZone                         string
	Metadata                                 map[string]string
	DataAt                                   time.Time // the moment that it is of

	// What a volume that is restored from it takes over.
	Bootable      bool
	ImageMetadata map[string]string
	VolumeData    map[string]string // the volume's metadata
	Key           *VolumeKey        // of an encrypted volume, whose bytes are kept as they lie; nil for others
	TypeID        string            // of an encrypted volume

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
	VolumeManaging       = "managing"
	VolumeErrorManaging  = "error_managing"
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
func (b Backup) Content() string {
	return backupContent + b.Container + ":" + b.Chain + ":" + b.StoredID
}

// ParseBackupContent takes such a name apart; ok is false for other names.
func ParseBackupContent(name string) (container, chain, id string, ok bool) {
	rest, ok := strings.CutPrefix(name, backupContent)
	parts := strings.Split(rest, ":")
	if !ok || len(parts) != 3 {
		return "", "", "", false
	}
	return parts[0], parts[1], parts[2], true
}

// VolumeRefill is new content for a volume: that of its snapshot, of an image or of a backup.
// What was on it is lost.
type VolumeRefill struct {
	SnapshotID string
	Image      ImageRef // ID is "" for none
	BackupID   string
	Content    string // the backup's
}

// VolumeEncryption is how the volumes of a type are encrypted.
type VolumeEncryption struct {
	ID, Provider, Cipher, ControlLocation string
	KeySize                               int // bits; 0 for none said
	CreatedAt, UpdatedAt                  time.Time
}

// VolumeDefaultType is the type that a project's volumes have when none is asked
// for.
type VolumeDefaultType struct{ ProjectID, TypeID string }
