package instance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hearth/internal/cloud"
	hvfake "hearth/internal/driver/hypervisor/fake"
	stfake "hearth/internal/driver/storage/fake"
	"hearth/internal/driver/storage/storagetest"
)

// world is a host that agents come and go on.
type world struct {
	t       *testing.T
	dir     string
	storage *stfake.Driver
	host    *hvfake.Host
	ports   *fakePorts
	images  fakeImages
	clock   *cloud.FakeClock
	timers  *timers
}

func newWorld(t *testing.T) *world {
	clock := cloud.NewFakeClock()
	return &world{t: t, dir: t.TempDir(), storage: stfake.New(), host: hvfake.NewHost(clock), ports: &fakePorts{plugged: map[string]bool{}},
		images: fakeImages{}, clock: clock, timers: &timers{clock: clock}}
}

// agent starts a Manager on the world; with a hook for tests that kill it.
func (w *world) agent(change ...func(*Config)) *Manager {
	w.t.Helper()
	cfg := Config{Dir: filepath.Join(w.dir, "instances"), Storage: w.storage, Hypervisor: hvfake.New(w.host), Ports: w.ports, Images: w.images,
		ConfigDrive: func(cloud.InstanceSpec) (map[string][]byte, error) { return map[string][]byte{"a": []byte("b")}, nil },
		Clock:       w.clock, After: w.timers.after, BootID: w.host.BootID(), NoSync: true, Attempts: 3}
	for _, c := range change {
		c(&cfg)
	}
	m, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = m.Close() })
	return m
}

// spec is an instance that needs every step.
func (w *world) spec() cloud.InstanceSpec {
	root, kernel := w.images.add("root"), w.images.add("kernel")
	kernel.Format = "aki"
	return cloud.InstanceSpec{ID: cloud.NewID(), Name: "vm", VCPUs: 1, MemoryMB: 64, RootGB: 1, EphemeralGB: 1, SwapMB: 64, ConfigDrive: true,
		Image: root, Kernel: &kernel, Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOn},
		Ports: []cloud.InstancePort{{ID: "p1", NetworkID: "n1", MAC: "fa:16:3e:00:00:01", MTU: 1450}, {ID: "p2", NetworkID: "n1", MAC: "fa:16:3e:00:00:02"}}}
}

// leftovers is all there is of any instance.
func (w *world) leftovers() (left []string) {
	disks, _ := w.storage.Disks(context.Background())
	for _, d := range disks {
		if strings.HasPrefix(d.ID, cloud.VolumeDisk("")) {
			continue // its owner's, whatever becomes of the instance
		}
		left = append(left, "disk "+d.ID)
	}
	for range w.host.Running() {
		left = append(left, "a guest")
	}
	left = append(left, w.ports.list()...)
	entries, _ := os.ReadDir(filepath.Join(w.dir, "instances"))
	for _, e := range entries {
		left = append(left, "folder "+e.Name())
	}
	return left
}

// watch waits until a status of an instance fits, or ctx ends.
func watch(ctx context.Context, m *Manager, fits func(cloud.InstanceStatus) bool) (cloud.InstanceStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	var found cloud.InstanceStatus
	err := m.Watch(ctx, func(st cloud.InstanceStatus) {
		if ctx.Err() == nil && fits(st) {
			found = st
			cancel()
		}
	})
	if found.ID != "" {
		return found, nil
	}
	return found, fmt.Errorf("%w; the last: %+v", err, m.Statuses())
}

// await is watch for one instance, in a test.
func await(t *testing.T, m *Manager, id, what string, fits func(cloud.InstanceStatus) bool) cloud.InstanceStatus {
	t.Helper()
	st, err := watch(t.Context(), m, func(st cloud.InstanceStatus) bool { return st.ID == id && fits(st) })
	if err != nil {
		t.Fatalf("no status came that is %s: %v", what, err)
	}
	return st
}

