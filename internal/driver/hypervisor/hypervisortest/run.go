package hypervisortest

import (
	"context"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

func pause(t *testing.T, s Subject) {
	_, g := s.start(t)
	for range 2 {
		must(t, g.Pause(limit(t)))
		wantState(t, g, hypervisor.StatePaused)
	}
	await(t, g, hypervisor.EventPaused)
	for range 2 {
		must(t, g.Resume(limit(t)))
		wantState(t, g, hypervisor.StateRunning)
	}
	await(t, g, hypervisor.EventResumed)
}

func reset(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	must(t, g.Reset(limit(t)))
	if e := await(t, g, hypervisor.EventReset); e.Reason != hypervisor.ReasonHostReset {
		t.Errorf("reason %q", e.Reason)
	}
	s.up(t, g.Handle(), 2)
	wantState(t, g, hypervisor.StateRunning)
}

func ownReboot(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	s.Reboot(t, g.Handle())
	if e := await(t, g, hypervisor.EventReset); e.Reason != hypervisor.ReasonGuestReset {
		t.Errorf("reason %q", e.Reason)
	}
	s.up(t, g.Handle(), 2)
	wantState(t, g, hypervisor.StateRunning)
}

func ownPowerOff(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	s.PowerOff(t, g.Handle())
	if e := await(t, g, hypervisor.EventShutdown); e.Reason != hypervisor.ReasonGuestShutdown {
		t.Errorf("reason %q", e.Reason)
	}
	await(t, g, hypervisor.EventPaused)
	wantState(t, g, hypervisor.StateShutdown)
	wantKind(t, "resume after poweroff", g.Resume(limit(t)), cloud.Conflict)
	must(t, g.Quit(limit(t)))
	wantState(t, g, hypervisor.StateGone)
}

func powerOffAway(t *testing.T, s Subject) {
	d, g := s.start(t)
	s.up(t, g.Handle(), 1)
	must(t, g.Close())
	s.PowerOff(t, g.Handle())
	again, err := d.Recover(limit(t), g.Handle())
	must(t, err)
	defer again.Close()
	// The guest may be quicker than Recover, or its poweroff come after: then it is an event.
	if state, err := again.State(limit(t)); err != nil || state != hypervisor.StateShutdown {
		await(t, again, hypervisor.EventPaused)
	}
	wantState(t, again, hypervisor.StateShutdown)
}

func button(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	must(t, g.Shutdown(limit(t)))
	await(t, g, hypervisor.EventPowerdown)
	if e := await(t, g, hypervisor.EventShutdown); e.Reason != hypervisor.ReasonGuestShutdown {
		t.Errorf("reason %q", e.Reason)
	}
	await(t, g, hypervisor.EventPaused)
	wantState(t, g, hypervisor.StateShutdown)
}

func quit(t *testing.T, s Subject) {
	d, g := s.start(t)
	must(t, g.Quit(limit(t)))
	if e := await(t, g, hypervisor.EventExit); e.Code != 0 {
		t.Errorf("exit code %d", e.Code)
	}
	_, err := d.Recover(limit(t), g.Handle())
	wantKind(t, "recover", err, cloud.NotFound)
	wantKind(t, "pause", g.Pause(limit(t)), cloud.NotFound)
	wantKind(t, "shutdown", g.Shutdown(limit(t)), cloud.NotFound)
	_, err = g.Stats(limit(t))
	wantKind(t, "stats", err, cloud.NotFound)
	must(t, g.Close())

	_, hasty := s.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, hasty.Quit(ctx)) // there is no time to ask, but it goes
	wantState(t, hasty, hypervisor.StateGone)
}
