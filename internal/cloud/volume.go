package cloud

import (
	"strings"
	"time"
)

// Volume is a disk that outlives the servers it is attached to. Its status is
// computed from what is wanted and what was last seen of it, never kept.
type Volume struct {
	ID, Name, Description, ProjectID, UserID string
	SizeGB                                   int // wanted
	TypeID                                   string
	AvailabilityZone                         string // the one asked for; that of its host once placed
	Metadata                                 map[string]string
	ImageMetadata                            map[string]string // of the image it was made from; nil for none
	Bootable, Multiattach, ReadOnly          bool
	ReadOnlySet                              bool // whether anybody said so: then it is told in the metadata
	GroupID                                  string

	// What it is made from: at most one.
	Image      *ImageRef
	SnapshotID string
	SourceID   string
	Adopt      string // a disk of the node that belongs to no volume
	RootOf     string // a server, whose root disk RootDisk is
	RootDisk   string

	Key *VolumeKey // what it is encrypted under; nil for one in the clear

	Node       string // the host it is on; "" while unplaced
	Pool       string // the pool of that host; "" is VolumePool
	SourcePool string // that of what it is made from
	Deleted    bool   // it is wanted no more
	Seen       VolumeSeen
	Fault      string // why it could not be made, or not be extended

	Move            *VolumeMove // to another pool; nil for none
	MigrationStatus string      // how the last move went; "" when there was none
	Stale           string      // a pool of the node that still has a disk of it, after a move; "" for none

	// What others do with it.
	BackupID  string        // the backup that is being made of it
	Refill    *VolumeRefill // what it is being given in place of what it holds
	Reserved  bool          // an attachment has been announced
	Detaching bool          // the end of one has been announced
	UploadID  string        // the image that it is being uploaded to
	Transfer  string        // id of the transfer that waits to be accepted
	Forced    string        // the status that an operator set; "" for none

	CreatedAt, UpdatedAt time.Time
	LaunchedAt           *time.Time
	Attempt              int       // failed tries of the job since the last success
	NextAttemptAt        time.Time // when the housekeeper looks at it next; zero for never
}

// VolumeSeen is what was last observed of a volume on its node.
type VolumeSeen struct {
	Ready     bool // it is there, whole
	SizeBytes int64
	Path      string // where, on the node
	Format    string
	At        time.Time
}

// The statuses of volumes and snapshots.
const (
	VolumeCreating         = "creating"
	VolumeDownloading      = "downloading"
	VolumeAvailable        = "available"
	VolumeReserved         = "reserved"
	VolumeAttaching        = "attaching"
	VolumeInUse            = "in-use"
	VolumeDetaching        = "detaching"
	VolumeExtending        = "extending"
	VolumeUploading        = "uploading"
	VolumeDeleting         = "deleting"
	VolumeError            = "error"
	VolumeErrorExtending   = "error_extending"
	VolumeAwaitingTransfer = "awaiting-transfer"
	VolumeMaintenance      = "maintenance"
)

// GiB is the unit of volumes' sizes.
const GiB = int64(1) << 30

// Status is the volume's status with the attachments that it has.
func (v Volume) Status(attachments []VolumeAttachment) string {
	switch {
	case v.Deleted:
		return VolumeDeleting
	case v.Forced != "":
		return v.Forced
	case v.Refill != nil:
		return v.refilling()
	case v.Move != nil && v.Seen.Ready:
		return v.Move.status()
	case !v.Seen.Ready && v.Adopt != "" && v.Fault != "":
		return VolumeErrorManaging
	case !v.Seen.Ready && v.Adopt != "":
		return VolumeManaging
	case !v.Seen.Ready && v.Fault != "":
		return VolumeError
	case !v.Seen.Ready && v.Image != nil && v.Node != "":
		return VolumeDownloading
	case !v.Seen.Ready:
		return VolumeCreating
	case v.Fault != "":
		return VolumeErrorExtending
	case v.Seen.SizeBytes < int64(v.SizeGB)*GiB:
		return VolumeExtending
	case v.BackupID != "":
		return VolumeBackingUp
	case v.UploadID != "":
		return VolumeUploading
	case v.Transfer != "":
		return VolumeAwaitingTransfer
	}
	return v.use(attachments)
}

