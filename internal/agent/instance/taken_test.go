package instance

import (
	"strings"
	"testing"

	"hearth/internal/cloud"
)

// TestUntaken: a volume that the guest does not drive is attached at once, the
// attachment is over after a while with a word about it, and the word goes when the
// guest has taken it after all.
func TestUntaken(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	w.host.Blind(spec.ID, true)
	one := w.volume("11111111-2222-4333-8444-555555555555")
	spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes = []cloud.InstanceVolume{one} })
	must(t, m.Apply(t.Context(), spec))
	st := await(t, m, spec.ID, "attached", func(st cloud.InstanceStatus) bool { return len(st.Volumes) == 1 })
	if st.Generation >= spec.Intent.Generation || len(st.Untaken) > 0 {
		t.Errorf("at once: generation %d, %v", st.Generation, st.Untaken)
	}
	st = turning(t, w, m, func(st cloud.InstanceStatus) bool { return st.Generation == spec.Intent.Generation })
	if why := st.Untaken[one.VolumeID]; !strings.Contains(why, "virtio_blk") || len(st.Refused) > 0 {
		t.Errorf("it says %q, refused %v", why, st.Refused)
	}
	w.host.Blind(spec.ID, false)
	turning(t, w, m, func(st cloud.InstanceStatus) bool { return len(st.Untaken) == 0 })
}

// turning turns the clock from timer to timer until the one instance is as wanted.
func turning(t *testing.T, w *world, m *Manager, fits func(cloud.InstanceStatus) bool) cloud.InstanceStatus {
	t.Helper()
	type result struct {
		st  cloud.InstanceStatus
		err error
	}
	done := make(chan result, 1)
	go func() {
		st, err := watch(t.Context(), m, fits)
		done <- result{st, err}
	}()
	for {
		select {
		case r := <-done:
			must(t, r.err)
			return r.st
		case <-w.timers.ready(): // a worker tells what is so before it sets one
			if list := m.Statuses(); len(list) == 1 && fits(list[0]) {
				return list[0]
			}
			w.timers.next(t)
		}
	}
}

// ready is closed when there is a timer.
func (s *timers) ready() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{})
	if len(s.set) > 0 {
		close(c)
	} else {
		s.added = c
	}
	return c
}
