// Package hypervisortest is the contract of hypervisor.Driver as a test suite. Every driver passes it, the fake
// too, so that whoever uses one need not know which. It also has a guest of 90 bytes for drivers that run real ones.
package hypervisortest

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// Subject is a driver under test, on a host with no other guests.
type Subject struct {
	// Driver makes a new driver on the same host: what a restart of the agent does.
	Driver func() hypervisor.Driver
	// Config is a valid guest in a directory of its own, not started. Its files live as long as the test.
	Config func(t *testing.T) hypervisor.Config
	// Tap opens a tap device that lives as long as the test.
	Tap func(t *testing.T) *os.File
	// Greeting is what the guest prints once it is up.
	Greeting string
	// PowerOff makes the guest switch itself off, Reboot start over. Crash kills its process.
	PowerOff, Reboot, Crash func(t *testing.T, h hypervisor.Handle)
}

// patience is for real guests on a busy machine; the fake needs none of it.
const patience = 120 * time.Second

// Run runs the suite.
func Run(t *testing.T, s Subject) {
	for name, test := range map[string]func(*testing.T, Subject){
		"probe": probe, "life": life, "console": console, "second start": secondStart, "invalid": invalid, "cancelled": cancelled,
		"pause": pause, "reset": reset, "own reboot": ownReboot, "own poweroff": ownPowerOff,
		"poweroff while away": powerOffAway, "button": button, "quit": quit, "recover": recovery,
		"handle of another process": staleHandle, "crash": crash, "crash while away": crashAway, "list": list,
		"destroy": destroy, "stats": stats, "interrupt": interrupt, "consoles": consoles, "save": save, "save again": saveAgain, "nothing saved": nothingSaved,
		"plug a disk": plugDisk, "plug a NIC": plugNIC, "what cannot be plugged": plugRefused, "eject": eject, "mirror": mirror, "password": password,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

// start starts a guest that is gone after the test.
func (s Subject) start(t *testing.T) (hypervisor.Driver, hypervisor.Guest) {
	t.Helper()
	d := s.Driver()
	return d, s.startOn(t, d, s.Config(t))
}

func (s Subject) startOn(t *testing.T, d hypervisor.Driver, cfg hypervisor.Config) hypervisor.Guest {
	t.Helper()
	g, err := d.Start(limit(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Destroy(context.Background(), g.Handle()); err != nil {
			t.Error(err)
		}
		g.Close()
	})
	return g
}

// up waits until the guest has greeted n times.
func (s Subject) up(t *testing.T, h hypervisor.Handle, n int) {
	t.Helper()
	ctx := limit(t)
	look := time.NewTicker(2 * time.Millisecond) // a file has no event that all file systems send
	defer look.Stop()
	for {
		text, err := os.ReadFile(h.ConsoleLog())
		if err == nil && bytes.Count(text, []byte(s.Greeting)) >= n {
			return
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			t.Fatalf("no greeting %q in the console log: %q, %v", s.Greeting, text, err)
		}
	}
}

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// await reads events until one of the kind comes.
func await(t *testing.T, g hypervisor.Guest, kind hypervisor.EventKind) hypervisor.Event {
	t.Helper()
	late := limit(t)
	for {
		select {
		case e, open := <-g.Events():
			if !open {
				t.Fatalf("the events ended without %s", kind)
			}
			if e.Kind == kind {
				return e
			}
		case <-late.Done():
			t.Fatalf("no event %s", kind)
		}
	}
}

func wantState(t *testing.T, g hypervisor.Guest, want hypervisor.State) {
	t.Helper()
	if got, err := g.State(limit(t)); err != nil || got != want {
		t.Fatalf("state %q, %v; want %q", got, err, want)
	}
}

func wantKind(t *testing.T, what string, err error, kind cloud.Kind) {
	t.Helper()
	if !cloud.Is(err, kind) {
		t.Fatalf("%s: %v; want an error of kind %q", what, err, kind)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
