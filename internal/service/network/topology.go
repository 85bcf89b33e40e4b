package network

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func noTopology(reason string) error {
	return conflict("AutoAllocationFailure", "Deployment error: %s.", reason)
}

// AutoTopology gives the network that a project has without having said how; if
// it has none, one is made: subnets of the default pools behind a router to the
// default external network. Conflict where there are no such defaults; Forbidden
// for another project.
func (s *Service) AutoTopology(ctx context.Context, c cloud.Caller, projectID string) (networkID string, err error) {
	if !c.Owns(projectID) {
		return "", forbidden("get_auto_allocated_topology")
	}
	return update(ctx, s, func(tx *store.Tx) (string, error) {
		have, err := tx.AutoTopologies.Get(projectID)
		if err == nil {
			if _, err = tx.Networks.Get(have.NetworkID); err == nil {
				return have.NetworkID, nil
			}
		}
		if !cloud.Is(err, cloud.NotFound) {
			return "", err
		}
		made, err := s.makeTopology(tx, c, projectID)
		if err != nil {
			return "", err
		}
		return made.NetworkID, tx.AutoTopologies.Put(made)
	})
}

// CheckTopology refuses, as AutoTopology would, where the defaults are missing.
func (s *Service) CheckTopology(ctx context.Context, c cloud.Caller, projectID string) error {
	if !c.Owns(projectID) {
		return forbidden("get_auto_allocated_topology")
	}
	return s.store.View(ctx, func(tx *store.Tx) error {
		_, _, err := topologyDefaults(tx)
		return err
	})
}

// topologyDefaults are the default external network and the default pools.
func topologyDefaults(tx *store.Tx) (cloud.Network, []cloud.SubnetPool, error) {
	networks, err := tx.Networks.List(byAge(nil))
	if err != nil {
		return cloud.Network{}, nil, err
	}
	networks, _ = keep(networks, nil, func(n cloud.Network) bool { return n.External && n.IsDefault })
	if len(networks) == 0 {
		return cloud.Network{}, nil, noTopology("No default router:external network")
	}
	pools, err := tx.SubnetPools.List(byAge(nil))
	if err != nil {
		return cloud.Network{}, nil, err
	}
	pools, _ = keep(pools, nil, func(p cloud.SubnetPool) bool { return p.IsDefault })
	if len(pools) == 0 {
		return cloud.Network{}, nil, noTopology("No default subnetpools defined")
	}
	return networks[0], pools, nil
}

// makeTopology makes it all in one transaction: half of it is never there.
func (s *Service) makeTopology(tx *store.Tx, c cloud.Caller, projectID string) (cloud.AutoTopology, error) {
	none := cloud.AutoTopology{}
	external, pools, err := topologyDefaults(tx)
	if err != nil {
		return none, err
	}
	n, err := s.createNetwork(tx, c, NetworkCreate{ProjectID: projectID, Name: "auto_allocated_network"})
	if err != nil {
		return none, err
	}
	r, err := s.createRouter(tx, c, RouterCreate{ProjectID: projectID, Name: "auto_allocated_router", Gateway: &Gateway{NetworkID: external.ID}})
	if err != nil {
		return none, err
	}
	for _, p := range pools {
		name := map[int]string{4: "auto_allocated_subnet_v4", 6: "auto_allocated_subnet_v6"}[p.IPVersion]
		sub, err := s.createSubnet(tx, c, SubnetCreate{ProjectID: projectID, NetworkID: n.ID, Name: name, IPVersion: p.IPVersion, SubnetPoolID: p.ID})
		if err != nil {
			return none, err
		}
		if _, err := s.addBySubnet(tx, c, r, sub.ID); err != nil {
			return none, err
		}
	}
	return cloud.AutoTopology{ProjectID: projectID, NetworkID: n.ID, RouterID: r.ID}, nil
}

// DeleteTopology takes away the network that AutoTopology made, with its router;
// nothing if there is none. Conflict while something is on the network.
func (s *Service) DeleteTopology(ctx context.Context, c cloud.Caller, projectID string) error {
	if !c.Owns(projectID) {
		return forbidden("delete_auto_allocated_topology")
	}
	t, err := view(ctx, s, func(tx *store.Tx) (cloud.AutoTopology, error) { return tx.AutoTopologies.Get(projectID) })
	if cloud.Is(err, cloud.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	subnets, err := view(ctx, s, func(tx *store.Tx) ([]cloud.Subnet, error) {
		return tx.Subnets.List(store.Where(store.Eq("network_id", t.NetworkID)))
	})
	if err != nil {
		return err
	}
	for _, sub := range subnets {
		if _, err := s.RemoveInterface(ctx, c, t.RouterID, Interface{SubnetID: sub.ID}); err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
	}
	if err := s.DeleteRouter(ctx, c, t.RouterID); err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	if err := s.DeleteNetwork(ctx, c, t.NetworkID); err != nil && !cloud.Is(err, cloud.NotFound) {
		return err
	}
	return s.change(ctx, func(tx *store.Tx) error { return tx.AutoTopologies.Delete(projectID) })
}
