// Package instance keeps the instances of a node the way their specs want them.
//
// Each instance has a folder with what is wanted (spec.json) and what is there
// (state.jsonl), and one worker that compares the two and does the next thing:
// a step of a start, a shutdown, a removal. A start is an ordered list of named
// steps, each with its undo; what is done is written down before and after
// each. So whatever the agent was doing when it was killed, a new one finishes
// or undoes it. Guests outlive the agent: they are found again by their handles
// and never touched in passing.
package instance

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sort"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/storage"
	"hearth/internal/vault"
)

// Ports plugs guests into the node's networks. network.Driver is one.
type Ports interface {
	Plug(ctx context.Context, networkID, portID string) (*os.File, error)
	Unplug(ctx context.Context, networkID, portID string) error
}

// Images is where the bytes of images come from.
type Images interface {
	// Open gives the bytes of a digest.
	Open(ctx context.Context, digest string) (io.ReadCloser, error)
}

// localImages are Images that are files of this host.
type localImages interface {
	Path(digest string) (string, error)
}

// Config is what a Manager is made of. Dir, the drivers, Ports, Images and
// ConfigDrive are needed; the rest has defaults.
type Config struct {
	Dir        string // absolute; a folder for each instance is made in it
	Storage    storage.Driver
	Hypervisor hypervisor.Driver
	Ports      Ports
	Images     Images
	// ConfigDrive gives the files of an instance's config drive.
	ConfigDrive func(cloud.InstanceSpec) (map[string][]byte, error)
	HostKeys    HostKeys // nil: the ssh host keys of images and volumes stay

	Clock  cloud.Clock
	After  func(d time.Duration) (c <-chan time.Time, stop func() bool) // a timer; nil: the machine's
	BootID string                                                       // of the host's kernel
	Log    *slog.Logger
	// Hook is called at named points, such as "instance.disk.before", for tests
	// that kill the agent there.
	Hook func(point string)

	ShutdownGrace time.Duration       // for a guest to heed the power button; 0: a minute
	Fetches       int                 // images brought at a time; 0: 4
	Heavy         int                 // disks made and guests started at a time; 0: twice the processors
	Attempts      int                 // tries of a step whose failure may pass; 0: 6
	NoSync        bool                // leave out fsync, for tests
	Identity      hypervisor.Identity // by which guests have volumes of other nodes; the zero one: they cannot
	Secrets       Secrets             // seals the keys of volumes in what is written down; nil: under a key in memory
	Used          func(digest string) // told of each image that a start takes from the cache; may be nil
}

// Manager keeps the instances of a node. It is safe for concurrent use.
type Manager struct {
	Config
	fetches, heavy slots
	hub            hub

	ctx   context.Context
	stop  context.CancelFunc
	group sync.WaitGroup

	mu      sync.Mutex
	workers map[string]*worker
	closed  bool
}

