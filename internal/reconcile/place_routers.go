package reconcile

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// placeRouters gives every router that has none a node: of those that may run it,
// the one that runs the fewest routers. A router that no node may run waits.
func (k *Housekeeper) placeRouters(ctx context.Context) error {
	names := k.Fleet.Names()
	homeless := false
	err := k.Store.View(ctx, func(tx *store.Tx) error {
		count, err := tx.Routers.Count(store.Eq("node", ""))
		homeless = count > 0
		return err
	})
	if err != nil || !homeless || len(names) == 0 {
		return err
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		homeless, err := tx.Routers.List(store.Where(store.Eq("node", "")))
		if err != nil || len(homeless) == 0 {
			return err
		}
		names, zones, err := routerNodes(tx, names)
		if err != nil {
			return err
		}
		for _, r := range homeless {
			best, least := "", -1
			for _, name := range names {
				if len(r.ZoneHints) > 0 && !slices.Contains(r.ZoneHints, zones[name]) {
					continue
				}
				count, err := tx.Routers.Count(store.Eq("node", name))
				if err != nil {
					return err
				}
				if least < 0 || count < least {
					best, least = name, count
				}
			}
			if best == "" {
				k.Log.Warn("no node may run a router: none is in its availability zones with its L3 agent up", "router", r.ID, "zones", r.ZoneHints)
				continue
			}
			r.Node = best
			if err := tx.Routers.Update(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// routerNodes leaves out the nodes whose L3 agent an operator took down, and tells
// the others' availability zones.
func routerNodes(tx *store.Tx, names []string) ([]string, map[string]string, error) {
	off, err := tx.NetworkAgents.List(store.Where(store.Eq("disabled", true)))
	if err != nil {
		return nil, nil, err
	}
	hosts, err := tx.Hosts.List(store.Query{})
	if err != nil {
		return nil, nil, err
	}
	zones := map[string]string{}
	for _, h := range hosts {
		zones[h.Name] = h.AvailabilityZone
	}
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(off, func(a cloud.NetworkAgent) bool { return a.Host == name && a.Binary == cloud.AgentL3 })
	})
	return names, zones, nil
}
