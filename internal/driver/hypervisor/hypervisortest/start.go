package hypervisortest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

func probe(t *testing.T, s Subject) {
	c, err := s.Driver().Probe(limit(t))
	must(t, err)
	if c.Accel != "kvm" && c.Accel != "tcg" || c.Reason == "" || c.Version == "" {
		t.Errorf("not much of an answer: %+v", c)
	}
	if !slices.Contains(c.Machines, c.Machine) {
		t.Errorf("the default machine %q is not among %q", c.Machine, c.Machines)
	}
	if c.OverheadMB(1024) <= 0 {
		t.Error("a guest costs nothing beyond its memory")
	}
}

func life(t *testing.T, s Subject) {
	cfg := s.Config(t)
	cfg.Request = "req-" + cfg.ID
	g := s.startOn(t, s.Driver(), cfg)
	log, err := os.ReadFile(filepath.Join(cfg.Dir, hypervisor.FileLog))
	must(t, err)
	if !bytes.HasPrefix(log, []byte(hypervisor.LogMark)) || !bytes.Contains(log, []byte("guest "+cfg.ID+" is started, request="+cfg.Request+": ")) {
		t.Errorf("whose request it was is not in the guest's log:\n%s", log)
	}
	if h := g.Handle(); h.ID != cfg.ID || h.PID <= 1 || h.Started == 0 || h.BootID == "" || h.Dir == "" {
		t.Errorf("half a handle: %+v", h)
	}
	wantState(t, g, hypervisor.StateRunning)
	must(t, g.Quit(limit(t)))
	await(t, g, hypervisor.EventExit)
	if _, open := <-g.Events(); open {
		t.Error("an event after the exit")
	}
	wantState(t, g, hypervisor.StateGone)
	must(t, g.Quit(limit(t)))
	again := s.startOn(t, s.Driver(), cfg) // the same directory serves again
	wantState(t, again, hypervisor.StateRunning)
}

func console(t *testing.T, s Subject) {
	cfg := s.Config(t)
	d := s.Driver()
	g := s.startOn(t, d, cfg)
	s.up(t, g.Handle(), 1)
	must(t, g.Quit(limit(t)))
	cfg.Notice = "to whom it may concern\n"
	h := s.startOn(t, d, cfg).Handle()
	s.up(t, h, 2) // the next life adds to the log
	text, err := os.ReadFile(h.ConsoleLog())
	first, last := bytes.Index(text, []byte(s.Greeting)), bytes.LastIndex(text, []byte(s.Greeting))
	if at := bytes.Index(text, []byte(cfg.Notice)); err != nil || at < first || at > last {
		t.Errorf("the notice is not between the two lives: %q, %v", text, err)
	}
}

func secondStart(t *testing.T, s Subject) {
	cfg := s.Config(t)
	d := s.Driver()
	g := s.startOn(t, d, cfg)
	_, err := d.Start(limit(t), cfg)
	wantKind(t, "second start", err, cloud.Conflict)
	_, err = s.Driver().Start(limit(t), cfg)
	wantKind(t, "start by another driver", err, cloud.Conflict)
	wantState(t, g, hypervisor.StateRunning)
}

func invalid(t *testing.T, s Subject) {
	for name, spoil := range map[string]func(*hypervisor.Config){
		"no id":               func(c *hypervisor.Config) { c.ID = "" },
		"id with a comma":     func(c *hypervisor.Config) { c.ID = "a,b" },
		"no processor":        func(c *hypervisor.Config) { c.VCPUs = 0 },
		"no memory":           func(c *hypervisor.Config) { c.MemoryMB = 0 },
		"relative directory":  func(c *hypervisor.Config) { c.Dir = "guest" },
		"no parent directory": func(c *hypervisor.Config) { c.Dir += "/none/guest" },
		"guessed format":      func(c *hypervisor.Config) { c.Disks = []hypervisor.Disk{{ID: "x", Path: "/x"}} },
		"multicast MAC":       func(c *hypervisor.Config) { c.NICs = []hypervisor.NIC{{ID: "n", MAC: "01:00:00:00:00:01"}} },
		"initrd alone":        func(c *hypervisor.Config) { c.Initrd = "/initrd" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := s.Config(t)
			spoil(&cfg)
			_, err := s.Driver().Start(limit(t), cfg)
			wantKind(t, "start", err, cloud.Invalid)
		})
	}
}

func cancelled(t *testing.T, s Subject) {
	cfg := s.Config(t)
	d := s.Driver()
	_, err := d.Probe(limit(t))
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Start(ctx, cfg); err == nil {
		t.Fatal("started all the same")
	}
	left, err := d.List(limit(t), cfg.Dir)
	if err != nil || len(left) > 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
	s.startOn(t, d, cfg)
}

func list(t *testing.T, s Subject) {
	d, g := s.start(t)
	other := s.startOn(t, d, s.Config(t))
	h := g.Handle()
	found, err := s.Driver().List(limit(t), h.Dir)
	if err != nil || !slices.Equal(found, []hypervisor.Handle{h}) {
		t.Errorf("found %+v, %v; want %+v", found, err, h)
	}
	found, err = s.Driver().List(limit(t), "/")
	if err != nil || !slices.Contains(found, h) || !slices.Contains(found, other.Handle()) {
		t.Errorf("found %+v, %v; want both", found, err)
	}
	found, err = d.List(limit(t), h.Dir+"/none")
	if err != nil || len(found) > 0 {
		t.Errorf("where nothing is: %+v, %v", found, err)
	}
	must(t, g.Quit(limit(t)))
	found, err = d.List(limit(t), h.Dir)
	if err != nil || len(found) > 0 {
		t.Errorf("after quit: %+v, %v", found, err)
	}
}
