package instance

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"hearth/internal/cloud"
)

// stage is one wish of the head's, and when it is fulfilled.
type stage struct {
	name  string
	wish  func(m *Manager) error
	await func(ctx context.Context, m *Manager) error
}

// life is an instance from its creation to its removal.
func life(w *world) (cloud.InstanceSpec, []stage) {
	spec := w.spec()
	first := spec
	var stages []stage
	add := func(name string, state cloud.InstanceState, wanted cloud.InstanceSpec) {
		stages = append(stages, stage{name, func(m *Manager) error { return m.Apply(w.t.Context(), wanted) },
			func(ctx context.Context, m *Manager) error {
				_, err := watch(ctx, m, in(wanted.ID, state, wanted.Intent.Generation))
				return err
			}})
	}
	add("create", cloud.InstanceRunning, spec)
	spec = with(spec, off)
	add("stop", cloud.InstanceStopped, spec)
	spec = with(spec, on)
	add("start", cloud.InstanceRunning, spec)
	spec = with(spec, soft)
	add("reboot", cloud.InstanceRunning, spec)
	spec = with(spec, hard)
	add("hard reboot", cloud.InstanceRunning, spec)
	spec = with(spec, func(*cloud.Intent) {})
	spec.Snapshots = []string{"i1"}
	add("snapshot", cloud.InstanceRunning, spec)
	spec = with(spec, func(*cloud.Intent) {})
	spec.Snapshots = nil
	add("snapshot taken", cloud.InstanceRunning, spec)
	spec = with(spec, func(in *cloud.Intent) { in.Paused = true })
	add("pause", cloud.InstancePaused, spec)
	spec = with(spec, func(in *cloud.Intent) { in.Paused = false })
	add("resume", cloud.InstanceRunning, spec)
	spec = with(spec, func(*cloud.Intent) {})
	spec.Volumes = []cloud.InstanceVolume{w.volume("v1"), w.volume("v2")}
	spec.Ports = append(slices.Clone(spec.Ports), cloud.InstancePort{ID: "p3", NetworkID: "n2", MAC: "fa:16:3e:00:00:03"})
	add("attach", cloud.InstanceRunning, spec)
	spec = with(spec, func(*cloud.Intent) {})
	spec.Volumes, spec.Ports = spec.Volumes[1:], spec.Ports[:2]
	add("detach", cloud.InstanceRunning, spec)
	spec = with(spec, func(*cloud.Intent) {})
	swap := w.volume("v4")
	swap.Swaps, swap.SwapsDisk = spec.Volumes[0].VolumeID, spec.Volumes[0].Disk
	spec.Volumes = []cloud.InstanceVolume{swap}
	add("swap", cloud.InstanceRunning, spec)
	spec = with(spec, func(*cloud.Intent) {})
	swap.Swaps, swap.SwapsDisk = "", ""
	spec.Volumes = []cloud.InstanceVolume{swap}
	add("swapped", cloud.InstanceRunning, spec)
	spec = with(spec, func(in *cloud.Intent) { in.Suspended = true })
	add("suspend", cloud.InstanceSuspended, spec)
	spec = with(spec, func(in *cloud.Intent) { in.Suspended = false })
	add("go on", cloud.InstanceRunning, spec)
	spec = with(spec, func(in *cloud.Intent) { in.Suspended = true })
	add("suspend again", cloud.InstanceSuspended, spec)
	spec = with(spec, hard)
	spec.Intent.Suspended = false
	add("reboot in place of going on", cloud.InstanceRunning, spec)
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRebuild, false) })
	add("rebuild", cloud.InstanceRunning, spec)
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskResize, true) })
	spec.RootGB++
	add("resize", cloud.InstanceRunning, spec)
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Stay() })
	add("confirm", cloud.InstanceRunning, spec)
	own := spec.Image
	spec = with(spec, off)
	spec.Intent.Disk, spec.Image = spec.Intent.Disk.Next(cloud.DiskReplace, true), w.images.add("changed")
	add("stop and replace", cloud.InstanceStopped, spec)
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Stay() })
	spec.Image = own
	add("give the old one up", cloud.InstanceStopped, spec)
	spec = with(spec, off)
	spec.Intent.Disk = spec.Intent.Disk.Next(cloud.DiskRescue, true)
	add("rescue of a stopped one", cloud.InstanceStopped, spec)
	spec = with(spec, on)
	spec.Intent.Disk = spec.Intent.Disk.Back(cloud.DiskUnrescue)
	add("unrescue and start", cloud.InstanceRunning, spec)
	stages = append(stages, stage{"remove", func(m *Manager) error { return m.Remove(w.t.Context(), first.ID) },
		func(ctx context.Context, m *Manager) error { return vanish(ctx, m, first.ID) }})
	return first, stages
}

