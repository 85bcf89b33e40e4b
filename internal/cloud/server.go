package cloud

import (
	"strings"
	"time"
)

// Power is what a server's owner wants of its guest.
type Power string

// The wanted powers.
const (
	PowerOn  Power = "on"
	PowerOff Power = "off"
)

// InstanceState is what a node sees of an instance.
type InstanceState string

// The states that nodes report. Only running, paused, suspended and stopped last;
// preparing and removing are under way; failed waits for the head to decide.
const (
	InstanceAbsent    InstanceState = ""          // nothing of it on the node
	InstancePreparing InstanceState = "preparing" // a step of its start is under way
	InstanceRunning   InstanceState = "running"
	InstancePaused    InstanceState = "paused"
	InstanceSuspended InstanceState = "suspended" // its memory is in a file, no guest
	InstanceStopped   InstanceState = "stopped"   // disk and ports are there, no guest
	InstanceRemoving  InstanceState = "removing"  // being undone
	InstanceFailed    InstanceState = "failed"    // a step failed for good; its work is undone
)

// Server is an instance as its owner sees it: what is wanted (Intent) and what
// was last observed. Its status is computed from the two, never kept.
type Server struct {
	ID, Name, Description, ProjectID, UserID string
	Hostname                                 string
	Flavor                                   Flavor // as it was at creation (or the last resize)
	ImageID                                  string
	Image                                    ImageRef
	Rescue                                   *ImageRef // the image it is rescued by; nil when it is not
	RescueAs                                 *RescueAs // what that image's disk is to the guest; nil for its first disk
	Reimaged                                 int64     // the disk turn with which the volume it boots from was given its image anew; 0 for none
	OldFlavor                                *Flavor   // of a resize that is neither confirmed nor reverted
	Kernel, Ramdisk                          *ImageRef // of an AMI
	KernelArgs                               string
	ImageProperties                          map[string]string
	Deploy                                   *DeploySpec // the definition by which its root disk is made; nil for the image as it is
	VolumeBoot                               bool        // it boots from a volume: it has no root disk of its own
	Scratch                                  *Scratch    // the disks beside the root that were asked for; nil for the flavor's
	CDs                                      []InstanceCD
	Key                                      *Keypair // as it was at creation
	UserData                                 []byte
	Files                                    []GuestFile // that its config drive has for the guest (nova's personality)
	Metadata                                 map[string]string
	Tags                                     []string
	AvailabilityZone                         string // the one asked for; "" for any
	ForcedHost                               string // the host asked for; "" for any
	ConfigDrive                              bool
	DiskConfig                               string // AUTO or MANUAL
	AccessIPv4, AccessIPv6                   string
	Locked                                   bool
	LockedReason                             string
	SecurityGroups                           []string // ids for the ports made at creation
	ReservationID                            string
	LaunchIndex                              int
	SchedulerHints                           map[string][]string
	PortOrder                                []string          // ids of the ports, in the order of the NICs
	NICTags                                  map[string]string // port id to the tag that its owner gave the NIC

	Node      string  // the host it was placed on; "" while unplaced
	Claims    []Claim // what its flavor takes beside processors, memory and disk of the host
	Intent    Intent
	Seen      Observation
	Snapshots []string       // ids of the images that are being made of it
	Backups   []ServerBackup // those of them that older backups give way to
	Shelf     *Shelf         // nil when it is not shelved, or runs again
	Drop      []string       // ids of images that were made for it alone, and are to go
	Posted    string         // the password that its guest had posted when it left its last node, encrypted by the guest
	Trash     *Trash         // it was deleted, and is kept for a while; nil for all others
	ToVolume  *ToVolume      // the volume that is being made of its root disk; nil for none
	RootImage *ImageRef      // what its root disk, or boot volume, is being replaced by; nil for nothing
	Fault     *Fault
	Marked    bool   // the operator says that it is in error
	Steps     []Step // the timeline of its start, newest last

	CreatedAt, UpdatedAt time.Time
	LaunchedAt           *time.Time
	DeletedAt            *time.Time // of a server that is gone: when it went; see Gone
	Attempt              int        // failed tries of the job since the last success
	NextAttemptAt        time.Time  // when the housekeeper looks at it next; zero for never
}

// RescueAs is the disk that a server is rescued by, when its own disks are to stay
// where they are: it comes last, and is booted from (nova's stable device rescue).
type RescueAs struct{ Device, Bus string } // Device is disk or cdrom; Bus is virtio, scsi, ide or usb

// Trash says since when a deleted server has been kept, and until when it is. What
// is its own stays its own: disks, ports and volumes.
type Trash struct{ Since, Until time.Time }

// ToVolume is the volume that a server's root disk becomes.
type ToVolume struct {
	VolumeID            string
	DeleteOnTermination bool
}

// Scratch is the sizes of the disks that a server has beside its root disk.
type Scratch struct {
	EphemeralGB, SwapMB int   // EphemeralGB is all ephemeral disks together
	Ephemeral           []int // the GB of each of several; none for one of EphemeralGB
}

