package hypervisortest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// save puts a guest away and has another driver go on with it: it does not boot again, and still does what it did.
func save(t *testing.T, s Subject) {
	cfg := s.Config(t)
	g := s.startOn(t, s.Driver(), cfg)
	s.up(t, g.Handle(), 1)
	must(t, g.Save(limit(t)))
	await(t, g, hypervisor.EventExit)
	wantState(t, g, hypervisor.StateGone)
	again := s.wake(t, cfg)
	must(t, again.Resume(limit(t)))
	wantState(t, again, hypervisor.StateRunning)
	s.PowerOff(t, again.Handle())
	await(t, again, hypervisor.EventShutdown)
	text, err := os.ReadFile(again.Handle().ConsoleLog())
	if err != nil || bytes.Count(text, []byte(s.Greeting)) != 1 {
		t.Errorf("it booted again: %q, %v", text, err)
	}
}

// wake starts a guest that was saved.
func (s Subject) wake(t *testing.T, cfg hypervisor.Config) hypervisor.Guest {
	t.Helper()
	cfg.Saved = true
	g := s.startOn(t, s.Driver(), cfg)
	wantState(t, g, hypervisor.StatePaused)
	return g
}

// saveAgain saves a guest that goes on from a file, before and after it has run; the file is always the newest.
func saveAgain(t *testing.T, s Subject) {
	cfg := s.Config(t)
	g := s.startOn(t, s.Driver(), cfg)
	s.up(t, g.Handle(), 1)
	must(t, g.Save(limit(t)))
	must(t, s.wake(t, cfg).Save(limit(t)))
	g = s.wake(t, cfg)
	must(t, g.Resume(limit(t)))
	must(t, g.Save(limit(t)))
	g = s.wake(t, cfg)
	must(t, g.Resume(limit(t)))
	must(t, g.Reset(limit(t)))
	s.up(t, g.Handle(), 2)
	wantKind(t, "save what is gone", func() error { must(t, g.Quit(limit(t))); return g.Save(limit(t)) }(), cloud.NotFound)
}

func nothingSaved(t *testing.T, s Subject) {
	cfg := s.Config(t)
	cfg.Saved = true
	_, err := s.Driver().Start(limit(t), cfg)
	wantKind(t, "start without memory", err, cloud.NotFound)
	if _, err := os.Stat(filepath.Join(cfg.Dir, hypervisor.FileMemory)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file with memory: %v", err)
	}
}

// interrupt is heeded by a guest or not; what is gone cannot be interrupted.
func interrupt(t *testing.T, s Subject) {
	_, g := s.start(t)
	s.up(t, g.Handle(), 1)
	must(t, g.Interrupt(limit(t)))
	must(t, g.Quit(limit(t)))
	wantKind(t, "interrupt what is gone", g.Interrupt(limit(t)), cloud.NotFound)
}
