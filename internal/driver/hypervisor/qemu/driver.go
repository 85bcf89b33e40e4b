package qemu

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/qmp"
)

// kindName is what handles of this driver carry.
const kindName = "qemu"

// answerPatience is how long a monitor that has accepted nobody yet may stay silent. QEMU serves one client at a time.
const answerPatience = 10 * time.Second

// Options of a driver. The zero value is a good one.
type Options struct {
	Binary     string        // QEMU's path or name; "" looks for it
	Accel      string        // "auto" or "", "kvm", "tcg"
	CacheDir   string        // where the measured speed is kept until the next boot; "" measures in each process
	Users      UserRange     // of guests, when this process is root; zero for DefaultUsers. Otherwise guests run as this process does.
	Patience   time.Duration // how long a QEMU may take to its first word; 0 for a minute
	ConsoleMax int64         // bytes that a console log may have; 0 for 1 MiB
	Log        *slog.Logger
}

// Driver is the hypervisor.Driver of QEMU.
type Driver struct {
	options Options
	users   *users

	mu   sync.Mutex
	caps *hypervisor.Capabilities
}

// New makes a driver. It touches nothing until it is used.
func New(o Options) *Driver {
	if o.ConsoleMax <= 0 {
		o.ConsoleMax = defaultConsoleMax
	}
	if o.Patience <= 0 {
		o.Patience = startPatience
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Driver{options: o, users: newUsers(o.Users)}
}

var _ hypervisor.Driver = (*Driver)(nil)

// Recover implements hypervisor.Driver.
func (d *Driver) Recover(ctx context.Context, h hypervisor.Handle) (hypervisor.Guest, error) {
	const op = "hypervisor.Recover"
	p, err := d.find(op, h)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	mon, err := dial(ctx, h.Dir)
	if err != nil {
		defer p.letGo()
		if p.gone() {
			return nil, cloud.E(op, cloud.NotFound, "guest %s: process %d ended just now", h.ID, h.PID)
		}
		return nil, cloud.E(op, cloud.Unavailable, "guest %s runs (process %d) but its monitor in %s does not answer: "+
			"somebody else holds it, or QEMU hangs: %w", h.ID, h.PID, h.Dir, err)
	}
	return newGuest(h, p, mon, d.options.Log, d.options.ConsoleMax), nil
}

// find takes hold of the process of a handle; NotFound with what became of it.
func (d *Driver) find(op string, h hypervisor.Handle) (*process, error) {
	boot, err := bootID()
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "the host's boot id cannot be read: %w", err)
	}
	switch {
	case h.Driver != kindName:
		return nil, cloud.E(op, cloud.Invalid, "the handle of guest %q is of driver %q, not of QEMU", h.ID, h.Driver)
	case h.BootID != boot:
		return nil, cloud.E(op, cloud.NotFound, "guest %s went down with its host, which has rebooted since", h.ID)
	}
	p, err := hold(h.PID, h.Started, nil)
	if errors.Is(err, errNoProcess) {
		return nil, cloud.E(op, cloud.NotFound, "guest %s: process %d is gone: it was ended, killed or crashed; %s may tell",
			h.ID, h.PID, hypervisor.FileLog)
	} else if err != nil {
		return nil, cloud.E(op, cloud.Internal, "guest %s: %w", h.ID, err)
	}
	return p, nil
}

// Destroy implements hypervisor.Driver.
func (d *Driver) Destroy(_ context.Context, h hypervisor.Handle) error {
	const op = "hypervisor.Destroy"
	p, err := d.find(op, h)
	if cloud.Is(err, cloud.NotFound) {
		return nil
	} else if err != nil {
		return err
	}
	defer p.letGo()
	return end(op, h, p)
}

func dial(ctx context.Context, dir string) (*qmp.Client, error) {
	conn, err := connect(ctx, dir, hypervisor.FileMonitor)
	if err != nil {
		return nil, err
	}
	return qmp.New(ctx, conn)
}
