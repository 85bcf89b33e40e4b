package compute

import (
	"context"
	"slices"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
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
		hosts, err := tx.Hosts.List(store.Query{})
		if err != nil {
			return err
		}
		servers, err := tx.Servers.List(store.Where(store.Ne("node", "")))
		if err != nil {
			return err
		}
		fleet := schedule.Snapshot(hosts, servers, schedule.Ratios{}, s.clock.Now())
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

// EnableHost lets servers be placed on a host again, or with a reason no longer.
// Servers on it stay.
func (s *Service) EnableHost(ctx context.Context, name string, enabled bool, reason string) (h cloud.Host, err error) {
	const op = "compute.EnableHost"
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if h, err = tx.Hosts.Get(name); err != nil {
			if cloud.Is(err, cloud.NotFound) {
				return NoHost(op, name)
			}
			return err
		}
		h.Disabled, h.DisabledReason = !enabled, reason
		return tx.Hosts.Update(h)
	})
	return h, err
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
