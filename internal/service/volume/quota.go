package volume

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/service/quota"
	"hearth/internal/store"
)

// quotas are the limits of volumes: for every volume type there are three of its
// own.
var quotas = quota.Book{Service: "volume", More: func(tx *store.Tx) (map[string]int, error) {
	types, err := tx.VolumeTypes.List(store.Query{})
	limits := map[string]int{}
	for _, t := range types {
		for _, kind := range []string{"volumes_", "gigabytes_", "snapshots_"} {
			limits[kind+t.Name] = -1
		}
	}
	return limits, err
}}

// limitsTx gives a project's limits.
func limitsTx(tx *store.Tx, project string) (map[string]int, error) {
	return quotas.LimitsTx(tx, project, "")
}

// usageTx counts what a project uses, by cinder's names. A volume and a snapshot
// count until their rows are gone; what an extension asks for counts at once.
func usageTx(tx *store.Tx, project string) (map[string]int, error) {
	used := map[string]int{}
	types, err := tx.VolumeTypes.List(store.Query{})
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, t := range types {
		names[t.ID] = t.Name
	}
	volumes, err := tx.Volumes.List(store.Where(store.Eq("project_id", project)))
	if err != nil {
		return nil, err
	}
	for _, v := range volumes {
		used["volumes"]++
		used["gigabytes"] += v.SizeGB
		used["volumes_"+names[v.TypeID]]++
		used["gigabytes_"+names[v.TypeID]] += v.SizeGB
	}
	snapshots, err := tx.Snapshots.List(store.Where(store.Eq("project_id", project)))
	for _, s := range snapshots {
		used["snapshots"]++
		used["gigabytes"] += s.SizeGB
		used["snapshots_"+names[s.TypeID]]++
		used["gigabytes_"+names[s.TypeID]] += s.SizeGB
	}
	if err != nil {
		return nil, err
	}
	backups, err := tx.Backups.List(store.Where(store.Eq("project_id", project)))
	if err != nil {
		return nil, err
	}
	for _, b := range backups {
		used["backups"]++
		used["backup_gigabytes"] += b.SizeGB
	}
	used["groups"], err = tx.VolumeGroups.Count(store.Eq("project_id", project))
	return used, err
}

// demand is what a request adds to a project's usage.
type demand struct {
	volumes, snapshots, gigabytes int
	largest                       int // gigabytes of one volume
}

// admit is QuotaExceeded, in cinder's words, when a project has no room.
func admit(tx *store.Tx, op, project, kind string, want demand) error {
	limits, err := limitsTx(tx, project)
	if err != nil {
		return err
	}
	used, err := usageTx(tx, project)
	if err != nil {
		return err
	}
	if most := limits["per_volume_gigabytes"]; most >= 0 && want.largest > most {
		return cloud.E(op, cloud.QuotaExceeded, "VolumeSizeExceedsLimit: Requested volume size %dG is larger than maximum allowed limit %dG.", want.largest, most)
	}
	for _, suffix := range []string{"", "_" + kind} {
		for _, r := range []struct {
			name string
			n    int
		}{{"gigabytes", want.gigabytes}, {"volumes", want.volumes}, {"snapshots", want.snapshots}} {
			name := r.name + suffix
			limit, have := limits[name]
			if !have || limit < 0 || r.n == 0 || used[name]+r.n <= limit {
				continue
			}
			if r.name == "gigabytes" {
				return cloud.E(op, cloud.QuotaExceeded, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed %s quota. Requested %dG, quota is %dG and %dG has been consumed.", name, r.n, limit, used[name])
			}
			if r.name == "snapshots" {
				return cloud.E(op, cloud.QuotaExceeded, "SnapshotLimitExceeded: Maximum number of snapshots allowed (%d) exceeded for quota '%s'.", limit, name)
			}
			return cloud.E(op, cloud.QuotaExceeded, "VolumeLimitExceeded: Maximum number of volumes allowed (%d) exceeded for quota '%s'.", limit, name)
		}
	}
	return nil
}

// Quota gives a project's limits and what it uses of them.
func (s *Service) Quota(ctx context.Context, c cloud.Caller, project string) (limits, used map[string]int, err error) {
	if !c.Owns(project) {
		return nil, nil, cloud.E("volume.Quota", cloud.Forbidden, "Policy doesn't allow the quota of another project to be shown.")
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if limits, err = limitsTx(tx, project); err == nil {
			used, err = usageTx(tx, project)
		}
		return err
	})
	return limits, used, err
}

// DefaultQuota gives the limits of projects that have none of their own.
func (s *Service) DefaultQuota(ctx context.Context) (limits map[string]int, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		limits, err = limitsTx(tx, quotas.Defaults())
		return err
	})
	return limits, err
}

// SetDefaultQuota changes the limits of projects that have none of their own.
func (s *Service) SetDefaultQuota(ctx context.Context, set map[string]int) (map[string]int, error) {
	return s.SetQuota(ctx, quotas.Defaults(), set)
}

// SetQuota changes limits of a project; -1 is no limit. Names that there are not
// are Invalid.
func (s *Service) SetQuota(ctx context.Context, project string, set map[string]int) (limits map[string]int, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		limits, err = quotas.SetTx(tx, "volume.SetQuota", project, "", set)
		return err
	})
	return limits, err
}

// DeleteQuota takes a project back to the defaults.
func (s *Service) DeleteQuota(ctx context.Context, project string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		return quotas.DeleteTx(tx, project, "")
	})
}

// ignore drops an error of a kind that is as good as success.
func ignore(err error, kind cloud.Kind) error {
	if cloud.Is(err, kind) {
		return nil
	}
	return err
}
