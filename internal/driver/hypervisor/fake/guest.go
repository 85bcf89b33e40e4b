package fake

import (
	"context"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

const eventBacklog = 64

// guest is one connection to a machine. Its fields but for the channel are guarded by the Host's lock.
type guest struct {
	driver *Driver
	m      *machine
	events chan hypervisor.Event
	left   bool
}

func (g *guest) Handle() hypervisor.Handle { return g.m.handle }

func (g *guest) Events() <-chan hypervisor.Event { return g.events }

func (g *guest) Close() error {
	g.driver.host.mu.Lock()
	defer g.driver.host.mu.Unlock()
	g.leave(nil)
	return nil
}

// leave ends the connection, with a last event if there is one. The host is locked.
func (g *guest) leave(last *hypervisor.Event) {
	if g.left {
		return
	}
	if last != nil {
		g.publish(*last)
	}
	g.left = true
	delete(g.m.watched, g)
	close(g.events)
}

// publish makes room by dropping the oldest event. The host is locked, so there is one sender.
func (g *guest) publish(e hypervisor.Event) {
	for {
		select {
		case g.events <- e:
			return
		default:
		}
		select {
		case <-g.events:
		default:
		}
	}
}

// on runs fn with the host locked and the guest there.
func (g *guest) on(ctx context.Context, op string, fn func(h *Host) error) error {
	h := g.driver.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if g.m.state == hypervisor.StateGone {
		return cloud.E(op, cloud.NotFound, "guest %s: its process %d is gone", g.m.cfg.ID, g.m.handle.PID)
	}
	if g.left {
		return cloud.E(op, cloud.Unavailable, "guest %s: the connection was closed; recover the guest", g.m.cfg.ID)
	}
	if err := ctx.Err(); err != nil {
		return cloud.E(op, cloud.Unavailable, "guest %s: %w", g.m.cfg.ID, context.Cause(ctx))
	}
	return fn(h)
}

func (g *guest) State(ctx context.Context) (hypervisor.State, error) {
	state := hypervisor.StateGone
	err := g.on(ctx, "hypervisor.State", func(*Host) error {
		state = g.m.state
		return nil
	})
	if cloud.Is(err, cloud.NotFound) {
		err = nil
	}
	return state, err
}

func (g *guest) Shutdown(ctx context.Context) error {
	return g.on(ctx, "hypervisor.Shutdown", func(h *Host) error {
		h.tell(g.m, hypervisor.EventPowerdown, "")
		if g.m.state == hypervisor.StateRunning && !h.deaf[g.m.cfg.ID] {
			h.off(g.m)
		}
		return nil
	})
}

func (g *guest) Quit(context.Context) error {
	h := g.driver.host
	h.mu.Lock()
	defer h.mu.Unlock()
	if g.m.state != hypervisor.StateGone {
		h.tell(g.m, hypervisor.EventShutdown, hypervisor.ReasonHostQuit)
		h.remove(g.m, 0)
	}
	return nil
}

func (g *guest) Reset(ctx context.Context) error {
	return g.on(ctx, "hypervisor.Reset", func(h *Host) error {
		h.restart(g.m, hypervisor.ReasonHostReset)
		return nil
	})
}

func (g *guest) Pause(ctx context.Context) error {
	return g.on(ctx, "hypervisor.Pause", func(h *Host) error {
		if g.m.state == hypervisor.StateRunning {
			g.m.state = hypervisor.StatePaused
			h.tell(g.m, hypervisor.EventPaused, "")
		}
		return nil
	})
}

func (g *guest) Resume(ctx context.Context) error {
	const op = "hypervisor.Resume"
	return g.on(ctx, op, func(h *Host) error {
		switch g.m.state {
		case hypervisor.StateShutdown:
			return cloud.E(op, cloud.Conflict, "guest %s is shut down; a reset is required", g.m.cfg.ID)
		case hypervisor.StatePaused:
			g.m.state = hypervisor.StateRunning
			h.tell(g.m, hypervisor.EventResumed, "")
			if !h.clings[g.m.cfg.ID] {
				h.release(g.m)
			}
		}
		return nil
	})
}

func (g *guest) Stats(ctx context.Context) (hypervisor.Stats, error) {
	var s hypervisor.Stats
	err := g.on(ctx, "hypervisor.Stats", func(h *Host) error {
		// A guest that idles: one per cent of a processor, half of its memory touched.
		s = hypervisor.Stats{CPU: h.clock.Now().Sub(g.m.begun) / 100, Resident: int64(g.m.cfg.MemoryMB) << 19, Threads: 2 + g.m.cfg.VCPUs}
		s.CPU = max(s.CPU, time.Duration(0))
		return nil
	})
	return s, err
}