// Locals are the sizes of the ephemeral disks, and of the swap disk, that a server
// has; 0 for none.
func (s Server) Locals() (ephemeralGB []int, swapMB int) {
	total, swap := s.Flavor.EphemeralGB, s.Flavor.SwapMB
	if s.Scratch != nil {
		if len(s.Scratch.Ephemeral) > 0 {
			return s.Scratch.Ephemeral, s.Scratch.SwapMB
		}
		total, swap = s.Scratch.EphemeralGB, s.Scratch.SwapMB
	}
	if total > 0 {
		ephemeralGB = []int{total}
	}
	return ephemeralGB, swap
}

// GuestAgent tells whether the server's image promises an agent in the guest that
// listens to its host (nova's hw_qemu_guest_agent).
func (s Server) GuestAgent() bool { return GuestAgent(s.ImageProperties) }

// GuestAgent tells the same of the properties of an image.
func GuestAgent(properties map[string]string) bool {
	switch strings.ToLower(properties["hw_qemu_guest_agent"]) {
	case "yes", "true", "1", "on", "t", "y":
		return true
	}
	return false
}

// ServerBackup is an image that is being made of a server, in place of the oldest of
// its kind beyond those kept.
type ServerBackup struct {
	ImageID, Kind string
	Keep          int
}

// KeyName is the name of the keypair it was made with; "" for none.
func (s Server) KeyName() string {
	if s.Key == nil {
		return ""
	}
	return s.Key.Name
}

// Intent is what is wanted of a server. Generation counts the changes, so that
// an observation says which intent it answers.
type Intent struct {
	Generation int64
	Power      Power
	Deleted    bool
	Reboots    int64 // counts reboots asked for
	HardReboot bool  // whether the last of them is a hard one
	NMIs       int64 // counts non-maskable interrupts asked for
	Paused     bool  // the guest's processors are to stand still
	Suspended  bool  // the guest's memory is to be in a file, and the guest gone
	Shelved    bool  // it is to be an image and no guest
	Offload    bool  // and is to leave its node
	Disk       DiskIntent
}

// DiskIntent says which root disk a server runs on. Disks have numbers, its
// turns: what makes the disk anew takes a new number, so that the old disk stays
// until it is given up, and a node sees by the numbers alone what is to be done.
type DiskIntent struct {
	Turn int64      // of the disk it runs on
	Kept int64      // of another that stays; Turn for none. All others go
	Last int64      // the highest number ever given
	Why  DiskReason // why it is on this turn
}

// Next is the intent to go on with a new disk, and keep or give up the present
// one.
func (d DiskIntent) Next(why DiskReason, keep bool) DiskIntent {
	n := DiskIntent{Turn: d.Last + 1, Kept: d.Last + 1, Last: d.Last + 1, Why: why}
	if keep {
		n.Kept = d.Turn
	}
	return n
}

// Back is the intent to go back to the disk that was kept.
func (d DiskIntent) Back(why DiskReason) DiskIntent {
	return DiskIntent{Turn: d.Kept, Kept: d.Kept, Last: d.Last, Why: why}
}

// Stay is the intent to give the kept disk up.
func (d DiskIntent) Stay() DiskIntent {
	return DiskIntent{Turn: d.Turn, Kept: d.Turn, Last: d.Last}
}

// DiskReason is why a server is on another disk than before.
type DiskReason string

// The reasons.
const (
	DiskFirst    DiskReason = ""         // it always was, or what came after is done with
	DiskRebuild  DiskReason = "rebuild"  // a new one of an image
	DiskResize   DiskReason = "resize"   // a copy of the kept one, of another size
	DiskRevert   DiskReason = "revert"   // back from that
	DiskRescue   DiskReason = "rescue"   // one of an image, the kept one beside it
	DiskUnrescue DiskReason = "unrescue" // back from that
	DiskToVolume DiskReason = "volume"   // none: a volume holds what the last one held
	DiskReplace  DiskReason = "replace"  // one of an image, in place of the kept one; all else of the server stays
)

// Observation is what the node last reported of a server.
type Observation struct {
	Generation int64 // the newest intent that the node has carried out
	State      InstanceState
	Step       string // of a preparing instance
	Resumes    bool   // of a preparing instance: it goes on with the memory that was saved
	Reboots    int64
	Turn       int64             // of the root disk it is on
	Snapshots  []string          // ids of the images whose disks the node has copied
	Volumes    []string          // ids of those that it has: in its guest, or for the guest's next start
	Ports      []string          // likewise
	Refused    map[string]string // by the id of a volume or port: why it could not be plugged, or unplugged
	Untaken    map[string]string // by the id of a volume or port that was plugged into a running guest: that the guest's driver has not taken it, and what to look at
	Error      string            // of a failed one
	At         time.Time
}

// Fault is why a server is in ERROR, as nova shows it.
type Fault struct {
	Code      int
	Message   string
	Details   string
	CreatedAt time.Time
}

// FaultInternal is the code of a fault that is no fault of the request's.
const FaultInternal = 500

// Step is one entry of a server's timeline.
type Step struct {
	Name     string
	Start    time.Time
	Duration time.Duration
	Error    string
	Notes    []string `json:",omitempty"` // what was done in it, where it tells
}

// ActionRecord is an entry of a server's history, as os-instance-actions shows.
type ActionRecord struct {
	ID, ServerID, Action, RequestID, UserID, ProjectID string
	Message                                            string
	StartedAt, UpdatedAt                               time.Time
	Node                                               string     // where the server was
	FinishedAt                                         *time.Time // when it was carried out, or failed; nil before
	Error                                              string     // why it failed; "" when it did not
}
