// Package fake is a hypervisor without guests: everything a hypervisor.Driver promises, in memory, at once.
//
// The guests live in a Host. Drivers come and go on it as agents do on a real one, so a test restarts an agent by making
// a new Driver on the same Host. What guests do by themselves a test does through the Host.
package fake

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// Host holds the guests. Its methods may be called from any goroutine.
type Host struct {
	clock cloud.Clock

	mu     sync.Mutex
	bootID string // the id of this boot
	last   int    // pid
	guests map[int]*machine
	fail   []error
	deaf   map[string]bool
	clings map[string]bool
	blind  map[string]bool
}

// machine is one guest. All of it is guarded by the Host's lock.
type machine struct {
	handle  hypervisor.Handle
	cfg     hypervisor.Config
	state   hypervisor.State
	begun   time.Time
	starter *Driver
	watched map[*guest]bool
	leaving map[string]bool   // devices that it was asked to let go of
	sizes   map[string]int64  // of disks that were resized, in bytes
	targets []hypervisor.Disk // that disks are being copied to
	secrets map[string]string // that the agent was told, by user

	export  *hypervisor.Export // of what is no guest, but a disk for guests of others; nil for a guest
	address netip.AddrPort     // of such a one
	gone    chan struct{}      // likewise: closed when it has ended
}

// NewHost makes a host with no guests. nil is the machine's clock.
func NewHost(clock cloud.Clock) *Host {
	if clock == nil {
		clock = cloud.SystemClock{}
	}
	return &Host{clock: clock, bootID: cloud.NewID(), last: 1000, guests: map[int]*machine{}, deaf: map[string]bool{}, clings: map[string]bool{}, blind: map[string]bool{}}
}

// FailNextStart makes the next start that is not failing yet fail with err.
func (h *Host) FailNextStart(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = append(h.fail, err)
}

// IgnoreButton makes a guest, present or future, deaf to Shutdown.
func (h *Host) IgnoreButton(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deaf[id] = true
}

// Cling makes a guest, present or future, keep its devices whoever asks, until its next reset.
func (h *Host) Cling(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clings[id] = true
}

// Blind makes a guest, present or future, drive none of its devices, or drive them all.
func (h *Host) Blind(id string, blind bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.blind[id] = blind
}

// PowerOff makes a guest switch itself off; false if no such guest runs.
func (h *Host) PowerOff(id string) bool { return h.does(id, h.off) }

// Reboot makes a guest start over; false if no such guest runs.
func (h *Host) Reboot(id string) bool {
	return h.does(id, func(m *machine) { h.restart(m, hypervisor.ReasonGuestReset) })
}

// Crash kills a guest's process, as the kernel does when memory runs out; false if there is none.
func (h *Host) Crash(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.byID(id)
	if m != nil {
		h.remove(m, -9)
	}
	return m != nil
}

// RebootHost ends all guests and changes the boot id, as a reboot of the machine does.
func (h *Host) RebootHost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.guests {
		h.remove(m, -9)
	}
	h.bootID = cloud.NewID()
}

// Guest tells how a guest was configured and how it is; StateGone if it is not there.
func (h *Host) Guest(id string) (hypervisor.Config, hypervisor.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.byID(id); m != nil {
		return m.cfg, m.state
	}
	return hypervisor.Config{}, hypervisor.StateGone
}

// Password is what a guest's agent was told to make a user's password.
func (h *Host) Password(id, user string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.byID(id); m != nil {
		return m.secrets[user]
	}
	return ""
}

// Running counts the guests' processes.
func (h *Host) Running() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.guests)
}

func (h *Host) does(id string, fn func(*machine)) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.byID(id)
	if m == nil || m.state != hypervisor.StateRunning {
		return false
	}
	fn(m)
	return true
}

func (h *Host) byID(id string) *machine {
	for _, m := range h.guests {
		if m.cfg.ID == id {
			return m
		}
	}
	return nil
}

// BootID tells this boot of the host from any other, of this host and of others:
// handles that were kept beyond it find nothing.
func (h *Host) BootID() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bootID
}

// off is a guest's poweroff: its process stays until somebody ends it.
func (h *Host) off(m *machine) {
	h.print(m, "The system is going down: Power down\r\n")
	m.state = hypervisor.StateShutdown
	h.tell(m, hypervisor.EventShutdown, hypervisor.ReasonGuestShutdown)
	h.tell(m, hypervisor.EventPaused, "")
}

func (h *Host) restart(m *machine, reason string) {
	h.tell(m, hypervisor.EventReset, reason)
	h.release(m)
	h.boot(m)
}

func (h *Host) remove(m *machine, code int) {
	delete(h.guests, m.handle.PID)
	m.state = hypervisor.StateGone
	if m.gone != nil {
		close(m.gone)
	}
	for g := range m.watched {
		c := code
		if g.driver != m.starter {
			c = hypervisor.ExitUnknown
		}
		g.leave(&hypervisor.Event{Kind: hypervisor.EventExit, Code: c, Time: h.clock.Now()})
	}
}

func (h *Host) tell(m *machine, kind hypervisor.EventKind, reason string) {
	for g := range m.watched {
		g.publish(hypervisor.Event{Kind: kind, Reason: reason, Time: h.clock.Now()})
	}
}

// boot prints what a guest of this kind would, and says what it is.
func (h *Host) boot(m *machine) {
	from := "the first disk"
	if m.cfg.Kernel != "" {
		from = filepath.Base(m.cfg.Kernel) + " " + m.cfg.Cmdline
	}
	h.print(m, fmt.Sprintf("%s: this is no real guest, it only acts as one\r\nBooting from %s\r\n"+
		"%d processors, %d MB of memory, %d disks, %d network cards\r\n\r\n%s login: ",
		Greeting, from, m.cfg.VCPUs, m.cfg.MemoryMB, len(m.cfg.Disks), len(m.cfg.NICs), m.cfg.Name))
}

// Greeting begins what every fake guest prints.
const Greeting = "Hearth's fake hypervisor"

// print adds to the console log. A log that cannot be written is the guest's loss, as with a real one.
func (h *Host) print(m *machine, text string) { add(m.handle.ConsoleLog(), text) }

// add adds to a log.
func add(path, text string) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	_, _ = f.WriteString(text)
}
