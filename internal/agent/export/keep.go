package export

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// again is the wait before an export is started for the n+1st time in a row: 0.1 s,
// doubled up to 10 s. Guests wait for it.
func again(n int) time.Duration { return min(100*time.Millisecond<<min(n, 10), 10*time.Second) }

// keep starts an export again whenever its process has ended, until nobody wants it.
func (m *Manager) keep(g *given) {
	for failures := 0; m.ctx.Err() == nil; {
		h, gone := m.present(g)
		switch {
		case gone:
			return
		case !g.wanted(): // who has it made is about to say what for
			select {
			case <-m.ctx.Done():
			case <-g.change:
			}
		case h == nil:
			select {
			case <-m.ctx.Done():
			case <-g.change: // somebody else has started it, or taken it back
			case <-m.After(again(failures)):
				failures++
				m.restart(g, nil)
			}
		default:
			switch err := m.await(g, *h); {
			case err == nil:
				failures = 0
				m.restart(g, h)
			case !errors.Is(err, errAnother) && m.ctx.Err() == nil:
				m.Log.Warn("the process that gives a volume to other nodes cannot be watched", "pid", h.PID, "error", err)
				select {
				case <-m.ctx.Done():
				case <-g.change:
				case <-m.After(again(failures)):
					failures++
				}
			}
		}
	}
}

// errAnother says that there is another process by now, or none.
var errAnother = errors.New("it is another now")

func (m *Manager) present(g *given) (h *hypervisor.Handle, gone bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rec.Handle, g.gone
}

// wanted tells whether it was ever asked for.
func (g *given) wanted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rec.Spec.Disk != ""
}

// changed has whoever keeps it look again.
func (g *given) changed() {
	select {
	case g.change <- struct{}{}:
	default:
	}
}

// await waits until a process has ended, or another has taken its place.
func (m *Manager) await(g *given, h hypervisor.Handle) error {
	ctx, cancel := context.WithCancel(m.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- m.Exporter.Await(ctx, h) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-g.change:
			if now, gone := m.present(g); gone || now == nil || *now != h {
				cancel()
				<-ended //nolint:errcheck // what was cancelled has nothing to tell
				return errAnother
			}
		}
	}
}

// restart starts an export whose process was h, and is gone, unless somebody has.
func (m *Manager) restart(g *given, h *hypervisor.Handle) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := g.rec.Handle; g.gone || g.rec.Spec.Disk == "" || m.ctx.Err() != nil || (now == nil) != (h == nil) || now != nil && *now != *h {
		return
	}
	if h != nil {
		m.Log.Warn("the process that gives a volume to other nodes has ended; it is started again", "disk", g.rec.Spec.Disk, "pid", h.PID)
	}
	g.rec.Handle, g.rec.Frozen = nil, false
	if err := m.start(m.ctx, g); err != nil {
		m.Log.Warn("a volume cannot be given to other nodes; it is tried again", "disk", g.rec.Spec.Disk, "error", err)
	}
}

// Apply gives a disk to the nodes of a spec, and returns when they can open it. It can
// be repeated at will. When other nodes may open it than before, those who have it open
// connect again. NotFound without the disk.
func (m *Manager) Apply(ctx context.Context, spec cloud.ExportSpec) (cloud.ExportStatus, error) {
	const op = "export.Apply"
	if !strings.HasPrefix(spec.Disk, cloud.VolumeDisk("")) || filepath.Base(spec.Disk) != spec.Disk {
		return cloud.ExportStatus{}, cloud.E(op, cloud.Invalid, "%q is not the disk of a volume", spec.Disk)
	}
	if _, err := m.Storage.Disk(ctx, spec.Disk); err != nil {
		return cloud.ExportStatus{}, err
	}
	g := m.take(idOf(spec.Disk))
	defer g.mu.Unlock()
	g.rec.Asked++
	if same(g.rec.Spec, spec) && g.rec.Handle != nil && g.fault == "" {
		err := m.save(g)
		g.show()
		return g.status(), err
	}
	if err := m.destroy(ctx, g); err != nil {
		return cloud.ExportStatus{}, err
	}
	g.rec.Spec = spec
	g.changed()
	if err := m.save(g); err != nil { // so that it is found, whatever comes
		return cloud.ExportStatus{}, err
	}
	err := m.start(ctx, g)
	return g.status(), err
}

func same(a, b cloud.ExportSpec) bool {
	return a.Disk == b.Disk && a.ReadOnly == b.ReadOnly && slices.Equal(a.Nodes, b.Nodes)
}

