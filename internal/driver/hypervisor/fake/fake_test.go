package fake

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/hypervisortest"
)

func subject() (*Host, hypervisortest.Subject) {
	host := NewHost(cloud.NewFakeClock())
	n := 0
	does := func(fn func(string) bool) func(*testing.T, hypervisor.Handle) {
		return func(t *testing.T, h hypervisor.Handle) {
			if !fn(h.ID) {
				t.Fatalf("guest %s does not run", h.ID)
			}
		}
	}
	return host, hypervisortest.Subject{
		Driver: func() hypervisor.Driver { return New(host) },
		Config: func(t *testing.T) hypervisor.Config {
			n++
			return hypervisor.Config{ID: fmt.Sprintf("guest-%d", n), Name: "ember", VCPUs: 1, MemoryMB: 64, Dir: filepath.Join(t.TempDir(), "run")}
		},
		Tap: func(t *testing.T) *os.File {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		},
		Greeting: Greeting, PowerOff: does(host.PowerOff), Reboot: does(host.Reboot), Crash: does(host.Crash),
	}
}

func TestContract(t *testing.T) {
	_, s := subject()
	hypervisortest.Run(t, s)
}

func TestFailNextStart(t *testing.T) {
	host, s := subject()
	want := errors.New("no more memory")
	host.FailNextStart(want)
	cfg := s.Config(t)
	if _, err := s.Driver().Start(t.Context(), cfg); !errors.Is(err, want) || host.Running() != 0 {
		t.Errorf("got %v with %d guests", err, host.Running())
	}
	if _, err := s.Driver().Start(t.Context(), cfg); err != nil {
		t.Error(err)
	}
}

func TestDeafGuest(t *testing.T) {
	host, s := subject()
	cfg := s.Config(t)
	host.IgnoreButton(cfg.ID)
	g, err := s.Driver().Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, state := host.Guest(cfg.ID); state != hypervisor.StateRunning {
		t.Errorf("state %q", state)
	}
}

func TestHostReboot(t *testing.T) {
	host, s := subject()
	g, err := s.Driver().Start(t.Context(), s.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	host.RebootHost()
	if _, err := s.Driver().Recover(t.Context(), g.Handle()); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("got %v", err)
	}
	if e := <-g.Events(); e.Kind != hypervisor.EventExit {
		t.Errorf("got %+v", e)
	}
}

// A host that poses as the same machine, as a process that was killed and started
// again does, numbers its processes alike. Guests of before are not found there.
func TestAnotherHost(t *testing.T) {
	_, before := subject()
	_, after := subject()
	gone, err := before.Driver().Start(t.Context(), before.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := after.Driver().Start(t.Context(), after.Config(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := after.Driver().Recover(t.Context(), gone.Handle()); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("a guest of another host: %v", err)
	}
}
