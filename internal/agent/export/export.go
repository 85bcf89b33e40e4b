// Package export gives disks of volumes that a node keeps to guests on other nodes.
//
// Each disk that is given has a process of its own (hypervisor.Exporter), which
// outlives the agent, and a file that says who may open it and where it is given. A
// process that is gone is started again at the same address, whoever ended it: those
// who have the disk open connect again, and what they read and write meanwhile waits.
package export

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/storage"
)

// Config is what a Manager is made of.
type Config struct {
	Dir      string // absolute; it is made
	Storage  storage.Driver
	Exporter hypervisor.Exporter
	Identity hypervisor.Identity // of this node
	Address  netip.Addr          // of this host, where other nodes reach it
	After    func(d time.Duration) <-chan time.Time
	Log      *slog.Logger
}

// Manager keeps the exports of a node. It is safe for concurrent use.
type Manager struct {
	Config
	ctx   context.Context
	stop  context.CancelFunc
	group sync.WaitGroup

	mu  sync.Mutex
	all map[string]*given // by their ids
}

// record is what is written down of an export.
type record struct {
	Spec    cloud.ExportSpec
	Address netip.AddrPort // where it is given; its port is 0 until it was
	Handle  *hypervisor.Handle
	Asked   int64
	Frozen  bool // it was made to stand still, and is to go on
}

// given is an export.
type given struct {
	id string

	mu     sync.Mutex // one at a time does something with it
	rec    record
	fault  string        // why it is not there
	gone   bool          // nobody wants it any more
	change chan struct{} // there is another process, or none

	shown sync.Mutex // guards:
	told  cloud.ExportStatus
}

// recordSuffix is what the files with records end in.
const recordSuffix = ".json"

// idOf is the id of a disk's export: a volume is in one pool.
func idOf(disk string) string {
	name, _ := cloud.DiskPool(disk)
	return name
}

// New reads what is written down, ends what nobody wrote down, and starts again what
// has ended.
func New(ctx context.Context, cfg Config) (*Manager, error) {
	if cfg.After == nil {
		cfg.After = time.After
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m := &Manager{Config: cfg, all: map[string]*given{}}
	m.ctx, m.stop = context.WithCancel(context.Background())
	if err := os.MkdirAll(m.Dir, 0o711); err != nil {
		return nil, hostError(err)
	}
	if err := m.load(); err != nil {
		return nil, err
	}
	if err := m.sweep(ctx); err != nil {
		return nil, err
	}
	for _, g := range m.all {
		g.mu.Lock()
		err := m.recover(ctx, g)
		g.mu.Unlock()
		if err != nil {
			m.Log.Warn("a volume cannot be given to other nodes yet; it is tried again", "disk", g.rec.Spec.Disk, "error", err)
		}
		m.group.Go(func() { m.keep(g) })
	}
	return m, nil
}

// load reads the records.
func (m *Manager) load() error {
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return hostError(err)
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), recordSuffix)
		if !ok {
			continue
		}
		data, err := os.ReadFile(filepath.Join(m.Dir, e.Name()))
		if err != nil {
			return hostError(err)
		}
		g := newGiven(id)
		if err := json.Unmarshal(data, &g.rec); err != nil || idOf(g.rec.Spec.Disk) != id {
			return cloud.E("export.New", cloud.Internal, "%s cannot be read; mend it or move it away", filepath.Join(m.Dir, e.Name()))
		}
		m.all[id] = g
	}
	return nil
}

func newGiven(id string) *given { return &given{id: id, change: make(chan struct{}, 1)} }

// sweep ends the processes that no record tells of: those of an agent that was killed
// before it could write, and of exports that were taken back.
func (m *Manager) sweep(ctx context.Context) error {
	handles, err := m.Exporter.List(ctx, m.Dir)
	for _, h := range handles {
		if g := m.all[h.ID]; g != nil && g.rec.Handle != nil && *g.rec.Handle == h {
			continue
		}
		err = errors.Join(err, m.Exporter.Destroy(ctx, h))
	}
	return err
}

