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
	Precache         []string // ids of images that its node is asked to have in its cache
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
}

// Fact is one line of an explanation: where a part of something is.
type Fact struct {
	Topic string // process, disk, tap, rules, log, …
	Value string
}
