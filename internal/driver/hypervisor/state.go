package hypervisor

import "time"

// State is how a guest is.
type State string

// The states of a guest.
const (
	StateRunning  State = "running"
	StatePaused   State = "paused"    // its processors are stopped, by Pause or because it is being set up
	StateShutdown State = "shutdown"  // it switched itself off; its process waits for Quit
	StateCrashed  State = "crashed"   // its hypervisor cannot go on with it
	StateIOError  State = "io-error"  // stopped because the host could not write its disk, which is full most likely
	StateGone     State = "gone"      // its process is no longer there
	StateAsleep   State = "suspended" // it sleeps (ACPI S3) until woken
)

// EventKind says what happened.
type EventKind string

// The events of a guest.
const (
	EventShutdown  EventKind = "shutdown"  // the guest switched itself off, or Quit was called: see Reason
	EventReset     EventKind = "reset"     // it starts again: see Reason
	EventPowerdown EventKind = "powerdown" // the power button was pressed
	EventPaused    EventKind = "paused"    // its processors stopped, for whatever reason
	EventResumed   EventKind = "resumed"   // and run again
	EventPanicked  EventKind = "panicked"  // its kernel reported a panic
	EventIOError   EventKind = "io-error"  // the host could not serve its disk: see Reason
	EventUnplugged EventKind = "unplugged" // it let go of a device: see Reason
	EventMirrored  EventKind = "mirrored"  // the copying of a disk has got further: see Reason
	EventExit      EventKind = "exit"      // its process is gone; always the last
)

// Reasons of EventShutdown and EventReset.
const (
	ReasonGuestShutdown = "guest-shutdown" // the guest's own poweroff, the power button's doing included
	ReasonGuestReset    = "guest-reset"    // the guest's own reboot
	ReasonHostReset     = "host-qmp-system-reset"
	ReasonHostQuit      = "host-qmp-quit"
)

// Event is something that happened to a guest.
type Event struct {
	Kind   EventKind
	Reason string    // the device's id (that of the disk it was plugged as, whatever disk it has now), one of the reasons above, or a word of QEMU's own (ShutdownCause, a block device)
	Code   int       // of EventExit: the exit status, negative for a signal; ExitUnknown when the guest was recovered
	Time   time.Time // the hypervisor's clock
}

// ExitUnknown is the Code of a process that was not this one's child: nobody here may ask how it ended.
const ExitUnknown = 1 << 16

// Handle finds a guest again. It is written to JSON and kept by the agent. The zero Handle finds nothing.
type Handle struct {
	Driver  string `json:"driver"` // the kind of driver it is of: "qemu", "fake"
	ID      string `json:"id"`
	Dir     string `json:"dir"`     // the guest's directory: see Files
	PID     int    `json:"pid"`     // of its process
	Started uint64 `json:"started"` // when that process started, in the kernel's clock ticks since boot: a pid is used again, the pair is not
	BootID  string `json:"boot_id"` // of the host's kernel
}

// Device is a disk or NIC that hangs on a guest.
type Device struct {
	ID      string
	Disk    bool
	Size    int64  // of a disk, in bytes
	MAC     string // of a NIC, lower case
	Address string // on the PCI bus: "0000:00:05.0"; "" when it is not on one
	Driver  DriverState
}

// DriverState tells whether the guest's system has a driver on a device.
type DriverState string

// The states. Only virtio devices tell: their drivers say so themselves.
const (
	DriverUnknown DriverState = ""
	DriverMissing DriverState = "missing" // nobody drives it, or not yet
	DriverReady   DriverState = "ready"
)

// Stats is what a guest costs its host.
type Stats struct {
	CPU      time.Duration // processor time since its start, its own and its hypervisor's
	Resident int64         // memory it holds, in bytes
	Threads  int
}

// Capabilities is what a host's hypervisor can do.
type Capabilities struct {
	Accel    string   `json:"accel"`             // "kvm" or "tcg"
	Reason   string   `json:"reason"`            // why that one, in a sentence
	Rate     float64  `json:"rate"`              // guest loops a second KVM was measured at; 0 when it was not
	Version  string   `json:"version"`           // of the hypervisor: "7.2.22"
	Binary   string   `json:"binary"`            // its path
	Machines []string `json:"machines"`          // machine types it knows
	Machine  string   `json:"machine"`           // the one a guest gets that asks for none
	Videos   []string `json:"videos,omitempty"`  // cards for screens that it has, of those of this package
	Warning  string   `json:"warning,omitempty"` // what is slow or missing here and how to mend it
}

// OverheadMB is what a guest costs in memory beyond its own, in MiB, for the scheduler's sums.
func (c Capabilities) OverheadMB(memoryMB int) int {
	const process = 64 // QEMU itself: code, device models, thread stacks
	if c.Accel == "tcg" {
		return process + TranslationMB(memoryMB)
	}
	return process
}

// TranslationMB is the size of the buffer for translated code given to a guest without hardware virtualisation, in MiB.
// QEMU's own choice is 1 GiB and a Debian guest fills it; a quarter of the guest's memory costs it no measurable time
// (LAB.md 3).
func TranslationMB(memoryMB int) int { return min(max(memoryMB/4, 32), 256) }
