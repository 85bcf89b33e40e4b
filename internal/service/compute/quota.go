package compute

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/service/quota"
	"hearth/internal/store"
)

// quotas are the limits of compute.
var quotas = quota.Book{Service: "compute"}

// Usage is what a project, or a user in it, uses of its quota.
type Usage struct{ Instances, Cores, RAM, ServerGroups, KeyPairs int }

// limitsTx gives a project's limits.
func limitsTx(tx *store.Tx, project string) (map[string]int, error) {
	return quotas.LimitsTx(tx, project, "")
}

// usageTx counts what a project uses. A server counts until its row is gone, or it
// is in the trash, as in nova.
func usageTx(tx *store.Tx, project string) (Usage, error) { return usageOfTx(tx, project, "") }

// usageOfTx counts what a user uses in a project; "" for all users. Keypairs are
// users' own: of a project there are none.
func usageOfTx(tx *store.Tx, project, user string) (u Usage, err error) {
	where := []store.Cond{store.Eq("project_id", project)}
	if user != "" {
		where = append(where, store.Eq("user_id", user))
		if u.KeyPairs, err = tx.Keypairs.Count(store.Eq("user_id", user)); err != nil {
			return u, err
		}
	}
	servers, err := tx.Servers.Shared(store.Where(where...))
	if err != nil {
		return u, err
	}
	for _, s := range servers {
		if s.Trash != nil {
			continue
		}
		u.Instances++
		u.Cores += s.Flavor.VCPUs
		u.RAM += s.Flavor.MemoryMB
	}
	u.ServerGroups, err = tx.ServerGroups.Count(where...)
	return u, err
}

// Quota gives the limits of a project, or of a user in it, and what is used of
// them.
func (s *Service) Quota(ctx context.Context, c cloud.Caller, project, user string) (limits map[string]int, used Usage, err error) {
	if !c.Owns(project) {
		return nil, used, cloud.E("compute.Quota", cloud.Forbidden, "Policy doesn't allow the quota of another project to be shown.")
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if limits, err = quotas.LimitsTx(tx, project, user); err == nil {
			used, err = usageOfTx(tx, project, user)
		}
		return err
	})
	return limits, used, err
}

// ClassQuota gives the limits of a quota class: "default" is that of projects that
// have none of their own.
func (s *Service) ClassQuota(ctx context.Context, class string) (limits map[string]int, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		limits, err = quotas.LimitsTx(tx, quotas.Class(class), "")
		return err
	})
	return limits, err
}

// SetClassQuota changes the limits of a quota class.
func (s *Service) SetClassQuota(ctx context.Context, class string, set map[string]int) (limits map[string]int, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		limits, err = quotas.SetTx(tx, "compute.SetClassQuota", quotas.Class(class), "", set)
		return err
	})
	return limits, err
}

// SetQuota changes limits of a project, or of a user in it. One below what is
// used, or of a user above the project's, is Invalid, unless forced.
func (s *Service) SetQuota(ctx context.Context, project, user string, set map[string]int, force bool) (limits map[string]int, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if !force {
			if err := settable(tx, project, user, set); err != nil {
				return err
			}
		}
		limits, err = quotas.SetTx(tx, "compute.SetQuota", project, user, set)
		return err
	})
	return limits, err
}

// settable refuses limits below what is used already, and a user's above the
// project's.
func settable(tx *store.Tx, project, user string, set map[string]int) error {
	const op = "compute.SetQuota"
	used, err := usageOfTx(tx, project, user)
	if err != nil {
		return err
	}
	most, err := limitsTx(tx, project)
	if err != nil {
		return err
	}
	for name, limit := range set {
		if n := used.Of(name); limit >= 0 && limit < n {
			return cloud.E(op, cloud.Invalid, "Quota limit %d for %s must be greater than or equal to already used and reserved %d.", limit, name, n)
		}
		if m := most[name]; user != "" && m >= 0 && (limit < 0 || limit > m) {
			return cloud.E(op, cloud.Invalid, "Quota limit %d for %s must be less than or equal to %d.", limit, name, m)
		}
	}
	return nil
}

// Of gives the usage of a resource by nova's name; 0 for one that is not counted
// by project.
func (u Usage) Of(name string) int {
	return map[string]int{"instances": u.Instances, "cores": u.Cores, "ram": u.RAM, "server_groups": u.ServerGroups, "key_pairs": u.KeyPairs}[name]
}

// DeleteQuota takes a project, or a user in it, back to the defaults.
func (s *Service) DeleteQuota(ctx context.Context, project, user string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error { return quotas.DeleteTx(tx, project, user) })
}

// admitTx says how many servers of a size, between min and max of them, the
// quotas of a project and of its user have room for. QuotaExceeded, in nova's
// words, when not even min.
func admitTx(tx *store.Tx, op string, c cloud.Caller, f cloud.Flavor, min, max int) (int, error) {
	room := max
	for _, user := range []string{"", c.UserID} {
		limits, err := quotas.LimitsTx(tx, c.ProjectID, user)
		if err != nil {
			return 0, err
		}
		used, err := usageOfTx(tx, c.ProjectID, user)
		if err != nil {
			return 0, err
		}
		for _, r := range []struct {
			name string
			each int
		}{{"instances", 1}, {"cores", f.VCPUs}, {"ram", f.MemoryMB}} {
			limit := limits[r.name]
			if limit < 0 || r.each == 0 {
				continue
			}
			n := (limit - used.Of(r.name)) / r.each
			if n < min {
				return 0, overQuota(op, r.name, r.each*min, used.Of(r.name), limit)
			}
			if n < room {
				room = n
			}
		}
	}
	return room, nil
}

// overQuota is QuotaExceeded in nova's words.
func overQuota(op, name string, more, used, limit int) error {
	return cloud.E(op, cloud.QuotaExceeded, "Quota exceeded for %s: Requested %d, but already used %d of %d %s", name, more, used, limit, name)
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
		name string
		more int
	}{{"cores", cores}, {"ram", ram}} {
		if limit := limits[r.name]; r.more > 0 && limit >= 0 && used.Of(r.name)+r.more > limit {
			return overQuota(op, r.name, r.more, used.Of(r.name), limit)
		}
	}
	return nil
}
