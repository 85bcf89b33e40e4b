package instance

import (
	"context"
	"io"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// live gives the guest that an instance has now; NotFound for none.
func (m *Manager) live(op, id string) (hypervisor.Guest, cloud.InstanceSpec, error) {
	m.mu.Lock()
	w := m.workers[id]
	m.mu.Unlock()
	if w == nil {
		return nil, cloud.InstanceSpec{}, cloud.E(op, cloud.NotFound, "instance %s is not on this node", id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.shownGuest == nil {
		return nil, w.spec, cloud.E(op, cloud.NotFound, "instance %s does not run", id)
	}
	return w.shownGuest, w.spec, nil
}

// OpenConsole opens a console of an instance's guest; NotFound when none runs.
func (m *Manager) OpenConsole(ctx context.Context, id string, kind cloud.ConsoleKind) (io.ReadWriteCloser, error) {
	g, _, err := m.live("instance.OpenConsole", id)
	if err != nil {
		return nil, err
	}
	return g.Console(ctx, kind)
}

// SetPassword has the agent in an instance's guest change a user's password;
// NotFound when no guest runs, Unsupported when no agent answers.
func (m *Manager) SetPassword(ctx context.Context, id, user, password string) error {
	g, _, err := m.live("instance.SetPassword", id)
	if err != nil {
		return err
	}
	return g.SetPassword(ctx, user, password)
}

// Stats measures an instance's guest; NotFound when none runs.
func (m *Manager) Stats(ctx context.Context, id string) (cloud.InstanceStats, error) {
	g, _, err := m.live("instance.Stats", id)
	if err != nil {
		return cloud.InstanceStats{}, err
	}
	s, err := g.Stats(ctx)
	if err != nil {
		return cloud.InstanceStats{}, err
	}
	out := cloud.InstanceStats{CPU: s.CPU, ResidentBytes: s.Resident}
	if caps, err := m.Hypervisor.Probe(ctx); err == nil {
		out.Hypervisor = caps.Accel
	}
	return out, nil
}