func in(id string, state cloud.InstanceState, generation int64) func(cloud.InstanceStatus) bool {
	return func(st cloud.InstanceStatus) bool {
		return st.ID == id && st.State == state && st.Generation == generation
	}
}

func awaitState(t *testing.T, m *Manager, id string, state cloud.InstanceState, generation int64) cloud.InstanceStatus {
	t.Helper()
	return await(t, m, id, fmt.Sprintf("%s at generation %d", state, generation), in(id, state, generation))
}

// vanish waits until an instance is no longer there.
func vanish(ctx context.Context, m *Manager, id string) error {
	present := func() bool { _, ok := m.Spec(id); return ok }
	if !present() {
		return nil
	}
	_, err := watch(ctx, m, func(st cloud.InstanceStatus) bool {
		return st.ID == id && st.State == cloud.InstanceAbsent || !present()
	})
	if !present() {
		return nil
	}
	return err
}

func gone(t *testing.T, m *Manager, id string) {
	t.Helper()
	must(t, vanish(t.Context(), m, id))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// timers fire when the fake clock is turned.
type timers struct {
	clock *cloud.FakeClock
	mu    sync.Mutex
	set   []timer
	added chan struct{}
}

type timer struct {
	at time.Time
	c  chan time.Time
}

func (s *timers) after(d time.Duration) (<-chan time.Time, func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan time.Time, 1)
	s.set = append(s.set, timer{s.clock.Now().Add(d), c})
	if s.added != nil {
		close(s.added)
		s.added = nil
	}
	return c, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, t := range s.set {
			if t.c == c {
				s.set = append(s.set[:i], s.set[i+1:]...)
				return true
			}
		}
		return false
	}
}

// await returns once there is a timer.
func (s *timers) await(t *testing.T) {
	t.Helper()
	s.lockSet(t)
	s.mu.Unlock()
}

// lockSet waits for a timer, and leaves the lock to the caller.
func (s *timers) lockSet(t *testing.T) {
	t.Helper()
	for {
		s.mu.Lock()
		if len(s.set) > 0 {
			return
		}
		added := make(chan struct{})
		s.added = added
		s.mu.Unlock()
		select {
		case <-added:
		case <-time.After(2 * time.Minute):
			t.Fatal("nobody set a timer")
		}
	}
}

// next turns the clock to the time of the earliest timer, once there is one.
func (s *timers) next(t *testing.T) {
	t.Helper()
	s.lockSet(t)
	defer s.mu.Unlock()
	first := s.set[0]
	for _, o := range s.set {
		if o.at.Before(first.at) {
			first = o
		}
	}
	s.set = slices.DeleteFunc(s.set, func(o timer) bool { return o.c == first.c })
	s.clock.Advance(first.at.Sub(s.clock.Now()))
	first.c <- s.clock.Now()
}

// fakePorts are taps that are null devices.
type fakePorts struct {
	mu      sync.Mutex
	plugged map[string]bool
	fail    error
}

func (p *fakePorts) Plug(_ context.Context, network, port string) (*os.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return nil, p.fail
	}
	p.plugged[network+"/"+port] = true
	return os.Open(os.DevNull)
}

func (p *fakePorts) Unplug(_ context.Context, network, port string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.plugged, network+"/"+port)
	return nil
}

func (p *fakePorts) list() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.plugged {
		out = append(out, "port "+id)
	}
	return out
}

func (p *fakePorts) failWith(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// fakeImages are bytes by digest.
type fakeImages map[string][]byte

func (f fakeImages) add(seed string) cloud.ImageRef {
	data := storagetest.Content(seed, 4096)
	ref := storagetest.Ref(data)
	f[ref.Digest] = data
	return ref
}

func (f fakeImages) Open(_ context.Context, digest string) (io.ReadCloser, error) {
	if data, ok := f[digest]; ok {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return nil, cloud.E("images.Open", cloud.NotFound, "the image %s is gone", digest)
}
