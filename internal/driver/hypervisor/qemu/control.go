package qemu

import (
	"context"
	"errors"
	"os"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/hypervisor/qmp"
)

func (g *guest) State(ctx context.Context) (hypervisor.State, error) {
	const op = "hypervisor.State"
	var status struct {
		Status string `json:"status"`
	}
	err := g.command(ctx, op, "query-status", &status)
	if cloud.Is(err, cloud.NotFound) {
		return hypervisor.StateGone, nil
	} else if err != nil {
		return "", err
	}
	return stateOf(status.Status), nil
}

func (g *guest) Shutdown(ctx context.Context) error {
	return g.command(ctx, "hypervisor.Shutdown", "system_powerdown", nil)
}

func (g *guest) Reset(ctx context.Context) error {
	return g.command(ctx, "hypervisor.Reset", "system_reset", nil)
}

func (g *guest) Interrupt(ctx context.Context) error {
	return g.command(ctx, "hypervisor.Interrupt", "inject-nmi", nil)
}

func (g *guest) Pause(ctx context.Context) error {
	return g.command(ctx, "hypervisor.Pause", "stop", nil)
}

func (g *guest) Resume(ctx context.Context) error {
	return g.command(ctx, "hypervisor.Resume", "cont", nil)
}

func (g *guest) Quit(ctx context.Context) error {
	const op = "hypervisor.Quit"
	if g.proc.gone() {
		removeSockets(g.handle.Dir)
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, quitPatience)
	defer cancel()
	if err := g.mon.Execute(asking, "quit", nil, nil); err == nil || errors.Is(err, qmp.ErrClosed) {
		select {
		case <-g.proc.done:
		case <-asking.Done():
		}
	}
	return end(op, g.handle, g.proc)
}

// end makes sure that a process is gone.
func end(op string, h hypervisor.Handle, p *process) error {
	if !p.gone() {
		if err := p.kill(); err != nil {
			return cloud.E(op, cloud.Internal, "guest %s: process %d cannot be killed: %w", h.ID, h.PID, err)
		}
		late := time.NewTimer(killPatience)
		defer late.Stop()
		select {
		case <-p.done:
		case <-late.C:
			return cloud.E(op, cloud.Unavailable, "guest %s: process %d was killed but does not end; its storage hangs, most likely", h.ID, h.PID)
		}
	}
	removeSockets(h.Dir)
	return nil
}

func (g *guest) Stats(context.Context) (hypervisor.Stats, error) {
	const op = "hypervisor.Stats"
	s, err := readStat(g.handle.PID)
	// Asked after reading: if the process still lives, the numbers were its own.
	if g.proc.gone() || err == nil && s.started != g.handle.Started {
		return hypervisor.Stats{}, g.missing(op)
	} else if err != nil {
		return hypervisor.Stats{}, cloud.E(op, cloud.Internal, "guest %s: %w", g.handle.ID, err)
	}
	return hypervisor.Stats{CPU: s.cpu, Resident: s.pages * int64(os.Getpagesize()), Threads: s.threads}, nil
}
