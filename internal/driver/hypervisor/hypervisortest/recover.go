package hypervisortest

import (
	"encoding/json"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// recovery lets go of a guest, as the end of the agent does, and finds it again by what was written down.
func recovery(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	raw, err := json.Marshal(g.Handle())
	must(t, err)
	must(t, g.Close())
	if _, open := <-g.Events(); open {
		t.Error("the events go on after Close")
	}
	var h hypervisor.Handle
	must(t, json.Unmarshal(raw, &h))
	again, err := s.Driver().Recover(limit(t), h)
	must(t, err)
	if again.Handle() != g.Handle() {
		t.Errorf("handle %+v, was %+v", again.Handle(), g.Handle())
	}
	wantState(t, again, hypervisor.StateRunning)
	must(t, again.Pause(limit(t)))
	await(t, again, hypervisor.EventPaused)
	must(t, again.Quit(limit(t)))
	if e := await(t, again, hypervisor.EventExit); e.Code != hypervisor.ExitUnknown {
		t.Errorf("exit code %d of somebody else's child", e.Code)
	}
	_, err = s.Driver().Recover(limit(t), h)
	wantKind(t, "recover what is gone", err, cloud.NotFound)
}

// staleHandle has the number of a live process that is another one than the handle's.
func staleHandle(t *testing.T, s Subject) {
	d, g := s.start(t)
	for name, spoil := range map[string]func(*hypervisor.Handle){
		"number used again": func(h *hypervisor.Handle) { h.Started-- },
		"another boot":      func(h *hypervisor.Handle) { h.BootID = "00000000-0000-4000-8000-000000000000" },
		"init":              func(h *hypervisor.Handle) { h.PID = 1 },
	} {
		h := g.Handle()
		spoil(&h)
		_, err := d.Recover(limit(t), h)
		wantKind(t, name, err, cloud.NotFound)
		must(t, d.Destroy(limit(t), h))
		wantState(t, g, hypervisor.StateRunning)
	}
	_, err := d.Recover(limit(t), hypervisor.Handle{})
	wantKind(t, "empty handle", err, cloud.Invalid)
}

func crash(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.Crash(t, g.Handle())
	if e := await(t, g, hypervisor.EventExit); e.Code != -9 {
		t.Errorf("exit code %d, want the signal", e.Code)
	}
	wantState(t, g, hypervisor.StateGone)
	must(t, g.Quit(limit(t)))
}

func crashAway(t *testing.T, s Subject) {
	d, g := s.start(t)
	must(t, g.Close())
	s.Crash(t, g.Handle())
	_, err := d.Recover(limit(t), g.Handle())
	wantKind(t, "recover", err, cloud.NotFound)
}

func destroy(t *testing.T, s Subject) {
	d, g := s.start(t)
	must(t, s.Driver().Destroy(limit(t), g.Handle())) // with g attached, whose monitor is taken
	await(t, g, hypervisor.EventExit)
	must(t, d.Destroy(limit(t), g.Handle()))
	wantKind(t, "destroy by an empty handle", d.Destroy(limit(t), hypervisor.Handle{}), cloud.Invalid)
}

func stats(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	first, err := g.Stats(limit(t))
	must(t, err)
	if first.Resident <= 0 || first.Threads <= 0 || first.CPU < 0 {
		t.Errorf("a guest for nothing: %+v", first)
	}
	second, err := g.Stats(limit(t))
	if err != nil || second.CPU < first.CPU {
		t.Errorf("processor time runs backwards: %v then %v, %v", first.CPU, second.CPU, err)
	}
}
