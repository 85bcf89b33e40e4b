package compute

import (
	"context"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// HostDetail is a host with what is placed on it.
type HostDetail struct {
	cloud.Host
	Up      bool
	Used    schedule.Usage
	Servers []cloud.Server // sorted by id
}

// Hosts lists the hosts by name with what is placed on them.
func (s *Service) Hosts(ctx context.Context) (list []HostDetail, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		servers, err := tx.Servers.List(store.Where(store.Ne("node", "")))
		if err != nil {
			return err
		}
		fleet, err := placement.FleetOfTx(tx, servers, s.ratios, s.clock.Now())
		if err != nil {
			return err
		}
		list = make([]HostDetail, len(fleet.Hosts))
		for i, h := range fleet.Hosts {
			list[i] = HostDetail{Host: h.Host, Up: h.Up, Used: h.Used}
			for _, v := range servers {
				if v.Node == h.Name {
					list[i].Servers = append(list[i].Servers, v)
				}
			}
		}
		return nil
	})
	return list, err
}

// HostChange is what an operator may change of a host; nil leaves it.
type HostChange struct {
	Enabled    *bool  // whether new servers may be placed on it; those that are there stay
	Reason     string // why it is not
	ForcedDown *bool
}

// ChangeHost changes a host; NotFound.
func (s *Service) ChangeHost(ctx context.Context, name string, ch HostChange) (h cloud.Host, err error) {
	const op = "compute.ChangeHost"
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if h, err = tx.Hosts.Get(name); err != nil {
			if cloud.Is(err, cloud.NotFound) {
				return NoHost(op, name)
			}
			return err
		}
		if ch.Enabled != nil {
			h.Disabled, h.DisabledReason = !*ch.Enabled, ch.Reason
		}
		if ch.ForcedDown != nil {
			h.ForcedDown = *ch.ForcedDown
		}
		return tx.Hosts.Update(h)
	})
	return h, err
}

// DeleteHost forgets a host that has no servers and no volumes, its place in
// aggregates, and what clients of placement said about it. A node that reports
// again is a new host. Conflict, NotFound.
func (s *Service) DeleteHost(ctx context.Context, name string) error {
	const op = "compute.DeleteHost"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		h, err := tx.Hosts.Get(name)
		if cloud.Is(err, cloud.NotFound) {
			return NoHost(op, name)
		}
		if err != nil {
			return err
		}
		servers, err := tx.Servers.Count(store.Eq("node", name))
		if err != nil {
			return err
		}
		volumes, err := tx.Volumes.Count(store.Eq("node", name))
		switch {
		case err != nil:
			return err
		case servers > 0:
			return cloud.E(op, cloud.Conflict, "Unable to delete compute service that is hosting instances. Migrate or delete the instances first.")
		case volumes > 0:
			return cloud.E(op, cloud.Conflict, "Unable to delete compute service: %d volumes are on host %s. Migrate or delete the volumes first.", volumes, name)
		}
		if err := leaveAggregates(tx, name); err != nil {
			return err
		}
		if err := tx.Providers.Delete(h.ID); err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
		return tx.Hosts.Delete(name)
	})
}

func leaveAggregates(tx *store.Tx, host string) error {
	all, err := tx.Aggregates.List(store.Query{})
	if err != nil {
		return err
	}
	for _, a := range cloud.AggregatesOf(host, all) {
		a.Hosts = slices.DeleteFunc(a.Hosts, func(h string) bool { return h == host })
		if err := tx.Aggregates.Update(a); err != nil {
			return err
		}
	}
	return nil
}

// NoHost is nova's way to say that a host is not there.
func NoHost(op, name string) error {
	return cloud.E(op, cloud.NotFound, "Compute host %s could not be found.", name)
}

// Zone is an availability zone: the hosts that are in it.
type Zone struct {
	Name      string
	Available bool // one of its hosts is enabled
	Hosts     []ZoneHost
}

// ZoneHost is a host as its zone shows it.
type ZoneHost struct {
	Name   string
	Active bool // it is enabled
	Up     bool
	SeenAt time.Time
}

// Zones lists the availability zones by name.
func (s *Service) Zones(ctx context.Context) ([]Zone, error) {
	hosts, err := s.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	var zones []Zone
	for _, h := range hosts {
		i := slices.IndexFunc(zones, func(z Zone) bool { return z.Name == h.AvailabilityZone })
		if i < 0 {
			i = len(zones)
			zones = append(zones, Zone{Name: h.AvailabilityZone})
		}
		z := &zones[i]
		z.Hosts = append(z.Hosts, ZoneHost{Name: h.Name, Active: !h.Disabled, Up: h.Up, SeenAt: h.SeenAt})
		z.Available = z.Available || !h.Disabled
	}
	slices.SortFunc(zones, func(a, b Zone) int { return strings.Compare(a.Name, b.Name) })
	return zones, nil
}
