// Package hypervisor is the tool that runs guests: an interface, its real implementation (qemu, QEMU driven over
// QMP), its fake, and the suite both pass (hypervisortest).
//
// Guests outlive the agent. A guest is a process in a session of its own that needs nothing of the agent's;
// all there is to know about it is in a Handle, which is small, serialisable, and good until the host reboots.
// A guest that switches itself off stays as a process in StateShutdown until somebody calls Quit, so that its wish is
// seen even if the agent was away when it happened; a process that is missing was killed, crashed, or went down with
// the host. Events say when to look; what counts is what State says.
package hypervisor

import (
	"context"
	"io"

	"hearth/internal/cloud"
)

// Driver starts guests and finds them again. Its methods may be called from any goroutine.
type Driver interface {
	// Probe tells what this host's hypervisor can do. The answer is cached; the first call takes up to a second.
	// Unavailable when there is no hypervisor here.
	Probe(ctx context.Context) (Capabilities, error)

	// Start starts a guest and returns when it runs and answers. The context bounds the start alone: if it ends before,
	// or anything fails, nothing is left running. Invalid when the configuration makes no sense; Conflict when a guest
	// runs in the same directory. The caller keeps and closes the configuration's files (NIC.Tap).
	Start(ctx context.Context, cfg Config) (Guest, error)

	// Recover connects to a guest started earlier, by this process or another. It touches no process but the very one
	// of the handle. NotFound, with a sentence on what became of it, when that process is gone.
	Recover(ctx context.Context, h Handle) (Guest, error)

	// List finds all guests whose directory is root or lies below it, known or not: those of an agent that was
	// killed before it could write a handle down included. In no order.
	List(ctx context.Context, root string) ([]Handle, error)

	// Destroy ends the guest's process without asking the guest or the hypervisor, and returns when it is gone. No
	// error when it is gone already. It is for guests that Recover cannot reach; others are ended by Guest.Quit.
	Destroy(ctx context.Context, h Handle) error
}

// Guest is a live connection to one guest. Its methods may be called from any goroutine. When the guest's process is
// gone they fail with NotFound, State and Quit excepted.
type Guest interface {
	// Handle is what to keep for Recover.
	Handle() Handle
	// State asks how the guest is. StateGone, not an error, when its process is gone.
	State(ctx context.Context) (State, error)
	// Shutdown presses the power button. Whether and when the guest heeds it is told by events and State.
	Shutdown(ctx context.Context) error
	// Quit ends the guest: it flushes its disks, and when it returns the process is gone. A hypervisor that
	// does not answer is killed. No error when it is gone already. The context bounds the asking, after it comes the kill.
	Quit(ctx context.Context) error
	// Reset presses the reset button.
	Reset(ctx context.Context) error
	// Interrupt sends the guest a non-maskable interrupt, at which many kernels dump their memory.
	Interrupt(ctx context.Context) error
	// Pause stops the guest's processors, Resume lets them run on. Each is idempotent. Resume is Conflict for a guest that
	// is shut down.
	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	// Devices lists what hangs on the guest, in the order of the ids: its disks and NICs, those of its start and those
	// plugged since. What the guest was asked to let go of is there until it has.
	Devices(ctx context.Context) ([]Device, error)
	// PlugDisk and PlugNIC give the guest one more device while it is there; nothing is done when it has one of that
	// id. Half of an earlier try that was cut off is made whole. When they fail nothing of the device is left. Conflict
	// with the hypervisor's words when it has no place for it, NotFound when the disk's file is not there.
	PlugDisk(ctx context.Context, d Disk) error
	PlugNIC(ctx context.Context, n NIC) error
	// Unplug asks the guest to let go of a device, which it may do soon, at its next reset, or never; gone is whether
	// the device is no more, its file or tap closed. EventUnplugged says when to ask again. What was never there is gone,
	// half of a plugging that was cut off too. The disc of a CD-ROM on IDE is taken out of its drive, which stays, empty, and
	// takes no other until the next start. A NIC has lost its tap when Unplug returns, whenever the guest lets go.
	Unplug(ctx context.Context, id string) (gone bool, err error)
	// ResizeDisk makes a disk of the guest's larger, its file with it, and tells the guest. size is in bytes. NotFound
	// when the guest has no such disk.
	ResizeDisk(ctx context.Context, id string, size int64) error
	// MirrorDisk begins to copy what a disk of the guest holds to another file, while the guest goes on: what it writes is
	// written to both. alike is whether both hold the same by now; EventMirrored says when to ask again, by the same
	// call. When it fails, nothing is left of it, and the guest has its disk as before. It is alike, too, after
	// SwitchDisk. NotFound when the guest has no such disk, or the file is not there.
	MirrorDisk(ctx context.Context, id string, to Disk) (alike bool, err error)
	// SwitchDisk has the guest go on with the disk that one was mirrored to: it notices nothing, and the device goes by
	// the other disk's id from then on. The old file is closed. done is whether that has happened; EventMirrored says
	// when to ask again. Conflict before the two are alike.
	SwitchDisk(ctx context.Context, id, to string) (done bool, err error)
	// SetPassword has the agent in the guest change a user's password. Unsupported when the guest has no agent
	// (Config.Agent), or it does not answer; Conflict with its words when it refuses.
	SetPassword(ctx context.Context, user, password string) error
	// Console opens the guest's screen, in the RFB protocol without a password (RFC 6143), or its serial line, which
	// serves one at a time: a second one waits for the first to be closed.
	Console(ctx context.Context, kind cloud.ConsoleKind) (io.ReadWriteCloser, error)
	// Save writes the guest's memory and the state of its devices to FileMemory in its directory and ends it: when it
	// returns, the file is whole and on the disk, and the process is gone. A guest started with Config.Saved goes on
	// from there. When it fails, the guest runs on as it did before, and there is no file.
	Save(ctx context.Context) error
	// Stats measures what the guest costs the host.
	Stats(ctx context.Context) (Stats, error)
	// Events yields what happens to the guest from now on, and is closed after EventExit or Close. A slow
	// reader loses the oldest events; an EventExit is never lost.
	Events() <-chan Event
	// Close lets go of the guest, which runs on. The Guest is of no use afterwards.
	Close() error
}
