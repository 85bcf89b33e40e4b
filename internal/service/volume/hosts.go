package volume

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// Host is a node with what of the service is on it.
type Host struct {
	cloud.Host
	Up bool
	// Uses is what each project has there, by the pool's name.
	Uses map[string]map[string]HostUse
}

// HostUse is what a project has on a host.
type HostUse struct{ Volumes, Snapshots, VolumeGB, SnapshotGB int }

// Plus adds two.
func (u HostUse) Plus(more HostUse) HostUse {
	return HostUse{u.Volumes + more.Volumes, u.Snapshots + more.Snapshots, u.VolumeGB + more.VolumeGB, u.SnapshotGB + more.SnapshotGB}
}

// Hosts lists the nodes, with what is on them if uses is set.
func (s *Service) Hosts(ctx context.Context, uses bool) (list []Host, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		hosts, err := tx.Hosts.List(store.Query{})
		if err != nil {
			return err
		}
		list = list[:0]
		for _, h := range hosts {
			host := Host{Host: h, Up: h.Alive(s.clock.Now())}
			if uses {
				if host.Uses, err = usesTx(tx, h.Name); err != nil {
					return err
				}
			}
			list = append(list, host)
		}
		return nil
	})
	return list, err
}

func usesTx(tx *store.Tx, node string) (map[string]map[string]HostUse, error) {
	uses := map[string]map[string]HostUse{}
	add := func(pool, project string, more HostUse) {
		pool = cmp.Or(pool, cloud.VolumePool)
		if uses[pool] == nil {
			uses[pool] = map[string]HostUse{}
		}
		uses[pool][project] = uses[pool][project].Plus(more)
	}
	volumes, err := tx.Volumes.List(store.Where(store.Eq("node", node)))
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		add(v.Pool, v.ProjectID, HostUse{Volumes: 1, VolumeGB: v.SizeGB})
	}
	snapshots, err := tx.Snapshots.List(store.Where(store.Eq("node", node)))
	for _, v := range snapshots {
		add(v.Pool, v.ProjectID, HostUse{Snapshots: 1, SnapshotGB: v.SizeGB})
	}
	return uses, err
}

// EnableHost says whether new volumes may be made in a pool of a node, or for a
// node's name in all of its pools; NotFound.
func (s *Service) EnableHost(ctx context.Context, name string, enabled bool, reason string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		node, pool := cloud.ParseVolumeHost(name)
		h, err := tx.Hosts.Get(node)
		if _, there := h.Pool(pool); err == nil && pool != "" && !there {
			err = cloud.E("volume.EnableHost", cloud.NotFound, "there is no such pool")
		}
		if cloud.Is(err, cloud.NotFound) {
			return cloud.E("volume.EnableHost", cloud.NotFound, "Service cinder-volume on host %s could not be found.", name)
		}
		if err != nil {
			return err
		}
		for _, p := range h.Pools() {
			switch {
			case pool != "" && p.Name != pool:
			case p.Name == cloud.VolumePool:
				h.VolumesDisabled, h.VolumesReason = !enabled, reason
			case enabled:
				delete(h.PoolsDisabled, p.Name)
			default:
				if h.PoolsDisabled == nil {
					h.PoolsDisabled = map[string]string{}
				}
				h.PoolsDisabled[p.Name] = reason
			}
		}
		return tx.Hosts.Update(h)
	})
}

// Zones lists the availability zones and whether one of their hosts takes
// volumes.
func (s *Service) Zones(ctx context.Context) (map[string]bool, error) {
	hosts, err := s.Hosts(ctx, false)
	zones := map[string]bool{}
	for _, h := range hosts {
		for _, p := range h.Pools() {
			disabled, _ := h.PoolDisabled(p.Name)
			zones[h.AvailabilityZone] = zones[h.AvailabilityZone] || h.Up && !disabled
		}
	}
	return zones, err
}

// Now is the service's time.
func (s *Service) Now() time.Time { return s.clock.Now() }

// Fits gives what tells whether a pool is fit for volumes of a type, by id or name;
// NotFound.
func (s *Service) Fits(ctx context.Context, c cloud.Caller, kind string) (fits func(cloud.PoolStatus) bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		t, err := typeTx(tx, c, kind)
		_, refused := s.plan("volume.Fits", t)
		fits = func(p cloud.PoolStatus) bool { return refused == nil && schedule.Lacks(p, t.ExtraSpecs) == "" }
		return err
	})
	return fits, err
}

// LogLevel is the level of what is logged, in Python's words.
func (s *Service) LogLevel(ctx context.Context) string {
	h := s.log.Handler()
	switch {
	case h.Enabled(ctx, slog.LevelDebug):
		return "DEBUG"
	case h.Enabled(ctx, slog.LevelInfo):
		return "INFO"
	case h.Enabled(ctx, slog.LevelWarn):
		return "WARNING"
	}
	return "ERROR"
}
