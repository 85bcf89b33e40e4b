package reconcile

import (
	"context"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// followParents has the sub-ports of trunks be where their parent ports are, before
// the nodes' data planes are composed. One whose parent has no guest is down.
func (k *Housekeeper) followParents(ctx context.Context) error {
	return k.eachSubPort(ctx, func(parent cloud.Port, sub *cloud.Port) {
		sub.Host = parent.Host
		sub.Up = sub.Up && parent.Up
	})
}

// markSubPorts notes that a node has wired the sub-ports of its guests' trunks.
func (k *Housekeeper) markSubPorts(ctx context.Context, node string) error {
	return k.eachSubPort(ctx, func(parent cloud.Port, sub *cloud.Port) {
		if parent.Host == node && sub.Host == node {
			sub.Up = parent.Up
		}
	})
}

// eachSubPort changes the sub-ports of all trunks and writes those that differ.
func (k *Housekeeper) eachSubPort(ctx context.Context, change func(parent cloud.Port, sub *cloud.Port)) error {
	var changed []cloud.Port
	collect := func(tx *store.Tx) error {
		changed = nil
		subs, err := tx.SubPorts.List(store.Query{})
		for _, s := range subs {
			trunk, err := tx.Trunks.Get(s.TrunkID)
			if err != nil {
				return err
			}
			parent, err := tx.Ports.Get(trunk.PortID)
			if err != nil {
				return err
			}
			sub, err := tx.Ports.Get(s.PortID)
			if err != nil {
				return err
			}
			host, up := sub.Host, sub.Up
			if change(parent, &sub); sub.Host != host || sub.Up != up {
				changed = append(changed, sub)
			}
		}
		return err
	}
	if err := k.Store.View(ctx, collect); err != nil || len(changed) == 0 {
		return err
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		if err := collect(tx); err != nil {
			return err
		}
		for _, p := range changed {
			if err := tx.Ports.Update(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// subPorts adds to a port the sub-ports of the trunk whose parent it is.
func (c *composer) subPorts(out *cloud.PortSpec) error {
	for _, s := range c.trunks[out.ID] {
		p, err := c.tx.Ports.Get(s.PortID)
		if err != nil {
			return err
		}
		n, err := c.tx.Networks.Get(p.NetworkID)
		if err != nil {
			return err
		}
		out.SubPorts = append(out.SubPorts, cloud.SubPortSpec{PortID: p.ID, NetworkID: p.NetworkID, VLAN: s.VLAN, MTU: n.MTU})
	}
	return nil
}

// readTrunks reads which ports are sub-ports, of what trunk and under what parent.
func (c *composer) readTrunks() error {
	c.trunked, c.trunks = map[string]string{}, map[string][]cloud.SubPort{}
	subs, err := c.tx.SubPorts.List(store.Query{})
	if err != nil || len(subs) == 0 {
		return err
	}
	trunks, err := c.tx.Trunks.List(store.Query{})
	parents := map[string]string{}
	for _, t := range trunks {
		parents[t.ID] = t.PortID
	}
	for _, s := range subs {
		c.trunked[s.PortID] = s.TrunkID
		parent := parents[s.TrunkID]
		c.trunks[parent] = append(c.trunks[parent], s)
	}
	return err
}

// instanceOf is the server behind a port: by its trunk, when it is a sub-port.
func (c *composer) instanceOf(p cloud.Port) (string, error) {
	id, sub := c.trunked[p.ID]
	if !sub {
		return p.DeviceID, nil
	}
	trunk, err := c.tx.Trunks.Get(id)
	if err != nil {
		return "", err
	}
	parent, err := c.tx.Ports.Get(trunk.PortID)
	return parent.DeviceID, err
}

// guests tells whether a port is a guest's: a NIC, or a sub-port of one.
func (c *composer) guests(p cloud.Port) bool {
	return c.trunked[p.ID] != "" || strings.HasPrefix(p.DeviceOwner, cloud.OwnerComputePrefix)
}