// take gives the export of an id, a new one if there is none, locked.
func (m *Manager) take(id string) *given {
	for {
		m.mu.Lock()
		g := m.all[id]
		if g == nil {
			g = newGiven(id)
			m.all[id] = g
			m.group.Go(func() { m.keep(g) })
		}
		m.mu.Unlock()
		g.mu.Lock()
		if !g.gone {
			return g
		}
		g.mu.Unlock() // it was taken back meanwhile
	}
}

// find gives the export of a disk, locked; nil when there is none.
func (m *Manager) find(disk string) *given {
	m.mu.Lock()
	g := m.all[idOf(disk)]
	m.mu.Unlock()
	if g == nil {
		return nil
	}
	g.mu.Lock()
	if g.gone || g.rec.Spec.Disk != disk {
		g.mu.Unlock()
		return nil
	}
	return g
}

// Withdraw takes an export back that was asked for asked times, or however often when
// that is 0; Conflict when somebody asked for it since. No error when there is none.
func (m *Manager) Withdraw(ctx context.Context, disk string, asked int64) error {
	g := m.find(disk)
	if g == nil {
		return nil
	}
	defer g.mu.Unlock()
	if asked != 0 && g.rec.Asked != asked {
		return cloud.E("export.Withdraw", cloud.Conflict, "the disk %s was asked for again", disk)
	}
	// First the record: should the agent end now, the next finds a process that nobody wrote down.
	if err := os.Remove(filepath.Join(m.Dir, g.id+recordSuffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return hostError(err)
	}
	if err := m.destroy(ctx, g); err != nil {
		return errors.Join(err, m.save(g))
	}
	g.gone = true
	g.changed()
	m.mu.Lock()
	delete(m.all, g.id)
	m.mu.Unlock()
	m.Log.Info("a volume is given to other nodes no more", "disk", disk)
	return hostError(os.RemoveAll(filepath.Join(m.Dir, g.id)))
}

// Renew calls fn while nobody has a disk open that is given to other nodes; these
// connect again after it, and see what it has become.
func (m *Manager) Renew(ctx context.Context, disk string, fn func() error) error {
	g := m.find(disk)
	if g == nil {
		return fn()
	}
	defer g.mu.Unlock()
	if err := m.destroy(ctx, g); err != nil {
		return err
	}
	if err := m.save(g); err != nil {
		return err
	}
	err := fn()
	return errors.Join(err, m.start(ctx, g))
}

// Still calls fn while nothing is written to a disk by other nodes: those who would
// wait. Should the agent die meanwhile, the next one has them go on.
func (m *Manager) Still(ctx context.Context, disk string, fn func() error) error {
	g := m.find(disk)
	if g == nil {
		return fn()
	}
	defer g.mu.Unlock()
	if g.rec.Handle == nil {
		return fn()
	}
	h := *g.rec.Handle
	g.rec.Frozen = true
	if err := m.save(g); err != nil {
		return err
	}
	if err := m.Exporter.Freeze(ctx, h, true); err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	err := fn()
	g.rec.Frozen = false
	if terr := m.Exporter.Freeze(context.WithoutCancel(ctx), h, false); terr != nil && !cloud.Is(terr, cloud.NotFound) {
		return errors.Join(err, terr)
	}
	return errors.Join(err, m.save(g))
}

// Statuses lists the exports, sorted.
func (m *Manager) Statuses() []cloud.ExportStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []cloud.ExportStatus{}
	for _, g := range m.all {
		if st := g.status(); st.Disk != "" {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b cloud.ExportStatus) int { return strings.Compare(a.Disk, b.Disk) })
	return out
}

// Handle finds the process of a disk's export; nil when there is none.
func (m *Manager) Handle(disk string) *hypervisor.Handle {
	g := m.find(disk)
	if g == nil {
		return nil
	}
	defer g.mu.Unlock()
	return g.rec.Handle
}

// Stray lists the processes that no export knows.
func (m *Manager) Stray(ctx context.Context) (out []hypervisor.Handle, err error) {
	found, err := m.Exporter.List(ctx, m.Dir)
	for _, h := range found {
		m.mu.Lock()
		g := m.all[h.ID]
		m.mu.Unlock()
		if g != nil {
			if now, _ := m.present(g); now != nil && *now == h {
				continue
			}
		}
		out = append(out, h)
	}
	return out, err
}
