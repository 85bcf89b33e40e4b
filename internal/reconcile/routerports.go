package reconcile

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// markRouterPorts notes that a node has a router's ports: they are up. Ports go
// down by going away, with the router or the interface.
func (k *Housekeeper) markRouterPorts(ctx context.Context, spec cloud.RouterSpec) error {
	var ids []string
	for _, p := range spec.Interfaces {
		ids = append(ids, p.PortID)
	}
	if spec.Gateway != nil {
		ids = append(ids, spec.Gateway.PortID)
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		for _, id := range ids {
			p, err := tx.Ports.Get(id)
			if cloud.Is(err, cloud.NotFound) || err == nil && (p.Up || p.DeviceID != spec.ID) {
				continue // gone since, or said before
			}
			if err != nil {
				return err
			}
			p.Up = true
			if err := tx.Ports.Update(p); err != nil {
				return err
			}
		}
		return nil
	})
}