// points are the names of the hook's calls in a whole life, in order.
func points(t *testing.T) (out []string) {
	w := newWorld(t)
	m := w.agent(func(c *Config) { c.Hook = func(p string) { out = append(out, p) } })
	_, stages := life(w)
	for _, s := range stages {
		must(t, s.wish(m))
		must(t, s.await(t.Context(), m))
	}
	must(t, m.Close())
	return out
}

// TestKilledAnywhere kills the agent at every point of an instance's life: a new
// one on the same host finishes or undoes what was half done.
func TestKilledAnywhere(t *testing.T) {
	all := points(t)
	if len(all) < 50 {
		t.Fatalf("only %d points: %v", len(all), all)
	}
	missed := 0
	for i, point := range all {
		t.Run(fmt.Sprintf("%02d-%s", i, point), func(t *testing.T) {
			if !killedAt(t, i) {
				missed++
			}
		})
	}
	// A life is a few points shorter where a wish overtakes the tidying after the one before.
	if missed > 8 {
		t.Errorf("the agent never came to %d of %d points", missed, len(all))
	}
}

// killedAt lives a life with a kill at a point, and tells whether the agent came to it.
func killedAt(t *testing.T, at int) bool {
	w := newWorld(t)
	// Killed: whoever comes to the point goes no further, and nobody cleans up.
	dead, end := make(chan bool, 1), make(chan struct{})
	var calls atomic.Int32
	m := w.agent(func(c *Config) {
		c.Hook = func(string) {
			if calls.Add(1) == int32(at)+1 {
				stack := make([]byte, 64<<10)
				stack = stack[:runtime.Stack(stack, false)]
				dead <- bytes.Contains(stack, []byte(".undisturbed."))
				<-end
				runtime.Goexit()
			}
		}
	})
	t.Cleanup(func() { close(end) })
	spec, stages := life(w)
	killed := false
	for _, s := range stages {
		if !killed {
			if killed = !undisturbed(t, s, m, dead); !killed {
				continue
			}
			m = w.agent()
		}
		must(t, s.wish(m)) // the head repeats its wish
		must(t, s.await(t.Context(), m))
		if s.name == "create" || s.name == "reboot" {
			if n := w.host.Running(); n != 1 {
				t.Fatalf("%d guests after %s", n, s.name)
			}
		}
	}
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left of %s: %v", spec.ID, left)
	}
	return killed
}

// undisturbed does a stage and tells whether the agent lived through it. dead tells
// of its end, and whether that was while it heard the wish.
func undisturbed(t *testing.T, s stage, m *Manager, dead chan bool) bool {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	heard, done := make(chan struct{}), make(chan error, 1)
	go func() {
		err := s.wish(m)
		close(heard)
		if err == nil {
			err = s.await(ctx, m)
		}
		done <- err
	}()
	select {
	case err := <-done:
		must(t, err)
		return true
	case whileHearing := <-dead:
		if !whileHearing { // all of a process ends at once: nothing of it writes beside the next one
			<-heard
		}
		return false
	}
}

// TestKilledWhileFailing kills the agent in the middle of an undo.
func TestKilledWhileFailing(t *testing.T) {
	for _, point := range []string{"instance.guest.before", "instance.guest.undo.before", "instance.ports.undo.after", "instance.disk.undo.before", "instance.disk.undo.after"} {
		t.Run(point, func(t *testing.T) {
			w := newWorld(t)
			dead, end := make(chan struct{}), make(chan struct{})
			m := w.agent(func(c *Config) {
				c.Hook = func(p string) {
					if p == point {
						close(dead)
						<-end
						runtime.Goexit()
					}
				}
			})
			t.Cleanup(func() { close(end) })
			refuse := cloud.E("hypervisor.Start", cloud.Invalid, "no such machine")
			w.host.FailNextStart(refuse)
			spec := w.spec()
			must(t, m.Apply(t.Context(), spec))
			<-dead
			m = w.agent()
			awaitState(t, m, spec.ID, cloud.InstanceFailed, 1)
			if left := w.leftovers(); !slices.Equal(left, []string{"folder " + spec.ID}) {
				t.Errorf("left: %v", left)
			}
		})
	}
}
