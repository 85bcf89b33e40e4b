package fake

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// Save implements hypervisor.Guest. All that a fake guest remembers is how long it has run.
func (g *guest) Save(ctx context.Context) error {
	const op = "hypervisor.Save"
	return g.on(ctx, op, func(h *Host) error {
		path := filepath.Join(g.m.handle.Dir, hypervisor.FileMemory)
		err := os.WriteFile(path+".new", []byte(h.clock.Now().Sub(g.m.begun).String()), 0o600)
		if err == nil {
			err = os.Rename(path+".new", path)
		}
		if err != nil {
			return cloud.E(op, cloud.Internal, "guest %s: %w", g.m.cfg.ID, err)
		}
		h.tell(g.m, hypervisor.EventShutdown, hypervisor.ReasonHostQuit)
		h.remove(g.m, 0)
		return nil
	})
}

// Interrupt implements hypervisor.Guest: the guest says on its console that it was interrupted.
func (g *guest) Interrupt(ctx context.Context) error {
	return g.on(ctx, "hypervisor.Interrupt", func(h *Host) error {
		h.print(g.m, "NMI received\r\n")
		return nil
	})
}

// saved reads how long a guest that is to go on had run; zero for others.
func saved(cfg hypervisor.Config, dir string) (time.Duration, error) {
	if !cfg.Saved {
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(dir, hypervisor.FileMemory))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, cloud.E("hypervisor.Start", cloud.NotFound, "guest %s was not saved: %w", cfg.ID, err)
	case err != nil:
		return 0, cloud.E("hypervisor.Start", cloud.Internal, "guest %s: %w", cfg.ID, err)
	}
	ran, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, cloud.E("hypervisor.Start", cloud.Internal, "guest %s: its memory cannot be read: %w", cfg.ID, err)
	}
	return ran, nil
}

// Uptime is how long a guest has run, without the time in which it was saved; false if no such guest is there.
func (h *Host) Uptime(id string) (time.Duration, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.byID(id)
	if m == nil {
		return 0, false
	}
	return h.clock.Now().Sub(m.begun), true
}
