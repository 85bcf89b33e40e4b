package compute

import (
	"context"
	"maps"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// quotaService names compute's rows among the quotas; defaultQuota is the row
// for projects that have none.
const (
	quotaService = "compute"
	defaultQuota = "default:compute"
)

// Usage is what a project uses of its quota.
type Usage struct{ Instances, Cores, RAM int }

// quotaTx gives the limits set in a quota row; none set is no error.
func quotaTx(tx *store.Tx, project string) (map[string]int, error) {
	q, err := tx.Quotas.Get(cloud.Quota{Service: quotaService, ProjectID: project}.Key())
	if cloud.Is(err, cloud.NotFound) {
		return nil, nil
	}
	return q.Limits, err
}

// limitsTx gives a project's limits: its own over the operator's defaults over
// those built in.
func limitsTx(tx *store.Tx, project string) (map[string]int, error) {
	limits := cloud.DefaultQuota(quotaService)
	for _, id := range []string{defaultQuota, project} {
		set, err := quotaTx(tx, id)
		if err != nil {
			return nil, err
		}
		maps.Copy(limits, set)
	}
	return limits, nil
}

// usageTx counts what a project uses. A server counts until its row is gone.
func usageTx(tx *store.Tx, project string) (u Usage, err error) {
	servers, err := tx.Servers.List(store.Where(store.Eq("project_id", project)))
	for _, s := range servers {
		u.Instances++
		u.Cores += s.Flavor.VCPUs
		u.RAM += s.Flavor.MemoryMB
	}
	return u, err
}

// Quota gives a project's limits and what it uses of them.
func (s *Service) Quota(ctx context.Context, c cloud.Caller, project string) (limits map[string]int, used Usage, err error) {
	if !c.Owns(project) {
		return nil, used, cloud.E("compute.Quota", cloud.Forbidden, "Policy doesn't allow the quota of another project to be shown.")
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
		limits, err = limitsTx(tx, defaultQuota)
		return err
	})
	return limits, err
}

// SetDefaultQuota changes the limits of projects that have none of their own.
func (s *Service) SetDefaultQuota(ctx context.Context, set map[string]int) (map[string]int, error) {
	return s.SetQuota(ctx, defaultQuota, set, true)
}

// SetQuota changes limits of a project. One below what is used is Invalid,
// unless forced.
func (s *Service) SetQuota(ctx context.Context, project string, set map[string]int, force bool) (limits map[string]int, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if !force {
			if err := aboveUsage(tx, project, set); err != nil {
				return err
			}
		}
		own, err := quotaTx(tx, project)
		if err != nil {
			return err
		}
		merged := maps.Clone(own)
		if merged == nil {
			merged = map[string]int{}
		}
		maps.Copy(merged, set)
		if err := tx.Quotas.Put(cloud.Quota{Service: quotaService, ProjectID: project, Limits: merged}); err != nil {
			return err
		}
		limits, err = limitsTx(tx, project)
		return err
	})
	return limits, err
}

// aboveUsage refuses limits below what a project uses already.
func aboveUsage(tx *store.Tx, project string, set map[string]int) error {
	used, err := usageTx(tx, project)
	if err != nil {
		return err
	}
	for name, n := range used.byName() {
		if limit, ok := set[name]; ok && limit >= 0 && limit < n {
			return cloud.E("compute.SetQuota", cloud.Invalid, "Quota limit %d for %s must be greater than or equal to already used and reserved %d.", limit, name, n)
		}
	}
	return nil
}

// byName gives the usage by nova's resource names.
func (u Usage) byName() map[string]int {
	return map[string]int{"instances": u.Instances, "cores": u.Cores, "ram": u.RAM}
}

// Of gives the usage of a resource by nova's name; 0 for one that is not counted
// by project.
func (u Usage) Of(name string) int { return u.byName()[name] }

// DeleteQuota takes a project back to the defaults.
func (s *Service) DeleteQuota(ctx context.Context, project string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		err := tx.Quotas.Delete(cloud.Quota{Service: quotaService, ProjectID: project}.Key())
		if cloud.Is(err, cloud.NotFound) {
			return nil
		}
		return err
	})
}

// admitTx says how many servers of a size, between min and max of them, the
// project's quota has room for. QuotaExceeded, in nova's words, when not even
// min.
func admitTx(tx *store.Tx, op, project string, f cloud.Flavor, min, max int) (int, error) {
	limits, err := limitsTx(tx, project)
	if err != nil {
		return 0, err
	}
	used, err := usageTx(tx, project)
	if err != nil {
		return 0, err
	}
	room := max
	for _, r := range []struct {
		name      string
		each, use int
	}{{"instances", 1, used.Instances}, {"cores", f.VCPUs, used.Cores}, {"ram", f.MemoryMB, used.RAM}} {
		limit := limits[r.name]
		if limit < 0 || r.each == 0 {
			continue
		}
		n := (limit - r.use) / r.each
		if n < min {
			return 0, cloud.E(op, cloud.QuotaExceeded, "Quota exceeded for %s: Requested %d, but already used %d of %d %s",
				r.name, r.each*min, r.use, limit, r.name)
		}
		if n < room {
			room = n
		}
	}
	return room, nil
}

// growthTx refuses when a project has no room for more processors or memory.
func growthTx(tx *store.Tx, op, project string, cores, ram int) error {
	limits, err := limitsTx(tx, project)
	if err != nil {
		return err
	}
	used, err := usageTx(tx, project)
	if err != nil {
		return err
	}
	for _, r := range []struct {
		name      string
		more, use int
	}{{"cores", cores, used.Cores}, {"ram", ram, used.RAM}} {
		if limit := limits[r.name]; r.more > 0 && limit >= 0 && r.use+r.more > limit {
			return cloud.E(op, cloud.QuotaExceeded, "Quota exceeded for %s: Requested %d, but already used %d of %d %s", r.name, r.more, r.use, limit, r.name)
		}
	}
	return nil
}