// recover has an export of before go on, or starts it anew.
func (m *Manager) recover(ctx context.Context, g *given) error {
	if h := g.rec.Handle; h != nil {
		if g.rec.Frozen {
			g.rec.Frozen = false
			if err := m.Exporter.Freeze(ctx, *h, false); err != nil && !cloud.Is(err, cloud.NotFound) {
				return err
			}
		}
		found, err := m.Exporter.List(ctx, m.Dir)
		if err != nil {
			return err
		}
		if slices.Contains(found, *h) {
			m.Log.Info("a volume is still given to other nodes", "disk", g.rec.Spec.Disk, "at", g.rec.Address, "pid", h.PID)
			g.show()
			return m.save(g)
		}
	}
	return m.start(ctx, g)
}

// start starts the process of an export that has none.
func (m *Manager) start(ctx context.Context, g *given) error {
	err := m.launch(ctx, g)
	g.fault = ""
	if err != nil {
		g.fault = cloud.Message(err)
	}
	g.show()
	g.changed()
	return err
}

func (m *Manager) launch(ctx context.Context, g *given) error {
	spec := g.rec.Spec
	d, err := m.Storage.Disk(ctx, spec.Disk)
	if err != nil {
		return err
	}
	disk := hypervisor.Disk{ID: "export", Path: d.Path, Format: d.Format, ReadOnly: spec.ReadOnly}
	if d.Backing != "" {
		disk.Backing = &hypervisor.Backing{Path: d.Backing, Format: hypervisor.FormatRaw}
	}
	at := g.rec.Address
	if !at.IsValid() {
		at = netip.AddrPortFrom(m.Address, 0)
	}
	e := hypervisor.Export{ID: g.id, Dir: filepath.Join(m.Dir, g.id), Disk: disk, Name: spec.Disk, Address: at, Peers: spec.Nodes, Identity: m.Identity}
	out, err := m.Exporter.Export(ctx, e)
	if cloud.Is(err, cloud.Conflict) { // one that an agent was killed over
		if err = m.destroy(ctx, g); err == nil {
			out, err = m.Exporter.Export(ctx, e)
		}
	}
	if err != nil {
		return err
	}
	g.rec.Handle, g.rec.Address = &out.Handle, out.Address
	m.Log.Info("a volume is given to other nodes", "disk", spec.Disk, "nodes", spec.Nodes, "at", out.Address, "pid", out.Handle.PID)
	return m.save(g)
}

// destroy ends the process of an export, known or not.
func (m *Manager) destroy(ctx context.Context, g *given) error {
	handles, err := m.Exporter.List(ctx, filepath.Join(m.Dir, g.id))
	for _, h := range handles {
		err = errors.Join(err, m.Exporter.Destroy(ctx, h))
	}
	if err == nil {
		g.rec.Handle = nil
	}
	return err
}

// save writes a record down, whole at once.
func (m *Manager) save(g *given) error {
	data, err := json.Marshal(g.rec)
	if err != nil {
		return hostError(err)
	}
	path := filepath.Join(m.Dir, g.id+recordSuffix)
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return hostError(err)
	}
	return hostError(os.Rename(path+".tmp", path))
}

func hostError(err error) error {
	var known *cloud.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return cloud.E("export", cloud.NotFound, "%w", err)
	}
	return cloud.E("export", cloud.Internal, "%w", err)
}

// show has others told how an export is.
func (g *given) show() {
	g.shown.Lock()
	defer g.shown.Unlock()
	g.told = cloud.ExportStatus{ExportSpec: g.rec.Spec, Asked: g.rec.Asked, Error: g.fault,
		Source: cloud.VolumeSource{Address: g.rec.Address, Export: g.rec.Spec.Disk}}
}

func (g *given) status() cloud.ExportStatus {
	g.shown.Lock()
	defer g.shown.Unlock()
	return g.told
}

// Close lets go of the exports, which go on.
func (m *Manager) Close() error {
	m.stop()
	m.group.Wait()
	return nil
}