// New reads what is written down of the instances and sets their workers
// going: running guests are found again, half starts go on.
func New(cfg Config) (*Manager, error) {
	m := &Manager{Config: cfg.withDefaults(), workers: map[string]*worker{}}
	m.fetches, m.heavy = make(slots, m.Fetches), make(slots, m.Heavy)
	m.ctx, m.stop = context.WithCancel(context.Background())
	if err := os.MkdirAll(m.Dir, 0o711); err != nil {
		return nil, hostError("instance.New", err)
	}
	found, err := m.load()
	if err != nil {
		return nil, err
	}
	for _, w := range found {
		m.workers[w.id] = w
	}
	for _, w := range found {
		m.launch(w)
	}
	return m, nil
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = cloud.SystemClock{}
	}
	if c.After == nil {
		c.After = func(d time.Duration) (<-chan time.Time, func() bool) { t := time.NewTimer(d); return t.C, t.Stop }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Hook == nil {
		c.Hook = func(string) {}
	}
	if c.Secrets == nil {
		c.Secrets = vault.New()
	}
	c.ShutdownGrace = orDefault(c.ShutdownGrace, time.Minute)
	c.Fetches = orDefault(c.Fetches, 4)
	c.Heavy = orDefault(c.Heavy, 2*runtime.NumCPU())
	c.Attempts = orDefault(c.Attempts, 6)
	return c
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

func (m *Manager) launch(w *worker) {
	m.group.Add(1)
	go func() {
		defer m.group.Done()
		w.run(m.ctx)
	}()
}

// Close stops the workers where they are; guests run on, and half starts are
// for the next Manager.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.closed = true
	m.mu.Unlock()
	m.stop()
	m.group.Wait()
	return nil
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Apply writes down what is wanted of an instance and lets its worker see to
// it. Conflict for a spec that is older than the one written down.
func (m *Manager) Apply(_ context.Context, spec cloud.InstanceSpec) error {
	const op = "instance.Apply"
	if !idForm.MatchString(spec.ID) {
		return cloud.E(op, cloud.Invalid, "%q cannot be the id of an instance", spec.ID)
	}
	if spec.Intent.Deleted {
		return m.remove(spec.ID, spec.Request)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return cloud.E(op, cloud.Unavailable, "the agent is going down; try again")
	}
	if w := m.workers[spec.ID]; w != nil {
		return w.want(spec)
	}
	w := m.newWorker(spec, record{State: cloud.InstancePreparing, Halted: none, At: m.Clock.Now()})
	if err := m.create(w); err != nil {
		return hostError(op, err)
	}
	m.workers[spec.ID] = w
	m.launch(w)
	return nil
}

// Remove writes down that an instance is to go, and gives up what is being
// done for it. No error when there is none.
func (m *Manager) Remove(_ context.Context, id string) error { return m.remove(id, "") }

// remove is Remove, for a request that is to be in the log; "" for none.
func (m *Manager) remove(id, request string) error {
	m.mu.Lock()
	w := m.workers[id]
	m.mu.Unlock()
	if w == nil {
		return nil
	}
	if err := w.condemn(request); err != nil {
		return err
	}
	m.hub.tell(w.status)
	return nil
}

// Statuses reports every instance, sorted by id.
func (m *Manager) Statuses() []cloud.InstanceStatus {
	out := make([]cloud.InstanceStatus, 0)
	for _, w := range m.all() {
		out = append(out, w.status())
	}
	return out
}

// Specs are the specs written down, sorted by id; of those to be removed too.
func (m *Manager) Specs() []cloud.InstanceSpec {
	var out []cloud.InstanceSpec
	for _, w := range m.all() {
		out = append(out, w.wanted())
	}
	return out
}

// IfUnwanted calls do unless an instance is made of the image of a digest, and
// tells whether it did. No spec can come to want the image meanwhile, so do must
// be short.
func (m *Manager) IfUnwanted(digest string, do func() error) (did bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.workers {
		spec := w.wanted()
		for _, ref := range []*cloud.ImageRef{&spec.Image, spec.Kernel, spec.Ramdisk} {
			if ref != nil && ref.Digest == digest {
				return false, nil
			}
		}
	}
	return true, do()
}

// Spec is the spec of an instance, for its metadata.
func (m *Manager) Spec(id string) (cloud.InstanceSpec, bool) {
	m.mu.Lock()
	w := m.workers[id]
	m.mu.Unlock()
	if w == nil {
		return cloud.InstanceSpec{}, false
	}
	return w.located(), true
}

func (m *Manager) all() []*worker {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*worker, 0, len(m.workers))
	for _, w := range m.workers {
		out = append(out, w)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].id < out[j].id })
	return out
}

// Watch calls fn for the present status of every instance and for every change
// until ctx ends. An instance that is gone is reported once as InstanceAbsent.
func (m *Manager) Watch(ctx context.Context, fn func(cloud.InstanceStatus)) error {
	leave := m.hub.join(fn, m.Statuses)
	defer leave()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-m.ctx.Done():
		return cloud.E("instance.Watch", cloud.Unavailable, "the agent is going down")
	}
}

// forget drops an instance whose folder is gone.
func (m *Manager) forget(w *worker) {
	m.mu.Lock()
	delete(m.workers, w.id)
	m.mu.Unlock()
	m.hub.tell(func() cloud.InstanceStatus {
		return cloud.InstanceStatus{ID: w.id, Observation: cloud.Observation{State: cloud.InstanceAbsent, At: m.Clock.Now()}}
	})
}

// GuestDir is where the hypervisor keeps an instance's guest.
func (m *Manager) GuestDir(id string) string { return filepath.Join(m.Dir, id, "guest") }

// Console gives the last max bytes (0: all) of an instance's serial log; none
// before its first start. NotFound for an instance that is not here.
func (m *Manager) Console(id string, max int) ([]byte, error) {
	const op = "instance.Console"
	if _, ok := m.Spec(id); !ok {
		return nil, cloud.E(op, cloud.NotFound, "instance %s is not on this node", id)
	}
	data, err := tail(hypervisor.Handle{Dir: m.GuestDir(id)}.ConsoleLog(), max)
	return data, hostError(op, err)
}
