package cloud

import "time"

// Host is a node as the head knows it.
type Host struct {
	Name             string // unique; OS-EXT-SRV-ATTR:host
	ID               string // hypervisor id (a UUID)
	Seen             HostStatus
	Disabled         bool
	DisabledReason   string
	Draining         bool
	ForcedDown       bool // the operator says that it is down, whatever it reports
	VolumesDisabled  bool // it is given no new volumes
	VolumesReason    string
	Precache         []string          // ids of images that its node is asked to have in its cache
	Uncache          []string          // digests of images that its node is asked to drop from its cache
	PoolsDisabled    map[string]string // pools beside VolumePool that are given no new volumes, and why
	AvailabilityZone string
	CreatedAt        time.Time
	SeenAt           time.Time // when it last reported
}

// Alive tells whether the host reported within the grace of a minute.
func (h Host) Alive(now time.Time) bool { return now.Sub(h.SeenAt) < time.Minute }

// Up tells whether the host may be counted on: it reports, and nobody said that it
// is down.
func (h Host) Up(now time.Time) bool { return !h.ForcedDown && h.Alive(now) }

// HostStatus is what a node reports of itself.
type HostStatus struct {
	VCPUs             int
	MemoryMB, DiskGB  int // all there is
	DiskFreeGB        int
	ReservedMB        int    // kept for the host itself and per-guest overheads
	Accel             string // kvm or tcg
	AccelReason       string
	CPUArch, CPUModel string
	Hypervisor        string // QEMU, fake
	HypervisorVersion int    // nova's number: 7002022 for 7.2.22
	HostIP            string
	AgentVersion      string
	BootID            string
	BootedAt          time.Time  // zero where it is not known
	Load              [3]float64 // average number of running tasks over 1, 5 and 15 minutes
	Pools             []PoolStatus
	Images            []CachedImage
	Exports           bool // it gives its volumes to other nodes that do, and its guests can have those of such nodes
}

// CachedImage is an image's bytes that a node has in its cache. What it was used for
// it counts since its agent began.
type CachedImage struct {
	Digest string
	Bytes  int64     // on the node's disk
	At     time.Time // since when
	Hits   int       // how often an instance's start took it
	UsedAt time.Time // by the last of them; zero for none
}

// Fact is one line of an explanation: where a part of something is.
type Fact struct {
	Topic string // process, disk, tap, rules, log, …
	Value string
}
