package boottest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"hearth/internal/driver/hypervisor/qmp"
)

// maxResets is how often a guest may start anew: some do once, at their first boot.
const maxResets = 3

// follower waits for the stages.
type follower struct {
	*test
	guest *guest
	began time.Time
	lines <-chan string // of the console

	reached []Stage // as they came
	lease   net.IP
	facts   []string
	user    string
	sshErr  error
	resets  int
	asked   time.Time        // when the power button was pressed; zero: not yet
	grace   <-chan time.Time // ends the wait for what else may come
	last    string           // line of the console
}

// events are some of the things that are waited for.
type events struct {
	lease chan net.IP
	ssh   chan sshResult
}

// follow waits until the guest is down after all stages, or will not get there. The
// sentence says why it failed; "" if it did not.
func (f *follower) follow(ctx context.Context) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e := events{make(chan net.IP, 16), make(chan sshResult, 16)}
	go func() {
		_ = leases(f.guest.frames, func(ip net.IP) {
			select {
			case e.lease <- ip:
			default:
			}
		})
	}()
	go f.guest.knock(ctx, f.users, f.keys, func(r sshResult) {
		select {
		case e.ssh <- r:
		case <-ctx.Done():
		}
	})
	for {
		over, why := f.next(ctx, e)
		if over || why != "" {
			return why
		}
	}
}

// next takes one event.
func (f *follower) next(ctx context.Context, e events) (over bool, why string) {
	select {
	case line, ok := <-f.lines:
		if !ok {
			f.lines = nil
			return false, ""
		}
		return false, f.read(line)
	case ip := <-e.lease:
		f.lease = ip
		f.reach(DHCP, ip.String())
	case r := <-e.ssh:
		return false, f.heard(r)
	case q, ok := <-f.guest.Mon.Events():
		if ok {
			return f.qemu(q)
		}
		return f.gone()
	case <-f.guest.Exited():
		return f.gone()
	case <-f.grace:
		f.grace = nil
		return f.enough(ctx)
	case <-ctx.Done():
		if err := context.Cause(ctx); !errors.Is(err, errTimeout) {
			return true, err.Error()
		}
		return true, f.timeout()
	}
	return false, ""
}

// read looks at a line of the console.
func (f *follower) read(line string) string {
	if s := strings.TrimSpace(line); s != "" {
		f.last = s
	}
	if stage, by := stageOf(line); stage != "" {
		f.reach(stage, by)
		if stage == Prompt && f.user == "" && f.grace == nil {
			f.grace = time.After(f.opt.Timeout / 3) // it is up: whatever else comes, comes soon
		}
		if stage == Prompt && f.user != "" && f.asked.IsZero() {
			f.grace = time.After(0)
		}
	}
	if f.user != "" || !f.asked.IsZero() {
		return ""
	}
	if why := endOf(line); why != "" {
		return why + " (" + strings.TrimSpace(line) + ")"
	}
	return ""
}

// reach notes a stage, once.
func (f *follower) reach(stage, what string) {
	if f.has(stage) {
		return
	}
	s := Stage{Name: stage, Seconds: time.Since(f.began).Seconds(), Result: Passed, Text: what}
	f.reached = append(f.reached, s)
	if f.opt.Tell != nil {
		f.opt.Tell(s)
	}
}

func (f *follower) has(stage string) bool {
	for _, s := range f.reached {
		if s.Name == stage {
			return true
		}
	}
	return false
}

// heard takes what the ssh client says.
func (f *follower) heard(r sshResult) string {
	switch {
	case r.user != "" && r.err == nil:
		f.user, f.facts = r.user, r.facts
		f.reach(Login, "as "+r.user)
		f.grace = time.After(f.opt.Timeout / 10) // for a login prompt, which may come later
		if f.has(Prompt) {
			f.grace = time.After(0)
		}
	case r.banner != "" && r.user == "":
		f.reach(Banner, r.banner)
		if f.grace == nil {
			f.grace = time.After(f.opt.Timeout / 3)
		}
	case r.err != nil:
		f.sshErr = r.err
	}
	return ""
}

// enough is when what else may come has had its time: the guest is switched off, or
// it is said what is missing.
func (f *follower) enough(ctx context.Context) (bool, string) {
	if f.user == "" {
		return true, f.timeout()
	}
	if f.asked.IsZero() {
		f.asked = time.Now()
	} else if time.Since(f.asked) > f.opt.Timeout/3 {
		return true, "the guest did not heed the power button: it has no ACPI, or nothing listens to it (systemd-logind, acpid)"
	}
	if err := f.guest.Mon.Execute(ctx, "system_powerdown", nil, nil); err != nil && !errors.Is(err, qmp.ErrClosed) {
		return true, fmt.Sprintf("the power button could not be pressed: %v", err)
	}
	f.grace = time.After(f.opt.Timeout / 12) // it is pressed again: some look for it late
	return false, ""
}

// qemu takes what QEMU tells.
func (f *follower) qemu(e qmp.Event) (bool, string) {
	switch e.Name {
	case "SHUTDOWN":
		var data struct {
			Guest  bool   `json:"guest"`
			Reason string `json:"reason"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil || !data.Guest {
			return false, ""
		}
		if f.asked.IsZero() {
			return true, "the guest switched itself off before anybody asked it to"
		}
		f.reach(Shutdown, fmt.Sprintf("%.1f s after the power button", time.Since(f.asked).Seconds()))
		return true, ""
	case "RESET":
		if f.resets++; f.resets > maxResets {
			return true, fmt.Sprintf("the guest started anew %d times", f.resets)
		}
	case "GUEST_PANICKED":
		return true, f.panicked()
	}
	return false, ""
}

// panicked says what the console has on it.
func (f *follower) panicked() string {
	for {
		select {
		case line, ok := <-f.lines:
			if !ok {
				f.lines = nil
			} else if why := f.read(line); why != "" {
				return why
			}
		default:
			return "the kernel panicked (the console's last line: " + f.last + ")"
		}
	}
}

// gone is when QEMU's process ended.
func (f *follower) gone() (bool, string) {
	<-f.guest.Exited()
	for e := range f.guest.Mon.Events() {
		if over, why := f.qemu(e); over {
			return over, why
		}
	}
	return true, f.guest.Ended()
}

// timeout says what did not happen.
func (f *follower) timeout() string {
	var why string
	switch {
	case !f.asked.IsZero():
		why = "the guest did not switch itself off in time"
	case f.has(Banner) && !f.has(Login):
		why = fmt.Sprintf("ssh answers, but nobody can log in with the key that the metadata has (tried %s): nothing in the image reads a config drive or a NoCloud seed, or the user is another: say --user (%v)", strings.Join(f.users, ", "), f.sshErr)
	case f.has(DHCP):
		why = "the guest has an address, but no ssh server answers"
	case f.has(Prompt):
		why = "it came to a login prompt, but never asked for an address: its kernel has no virtio_net, or nothing starts DHCP"
	case f.has(Kernel):
		why = "the kernel started, but nothing came of it"
	case f.has(Loader):
		why = "the boot loader started, but no kernel was seen: is it told to use the serial line (console=ttyS0)?"
	default:
		why = "nothing was seen of it: neither a boot loader nor a kernel on the serial line, nor a frame on its network"
	}
	if f.hint != "" && !f.has(Login) {
		why += "; of the image itself it is known: " + f.hint
	}
	if f.last != "" {
		why += " (the console's last line: " + f.last + ")"
	}
	return why
}
