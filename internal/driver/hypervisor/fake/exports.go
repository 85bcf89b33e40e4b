package fake

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

var _ hypervisor.Exporter = (*Driver)(nil)

// firstPort is that of the first export that may have any.
const firstPort = 20000

// Export implements hypervisor.Exporter. Nobody listens.
func (d *Driver) Export(ctx context.Context, e hypervisor.Export) (out hypervisor.Exported, err error) {
	const op = "hypervisor.Export"
	if err := e.Validate(); err != nil {
		return out, err
	}
	if err := ctx.Err(); err != nil {
		return out, cloud.E(op, cloud.Unavailable, "export %s: %w", e.ID, context.Cause(ctx))
	}
	if err := os.Mkdir(e.Dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return out, cloud.E(op, cloud.Invalid, "the export's directory cannot be made: %w", err)
	}
	dir, err := filepath.EvalSymlinks(e.Dir)
	if err != nil {
		return out, cloud.E(op, cloud.Invalid, "the export's directory: %w", err)
	}
	h := d.host
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.guests {
		switch {
		case m.handle.Dir == dir:
			return out, cloud.E(op, cloud.Conflict, "a guest runs in %s already, or is being started", dir)
		case m.export != nil && e.Address.Port() != 0 && m.address == e.Address:
			return out, cloud.E(op, cloud.Unavailable, "export %s: the address %s is in use", e.ID, e.Address)
		}
	}
	if len(h.fail) > 0 {
		err := h.fail[0]
		h.fail = h.fail[1:]
		return out, err
	}
	h.last++
	address := e.Address
	if address.Port() == 0 {
		address = netip.AddrPortFrom(address.Addr(), uint16(firstPort+h.last%firstPort))
	}
	handle := hypervisor.Handle{Driver: kindName, ID: e.ID, Dir: dir, PID: h.last, Started: uint64(h.last) * 100, BootID: h.bootID}
	h.guests[handle.PID] = &machine{handle: handle, cfg: hypervisor.Config{ID: e.ID}, state: hypervisor.StateRunning, begun: h.clock.Now(), starter: d,
		export: &e, address: address, gone: make(chan struct{})}
	return hypervisor.Exported{Handle: handle, Address: address}, nil
}

// Await implements hypervisor.Exporter.
func (d *Driver) Await(ctx context.Context, handle hypervisor.Handle) error {
	d.host.mu.Lock()
	m, err := d.find("hypervisor.Await", handle)
	d.host.mu.Unlock()
	if cloud.Is(err, cloud.NotFound) {
		return nil
	} else if err != nil {
		return err
	}
	select {
	case <-m.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Freeze implements hypervisor.Exporter.
func (d *Driver) Freeze(_ context.Context, handle hypervisor.Handle, still bool) error {
	d.host.mu.Lock()
	defer d.host.mu.Unlock()
	m, err := d.find("hypervisor.Freeze", handle)
	if err != nil {
		return err
	}
	m.state = hypervisor.StateRunning
	if still {
		m.state = hypervisor.StatePaused
	}
	return nil
}

// Exported tells what a host gives of an id, and whether it stands still; false when it gives nothing.
func (h *Host) Exported(id string) (e hypervisor.Export, still, there bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m := h.byID(id); m != nil && m.export != nil {
		return *m.export, m.state == hypervisor.StatePaused, true
	}
	return e, false, false
}
