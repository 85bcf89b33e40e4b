package boottest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Elsewhere is a guest that somebody else runs from the image, such as a server of a cloud.
// What is seen of it is less than of one's own: its console, as often as it is asked for, and
// that it lets one in.
type Elsewhere struct {
	Image   string // for the report
	Size    int64  // of its disk, bytes; 0 if nobody knows
	Place   string // for the report: what runs it
	User    string // who logs in
	Address string // where ssh is
	// Console gives all that was said on the serial line so far.
	Console func(context.Context) (string, error)
	// Dial logs in once; banner is what the server calls itself, "" if none answered.
	Dial func(context.Context) (client *ssh.Client, banner string, err error)
	// Down presses the power button and returns when the guest is off.
	Down    func(context.Context) error
	Every   <-chan time.Time // when it is looked at again
	Timeout time.Duration
	Tell    func(Stage)
}

// poweredDown is what Linux says last when it switches itself off, on every console and
// however quiet it is told to be. A guest whose power was cut has not said it.
const poweredDown = "Power down"

// Test follows the guest until it is off.
func (e Elsewhere) Test(ctx context.Context) (*Report, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.Timeout, errTimeout)
	defer cancel()
	t := &test{opt: Options{Image: e.Image, Tell: e.Tell, Timeout: e.Timeout, Machine: e.Place, Accel: "elsewhere"}, size: e.Size, users: []string{e.User}}
	r := t.newReport()
	f := &follower{test: t, began: time.Now()}
	reason := e.follow(ctx, f)
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errTimeout) {
		return nil, err
	}
	console, err := e.Console(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	r.finish(f, reason, console)
	r.Address = e.Address
	return r, nil
}

// follow gives the sentence why it failed; "" if it did not.
func (e Elsewhere) follow(ctx context.Context, f *follower) string {
	for !f.has(Login) {
		select {
		case <-ctx.Done():
			return f.timeout()
		case <-e.Every:
		}
		if why := e.look(ctx, f); why != "" {
			return why
		}
		if err := e.knock(ctx, f); err != nil {
			f.sshErr = err
		}
	}
	f.asked = time.Now()
	if err := e.Down(ctx); err != nil {
		return fmt.Sprintf("the power button could not be pressed: %v", err)
	}
	console, err := e.Console(ctx)
	if err != nil {
		return fmt.Sprintf("its console cannot be read any more: %v", err)
	}
	if !strings.Contains(console, poweredDown) {
		return "the guest did not heed the power button, and its power was cut: it has no ACPI, or nothing listens to it (systemd-logind, acpid)"
	}
	f.reach(Shutdown, fmt.Sprintf("%.1f s after the power button", time.Since(f.asked).Seconds()))
	return ""
}

// look reads the console.
func (e Elsewhere) look(ctx context.Context, f *follower) string {
	console, err := e.Console(ctx)
	if err != nil {
		return "" // it may have none yet
	}
	for line := range strings.Lines(console) {
		if s := strings.TrimSpace(line); s != "" {
			f.last = s
		}
		if stage, by := stageOf(line); stage != "" {
			f.reach(stage, by)
		}
		if why := endOf(line); why != "" {
			return why + " (" + strings.TrimSpace(line) + ")"
		}
	}
	return ""
}

// knock tries to log in once.
func (e Elsewhere) knock(ctx context.Context, f *follower) error {
	client, banner, err := e.Dial(ctx)
	if banner != "" {
		f.reach(DHCP, "it is reached at "+e.Address)
		f.reach(Banner, banner)
	}
	if err != nil {
		return err
	}
	defer client.Close()
	if f.facts, err = ask(client); err != nil {
		return err
	}
	f.user = e.User
	f.reach(Login, "as "+e.User)
	return e.last(ctx, f)
}

// last reads the console once more: a login prompt may have come meanwhile.
func (e Elsewhere) last(ctx context.Context, f *follower) error {
	if why := e.look(ctx, f); why != "" {
		return errors.New(why)
	}
	return nil
}
