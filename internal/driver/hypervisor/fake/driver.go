package fake

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

const kindName = "fake"

// Driver is a hypervisor.Driver on a Host.
type Driver struct{ host *Host }

// New makes a driver on a host.
func New(h *Host) *Driver { return &Driver{host: h} }

var _ hypervisor.Driver = (*Driver)(nil)

// Probe implements hypervisor.Driver.
func (d *Driver) Probe(ctx context.Context) (hypervisor.Capabilities, error) {
	return hypervisor.Capabilities{Accel: "tcg", Reason: "the guests of the fake hypervisor compute nothing", Version: "1.0.0",
		Binary: "fake", Machines: []string{"pc"}, Machine: "pc", Videos: []string{"vga", "virtio", "cirrus"}}, ctx.Err()
}

// Start implements hypervisor.Driver.
func (d *Driver) Start(ctx context.Context, cfg hypervisor.Config) (hypervisor.Guest, error) {
	const op = "hypervisor.Start"
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, cloud.E(op, cloud.Unavailable, "guest %s: %w", cfg.ID, context.Cause(ctx))
	}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, cloud.E(op, cloud.Invalid, "the guest's directory cannot be made: %w", err)
	}
	dir, err := filepath.EvalSymlinks(cfg.Dir)
	if err != nil {
		return nil, cloud.E(op, cloud.Invalid, "the guest's directory: %w", err)
	}
	begun, err := saved(cfg, dir)
	if err != nil {
		return nil, err
	}
	h := d.host
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.guests {
		if m.handle.Dir == dir {
			return nil, cloud.E(op, cloud.Conflict, "a guest runs in %s already, or is being started", dir)
		}
	}
	if len(h.fail) > 0 {
		err := h.fail[0]
		h.fail = h.fail[1:]
		return nil, err
	}
	h.last++
	handle := hypervisor.Handle{Driver: kindName, ID: cfg.ID, Dir: dir, PID: h.last, Started: uint64(h.last) * 100, BootID: h.bootID}
	m := &machine{handle: handle, cfg: cfg, state: hypervisor.StateRunning, begun: h.clock.Now(), starter: d, watched: map[*guest]bool{}, leaving: map[string]bool{}, sizes: map[string]int64{}, secrets: map[string]string{}}
	h.guests[handle.PID] = m
	add(filepath.Join(dir, hypervisor.FileLog), cfg.StartLine(h.clock.Now(), "a guest in memory"))
	h.print(m, cfg.Notice)
	if cfg.Saved {
		m.state, m.begun = hypervisor.StatePaused, h.clock.Now().Add(-begun)
	} else {
		h.boot(m)
	}
	return d.attach(m), nil
}

// attach connects to a guest. The host is locked.
func (d *Driver) attach(m *machine) *guest {
	g := &guest{driver: d, m: m, events: make(chan hypervisor.Event, eventBacklog)}
	m.watched[g] = true
	return g
}

// Recover implements hypervisor.Driver.
func (d *Driver) Recover(ctx context.Context, handle hypervisor.Handle) (hypervisor.Guest, error) {
	const op = "hypervisor.Recover"
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	m, err := d.find(op, handle)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, cloud.E(op, cloud.Unavailable, "guest %s: %w", handle.ID, context.Cause(ctx))
	}
	return d.attach(m), nil
}

// find looks a handle up. The host is locked.
func (d *Driver) find(op string, handle hypervisor.Handle) (*machine, error) {
	switch m := d.host.guests[handle.PID]; {
	case handle.Driver != kindName:
		return nil, cloud.E(op, cloud.Invalid, "the handle of guest %q is of driver %q, not of the fake", handle.ID, handle.Driver)
	case handle.BootID != d.host.bootID:
		return nil, cloud.E(op, cloud.NotFound, "guest %s went down with its host, which has rebooted since", handle.ID)
	case m == nil || m.handle.Started != handle.Started:
		return nil, cloud.E(op, cloud.NotFound, "guest %s: process %d is gone: it was ended, killed or crashed", handle.ID, handle.PID)
	default:
		return m, nil
	}
}

// List implements hypervisor.Driver.
func (d *Driver) List(ctx context.Context, root string) ([]hypervisor.Handle, error) {
	if resolved, err := filepath.EvalSymlinks(root); err == nil {
		root = resolved
	}
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	var found []hypervisor.Handle
	for _, m := range d.host.guests {
		if m.handle.Dir == root || strings.HasPrefix(m.handle.Dir, strings.TrimSuffix(root, "/")+"/") {
			found = append(found, m.handle)
		}
	}
	return found, ctx.Err()
}

// Destroy implements hypervisor.Driver.
func (d *Driver) Destroy(_ context.Context, handle hypervisor.Handle) error {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	m, err := d.find("hypervisor.Destroy", handle)
	if cloud.Is(err, cloud.NotFound) {
		return nil
	} else if err != nil {
		return err
	}
	d.host.remove(m, -9)
	return nil
}