// refilling is the status of a volume that is given new content.
func (v Volume) refilling() string {
	switch {
	case v.Refill.SnapshotID != "" && v.Fault != "":
		return VolumeError
	case v.Refill.Image.ID != "" && v.Fault != "":
		return VolumeError
	case v.Refill.SnapshotID != "":
		return VolumeReverting
	case v.Refill.Image.ID != "":
		return VolumeDownloading
	case v.Fault != "":
		return VolumeErrorRestoring
	}
	return VolumeRestoring
}

// use is the status that comes of attachments, in cinder's order of precedence.
func (v Volume) use(attachments []VolumeAttachment) string {
	found := map[string]bool{}
	for _, a := range attachments {
		found[a.State] = true
	}
	switch {
	case v.Detaching && len(attachments) > 0:
		return VolumeDetaching
	case found[AttachmentAttached]:
		return VolumeInUse
	case found[AttachmentAttaching] || v.Reserved:
		return VolumeAttaching
	case found[AttachmentReserved]:
		return VolumeReserved
	}
	return VolumeAvailable
}

// VolumeAttachment is the use of a volume by a server, or the wish for it.
type VolumeAttachment struct {
	ID, VolumeID, ServerID, ProjectID string
	State                             string // reserved, attaching, attached
	Host                              string // of a physical machine, or the server's
	Device                            string // such as /dev/vdb
	ReadOnly                          bool
	Plug                              bool           // the compute service made it: the server's node plugs the volume into the guest
	Boot                              bool           // the server boots from it
	DeleteOnTermination               bool           // the volume goes with its server
	Detaching                         bool           // it is wanted no more: it ends when the node has unplugged the volume
	Tag, Bus                          string         // of the guest's disk; "" for none, and for the image's bus
	CDROM                             bool           // the guest sees it as a CD-ROM, read-only
	BootIndex                         int            // of those that do not Boot: when it is tried; 0 for never, 1 for the first after the boot disk
	Source                            VolumeSource   // where the server's node found it last, if another node keeps it
	Swaps                             string         // id of the volume of the same server that it takes the place of, with its data; "" for none
	Connector                         map[string]any // as the client described its host
	AttachedAt                        *time.Time
	CreatedAt, UpdatedAt              time.Time
}

// The states of an attachment.
const (
	AttachmentReserved  = "reserved"
	AttachmentAttaching = "attaching"
	AttachmentAttached  = "attached"
)

// Snapshot is a volume as it was at a moment: a copy of its own, whatever becomes
// of the volume.
type Snapshot struct {
	ID, Name, Description, ProjectID, UserID, VolumeID string
	SizeGB                                             int
	TypeID                                             string
	Metadata                                           map[string]string
	Bootable                                           bool
	ImageMetadata                                      map[string]string
	GroupSnapshotID                                    string
	BackupID                                           string // the backup that is being made of it
	Progress                                           string // as a helper of its making told it; "" for what is seen

	Key     *VolumeKey // its volume's; nil for one in the clear
	Adopt   string     // a disk of the node that belongs to no snapshot
	Node    string
	Pool    string // that of its volume
	Deleted bool
	Seen    VolumeSeen
	Fault   string
	Forced  string

	CreatedAt, UpdatedAt time.Time
	Attempt              int
	NextAttemptAt        time.Time
}

// Status is the snapshot's status.
func (s Snapshot) Status() string {
	switch {
	case s.Deleted:
		return VolumeDeleting
	case s.Forced != "":
		return s.Forced
	case s.Seen.Ready && s.BackupID != "":
		return VolumeBackingUp
	case s.Seen.Ready:
		return VolumeAvailable
	case s.Adopt != "" && s.Fault != "":
		return VolumeErrorManaging
	case s.Adopt != "":
		return VolumeManaging
	case s.Fault != "":
		return VolumeError
	}
	return VolumeCreating
}

