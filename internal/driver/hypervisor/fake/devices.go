package fake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// slots is how many devices a guest has room for, as on QEMU's pc.
const slots = 28

func (g *guest) Devices(ctx context.Context) (out []hypervisor.Device, err error) {
	err = g.on(ctx, "hypervisor.Devices", func(h *Host) error {
		driver := hypervisor.DriverReady
		if h.blind[g.m.cfg.ID] {
			driver = hypervisor.DriverMissing
		}
		address := func() string { return fmt.Sprintf("0000:00:%02x.0", 3+len(out)) }
		for _, n := range g.m.cfg.NICs {
			out = append(out, hypervisor.Device{ID: n.ID, MAC: strings.ToLower(n.MAC), Address: address(), Driver: driver})
		}
		for _, d := range g.m.cfg.Disks {
			out = append(out, hypervisor.Device{ID: d.ID, Disk: true, Size: g.m.sizes[d.ID], Address: address(), Driver: driver})
		}
		slices.SortFunc(out, func(a, b hypervisor.Device) int { return strings.Compare(a.ID, b.ID) })
		return nil
	})
	return out, err
}

// has tells whether the machine has a device of the id.
func (m *machine) has(id string) bool {
	return slices.ContainsFunc(m.cfg.Disks, func(d hypervisor.Disk) bool { return d.ID == id }) ||
		slices.ContainsFunc(m.cfg.NICs, func(n hypervisor.NIC) bool { return n.ID == id })
}

// room is Conflict when there is none for one more device.
func (m *machine) room(op string) error {
	if len(m.cfg.Disks)+len(m.cfg.NICs) >= slots {
		return cloud.E(op, cloud.Conflict, "guest %s: there is no slot free for one more device", m.cfg.ID)
	}
	return nil
}

func (g *guest) PlugDisk(ctx context.Context, d hypervisor.Disk) error {
	const op = "hypervisor.PlugDisk"
	if err := d.Validate(); err != nil {
		return err
	}
	return g.on(ctx, op, func(*Host) error {
		switch {
		case g.m.has(d.ID):
			return nil
		case d.Bus == hypervisor.BusIDE || d.Bus == hypervisor.BusUSB || d.CDROM:
			return cloud.E(op, cloud.Conflict, "guest %s: its IDE bus takes no disk while it runs", g.m.cfg.ID)
		}
		if err := g.m.room(op); err != nil {
			return err
		}
		g.m.cfg.Disks = append(slices.Clone(g.m.cfg.Disks), d)
		return nil
	})
}

func (g *guest) PlugNIC(ctx context.Context, n hypervisor.NIC) error {
	const op = "hypervisor.PlugNIC"
	if err := n.Validate(); err != nil {
		return err
	}
	return g.on(ctx, op, func(*Host) error {
		if g.m.has(n.ID) {
			return nil
		}
		if _, err := n.Tap.Stat(); n.Tap == nil || err != nil {
			return cloud.E(op, cloud.Internal, "guest %s: a NIC without an open tap device", g.m.cfg.ID)
		}
		if err := g.m.room(op); err != nil {
			return err
		}
		g.m.cfg.NICs = append(slices.Clone(g.m.cfg.NICs), n)
		return nil
	})
}

func (g *guest) Unplug(ctx context.Context, id string) (gone bool, err error) {
	err = g.on(ctx, "hypervisor.Unplug", func(h *Host) error {
		if g.m.disc(id) {
			g.m.cfg.Disks = slices.DeleteFunc(slices.Clone(g.m.cfg.Disks), func(d hypervisor.Disk) bool { return d.ID == id })
		}
		if gone = !g.m.has(id); gone {
			return nil
		}
		g.m.leaving[id] = true
		if g.m.state == hypervisor.StateRunning && !h.clings[g.m.cfg.ID] {
			h.release(g.m)
		}
		return nil
	})
	return gone, err
}

// disc tells whether the id is that of a disc in a drive, which nobody asks the guest for.
func (m *machine) disc(id string) bool {
	return slices.ContainsFunc(m.cfg.Disks, func(d hypervisor.Disk) bool { return d.ID == id && d.CDROM && d.Bus != hypervisor.BusSCSI })
}

// release lets the guest part with what it was asked for.
func (h *Host) release(m *machine) {
	for id := range m.leaving {
		delete(m.leaving, id)
		m.cfg.Disks = slices.DeleteFunc(slices.Clone(m.cfg.Disks), func(d hypervisor.Disk) bool { return d.ID == id })
		m.cfg.NICs = slices.DeleteFunc(slices.Clone(m.cfg.NICs), func(n hypervisor.NIC) bool { return n.ID == id })
		h.tell(m, hypervisor.EventUnplugged, id)
	}
}

func (g *guest) ResizeDisk(ctx context.Context, id string, size int64) error {
	const op = "hypervisor.ResizeDisk"
	return g.on(ctx, op, func(*Host) error {
		if !slices.ContainsFunc(g.m.cfg.Disks, func(d hypervisor.Disk) bool { return d.ID == id }) {
			return cloud.E(op, cloud.NotFound, "guest %s has no disk %s", g.m.cfg.ID, id)
		}
		g.m.sizes[id] = size
		return nil
	})
}
