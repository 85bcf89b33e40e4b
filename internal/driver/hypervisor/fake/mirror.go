package fake

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// disk is the place of a disk among the guest's; -1 for none.
func (m *machine) disk(id string) int {
	return slices.IndexFunc(m.cfg.Disks, func(d hypervisor.Disk) bool { return d.ID == id })
}

// MirrorDisk implements hypervisor.Guest: the second question finds the disks alike.
func (g *guest) MirrorDisk(ctx context.Context, id string, to hypervisor.Disk) (alike bool, err error) {
	const op = "hypervisor.MirrorDisk"
	if err := to.Validate(); err != nil {
		return false, err
	}
	err = g.on(ctx, op, func(h *Host) error {
		begun := slices.ContainsFunc(g.m.targets, func(d hypervisor.Disk) bool { return d.ID == to.ID })
		switch {
		case g.m.disk(to.ID) >= 0:
			alike = true
		case g.m.disk(id) < 0:
			return cloud.E(op, cloud.NotFound, "guest %s has no disk %s", g.m.cfg.ID, id)
		case !begun:
			g.m.targets = append(g.m.targets, to)
			h.tell(g.m, hypervisor.EventMirrored, to.ID)
		default:
			alike = true
		}
		return nil
	})
	return alike, err
}

// SwitchDisk implements hypervisor.Guest: it is done at once.
func (g *guest) SwitchDisk(ctx context.Context, id, to string) (done bool, err error) {
	const op = "hypervisor.SwitchDisk"
	err = g.on(ctx, op, func(h *Host) error {
		if done = g.m.disk(to) >= 0; done {
			return nil
		}
		i := slices.IndexFunc(g.m.targets, func(d hypervisor.Disk) bool { return d.ID == to })
		at := g.m.disk(id)
		if i < 0 || at < 0 {
			return cloud.E(op, cloud.Conflict, "guest %s: the disk %s is not being copied to %s", g.m.cfg.ID, id, to)
		}
		disks := slices.Clone(g.m.cfg.Disks)
		disks[at] = g.m.targets[i]
		g.m.cfg.Disks, g.m.targets = disks, slices.Delete(g.m.targets, i, i+1)
		h.tell(g.m, hypervisor.EventMirrored, to)
		done = true
		return nil
	})
	return done, err
}

// SetPassword implements hypervisor.Guest: every guest that has the line to its host has an agent on it.
func (g *guest) SetPassword(ctx context.Context, user, password string) error {
	const op = "hypervisor.SetPassword"
	return g.on(ctx, op, func(*Host) error {
		if !g.m.cfg.Agent {
			return cloud.E(op, cloud.Unsupported, "guest %s: no agent in it answers", g.m.cfg.ID)
		}
		g.m.secrets[user] = password
		return nil
	})
}
