package instance

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// holding starts an instance that has a volume.
func holding(t *testing.T, w *world, m *Manager) cloud.InstanceSpec {
	spec := w.spec()
	spec.Volumes = []cloud.InstanceVolume{w.volume("v1")}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	return spec
}

func TestVolumeGrowsInItsGuest(t *testing.T) {
	w := newWorld(t)
	m := w.agent()
	spec := holding(t, w, m)
	grown, err := m.GrowVolume(t.Context(), "volume-v1", 2<<20)
	if !grown || err != nil {
		t.Fatal(grown, err)
	}
	g, err := m.Hypervisor.Recover(t.Context(), *m.Handle(spec.ID))
	must(t, err)
	devices, err := g.Devices(t.Context())
	must(t, err)
	if i := slices.IndexFunc(devices, func(d hypervisor.Device) bool { return d.ID == "vol-v1" }); i < 0 || devices[i].Size != 2<<20 {
		t.Errorf("%+v", devices)
	}
	spec = with(spec, off)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceStopped, 2)
	for _, disk := range []string{"volume-v1", "volume-v2"} {
		if grown, err = m.GrowVolume(t.Context(), disk, 3<<20); grown || err != nil {
			t.Errorf("%s, which no guest has: %t, %v", disk, grown, err)
		}
	}
}

func TestQuiesce(t *testing.T) {
	w := newWorld(t)
	m := w.agent()
	spec, other := holding(t, w, m), holding(t, w, m) // the volume is shared
	states := func() (out []hypervisor.State) {
		for _, id := range []string{spec.ID, other.ID} {
			_, state := w.host.Guest(id)
			out = append(out, state)
		}
		return out
	}
	paused, running := []hypervisor.State{"paused", "paused"}, []hypervisor.State{"running", "running"}
	broken := errors.New("the copy broke off")
	err := m.Quiesce(t.Context(), "volume-v1", func() error {
		if got := states(); !slices.Equal(got, paused) {
			t.Errorf("meanwhile: %v", got)
		}
		return broken
	})
	if !errors.Is(err, broken) || !slices.Equal(states(), running) {
		t.Errorf("%v; after it: %v", err, states())
	}
	calls := 0
	must(t, m.Quiesce(t.Context(), "volume-v2", func() error {
		calls++
		if got := states(); !slices.Equal(got, running) {
			t.Errorf("of a volume that nobody has: %v", got)
		}
		return nil
	}))
	if calls != 1 {
		t.Errorf("called %d times", calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Quiesce(ctx, "volume-v1", func() error { return nil }); !slices.Equal(states(), running) {
		t.Errorf("given up: %v, %v", err, states())
	}
	must(t, m.Close())
	if _, err := m.GrowVolume(t.Context(), "volume-v1", 4<<20); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("of an agent that is closed: %v", err)
	}
}

// TestQuiesceOfOneThatEnds ends a guest just before it is to stand still: then
// nothing writes to its volume, and the copy is made all the same.
func TestQuiesceOfOneThatEnds(t *testing.T) {
	w := newWorld(t)
	kill := func() {}
	m := w.agent(func(c *Config) {
		c.Hook = func(p string) {
			if p == "instance.still.before" {
				kill()
			}
		}
	})
	spec := holding(t, w, m)
	kill = func() { w.host.Crash(spec.ID) }
	copied := false
	must(t, m.Quiesce(t.Context(), "volume-v1", func() error { copied = true; return nil }))
	if !copied {
		t.Error("no copy was made")
	}
}

// TestKilledWhileStill kills the agent while a guest stands still for a copy: the
// next one lets it run on.
func TestKilledWhileStill(t *testing.T) {
	w := newWorld(t)
	dead, end := make(chan struct{}), make(chan struct{})
	m := w.agent(func(c *Config) {
		c.Hook = func(p string) {
			if p == "instance.still.after" {
				close(dead)
				<-end
				runtime.Goexit()
			}
		}
	})
	t.Cleanup(func() { close(end) })
	spec := holding(t, w, m)
	go func() { _ = m.Quiesce(context.Background(), "volume-v1", func() error { return nil }) }()
	<-dead
	if _, state := w.host.Guest(spec.ID); state != hypervisor.StatePaused {
		t.Fatalf("the guest is %s", state)
	}
	m = w.agent()
	// Whatever the new agent reports first, it is asked only after it has thawed the guest.
	if grown, err := m.GrowVolume(t.Context(), "volume-v1", 2<<20); !grown || err != nil {
		t.Error(grown, err)
	}
	if _, state := w.host.Guest(spec.ID); state != hypervisor.StateRunning {
		t.Errorf("the guest is %s", state)
	}
}