// VolumeUpload is the making of an image from a volume.
type VolumeUpload struct {
	ImageID, VolumeID, ProjectID, UserID string
	DiskFormat                           string // raw or qcow2
	CreatedAt                            time.Time
	Attempt                              int
	NextAttemptAt                        time.Time
}

// VolumeType is a kind of volume that an operator offers.
type VolumeType struct {
	ID, Name, Description string
	Public                bool
	ExtraSpecs            map[string]string
	Projects              []string // that see it when it is not public
	QoSID                 string
	Encryption            *VolumeEncryption // nil for none
	CreatedAt, UpdatedAt  time.Time
}

// Multiattach tells whether the type's volumes may be had by several servers.
func (t VolumeType) Multiattach() bool {
	return strings.EqualFold(t.ExtraSpecs["multiattach"], "<is> True")
}

// VolumeQoS is a set of limits that volume types can be given.
type VolumeQoS struct {
	ID, Name, Consumer   string // Consumer is front-end, back-end or both
	Specs                map[string]string
	CreatedAt, UpdatedAt time.Time
}

// VolumeTransfer is an offer of a volume to whoever knows its key.
type VolumeTransfer struct {
	ID, Name, VolumeID, ProjectID string
	Salt, KeyHash                 string // hexadecimal; the key itself is shown once
	NoSnapshots                   bool
	CreatedAt                     time.Time
}

// VolumeMessage tells a project why something failed that had been accepted.
type VolumeMessage struct {
	ID, ProjectID, RequestID, ResourceType, ResourceID string
	EventID, Level, Text                               string
	CreatedAt, ExpiresAt                               time.Time
}

// GroupType is a kind of volume group that an operator offers.
type GroupType struct {
	ID, Name, Description string
	Public                bool
	Specs                 map[string]string
	CreatedAt, UpdatedAt  time.Time
}

// VolumeGroup is a set of volumes that are snapshotted together.
type VolumeGroup struct {
	ID, Name, Description, ProjectID, UserID string
	GroupTypeID                              string
	VolumeTypes                              []string // ids
	AvailabilityZone                         string
	SnapshotID, SourceID                     string // what it was made from
	Deleted                                  bool
	Forced                                   string
	CreatedAt, UpdatedAt                     time.Time
}

// GroupSnapshot is a group's volumes as they were at a moment.
type GroupSnapshot struct {
	ID, Name, Description, ProjectID, UserID string
	GroupID, GroupTypeID                     string
	Deleted                                  bool
	Forced                                   string
	CreatedAt, UpdatedAt                     time.Time
}

// VolumeSpec is a disk that a node is to have: a volume or a snapshot.
type VolumeSpec struct {
	ID        string    // of the disk: VolumeDisk or SnapshotDisk, in its pool
	Made      bool      // it has been made before: when it is not there, that is NotFound, and nothing is made
	SizeBytes int64     // what it must have at least
	Image     *ImageRef // what it is made from, else
	Adopt     string    // a disk of the node that is to have this name from now on, else
	From      string    // another disk of the node, else
	Content   string    // bytes that the head gives under this name, as it gives images; else it is blank
	Label     string    // of an ext4 file system on a blank one; "" for none
	// Replace has From or Content take the place of what the disk holds, if there is
	// one; nobody has it open. It is done again at every call.
	Replace bool
	Whole   bool // no other disk or image lies beneath it, for several guests may have it at once
	// Key has what is made of nothing, or of an image, be encrypted under it, by LUKS
	// with a key of KeyBits; "" for a disk in the clear, or one whose bytes are copied.
	Key     Secret
	KeyBits int
}

// VolumeStatus is what a node reports of a volume's or snapshot's disk.
type VolumeStatus struct {
	ID, Path, Format string
	SizeBytes        int64
}

// VolumeDisk is the name of a volume's disk on its node.
func VolumeDisk(id string) string { return "volume-" + id }

// SnapshotDisk is the name of a snapshot's disk on its node.
func SnapshotDisk(id string) string { return "snapshot-" + id }
