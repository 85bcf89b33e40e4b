package volume

import (
	"context"
	"log/slog"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Host is a node with what of the service is on it.
type Host struct {
	cloud.Host
	Up bool
	// Uses is what each project has there.
	Uses map[string]HostUse
}

// HostUse is what a project has on a host.
type HostUse struct{ Volumes, Snapshots, VolumeGB, SnapshotGB int }

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

func usesTx(tx *store.Tx, node string) (map[string]HostUse, error) {
	uses := map[string]HostUse{}
	volumes, err := tx.Volumes.List(store.Where(store.Eq("node", node)))
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		u := uses[v.ProjectID]
		u.Volumes, u.VolumeGB = u.Volumes+1, u.VolumeGB+v.SizeGB
		uses[v.ProjectID] = u
	}
	snapshots, err := tx.Snapshots.List(store.Where(store.Eq("node", node)))
	for _, v := range snapshots {
		u := uses[v.ProjectID]
		u.Snapshots, u.SnapshotGB = u.Snapshots+1, u.SnapshotGB+v.SizeGB
		uses[v.ProjectID] = u
	}
	return uses, err
}

// EnableHost says whether new volumes may be made on a node; NotFound.
func (s *Service) EnableHost(ctx context.Context, name string, enabled bool, reason string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		h, err := tx.Hosts.Get(name)
		if cloud.Is(err, cloud.NotFound) {
			return cloud.E("volume.EnableHost", cloud.NotFound, "Service cinder-volume on host %s could not be found.", name)
		}
		if err != nil {
			return err
		}
		h.VolumesDisabled, h.VolumesReason = !enabled, reason
		return tx.Hosts.Update(h)
	})
}

// Zones lists the availability zones and whether one of their hosts takes
// volumes.
func (s *Service) Zones(ctx context.Context) (map[string]bool, error) {
	hosts, err := s.Hosts(ctx, false)
	zones := map[string]bool{}
	for _, h := range hosts {
		zones[h.AvailabilityZone] = zones[h.AvailabilityZone] || h.Up && !h.VolumesDisabled
	}
	return zones, err
}

// Now is the service's time.
func (s *Service) Now() time.Time { return s.clock.Now() }

// Fits tells whether the pools here are fit for volumes of a type, by id or name;
// NotFound.
func (s *Service) Fits(ctx context.Context, c cloud.Caller, kind string) (fits bool, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		t, err := typeTx(tx, c, kind)
		fits = err == nil && unfit(t.ExtraSpecs) == "" && t.Encryption == nil
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
