package compute

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/store"
)

// ServerGroupDetail is a server group with the servers in it, the oldest first.
type ServerGroupDetail struct {
	cloud.ServerGroup
	Members []string // ids
}

// noServerGroup is nova's way to say that a server group is not there.
func noServerGroup(op, id string) error {
	return cloud.E(op, cloud.NotFound, "Instance group %s could not be found.", id)
}

// serverGroupTx gives a server group that is the caller's to see.
func serverGroupTx(tx *store.Tx, op string, c cloud.Caller, id string) (cloud.ServerGroup, error) {
	g, err := tx.ServerGroups.Get(id)
	if cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(g.ProjectID) {
		return cloud.ServerGroup{}, noServerGroup(op, id)
	}
	return g, err
}

// members adds the servers of groups: those that were made in them.
func members(tx *store.Tx, groups []cloud.ServerGroup) ([]ServerGroupDetail, error) {
	out := make([]ServerGroupDetail, len(groups))
	place := map[string]int{}
	projects := map[string]string{}
	for i, g := range groups {
		out[i].ServerGroup, place[g.ID], projects[g.ProjectID] = g, i, ""
	}
	servers, err := tx.Servers.List(store.Query{Where: []store.Cond{store.In("project_id", keys(projects)...)}, Order: []store.Order{{Column: "created_at"}}})
	for _, v := range servers {
		if i, ok := place[schedule.GroupOf(v)]; ok && v.ProjectID == groups[i].ProjectID {
			out[i].Members = append(out[i].Members, v.ID)
		}
	}
	return out, err
}

// CreateServerGroup makes a server group within the quota.
func (s *Service) CreateServerGroup(ctx context.Context, c cloud.Caller, g cloud.ServerGroup) (ServerGroupDetail, error) {
	const op = "compute.CreateServerGroup"
	g.ID, g.ProjectID, g.UserID, g.CreatedAt = cloud.NewID(), c.ProjectID, c.UserID, s.clock.Now()
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		for _, who := range []struct {
			user  string
			conds []store.Cond
		}{{"", nil}, {c.UserID, []store.Cond{store.Eq("user_id", c.UserID)}}} {
			limits, err := quotas.LimitsTx(tx, c.ProjectID, who.user)
			if err != nil {
				return err
			}
			n, err := tx.ServerGroups.Count(append(who.conds, store.Eq("project_id", c.ProjectID))...)
			if err != nil {
				return err
			}
			if most := limits["server_groups"]; most >= 0 && n >= most {
				return cloud.E(op, cloud.QuotaExceeded, "Quota exceeded, too many server groups.")
			}
		}
		return tx.ServerGroups.Insert(g)
	})
	return ServerGroupDetail{ServerGroup: g}, err
}

// ServerGroup gives a server group; NotFound.
func (s *Service) ServerGroup(ctx context.Context, c cloud.Caller, id string) (d ServerGroupDetail, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		g, err := serverGroupTx(tx, "compute.ServerGroup", c, id)
		if err != nil {
			return err
		}
		list, err := members(tx, []cloud.ServerGroup{g})
		if err == nil {
			d = list[0]
		}
		return err
	})
	return d, err
}

// ServerGroupList lists the server groups of the caller's project, or for an admin
// those of all, in the order they were made.
func (s *Service) ServerGroupList(ctx context.Context, c cloud.Caller, all bool) (list []ServerGroupDetail, err error) {
	q := store.Query{Order: []store.Order{{Column: "created_at"}}}
	if !all || !c.IsAdmin() {
		q.Where = []store.Cond{store.Eq("project_id", c.ProjectID)}
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		groups, err := tx.ServerGroups.List(q)
		if err == nil {
			list, err = members(tx, groups)
		}
		return err
	})
	return list, err
}

// DeleteServerGroup removes a server group. Its servers stay where they are.
func (s *Service) DeleteServerGroup(ctx context.Context, c cloud.Caller, id string) error {
	const op = "compute.DeleteServerGroup"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		if _, err := serverGroupTx(tx, op, c, id); err != nil {
			return err
		}
		return tx.ServerGroups.Delete(id)
	})
}

// checkHints refuses hints that cannot be meant, and servers beyond the quota of
// the members of a group.
func checkHints(tx *store.Tx, op string, c cloud.Caller, hints map[string][]string, n int) error {
	if text := hints["query"]; len(text) > 0 {
		if err := schedule.CheckQuery(text[0]); err != nil {
			return cloud.E(op, cloud.Invalid, "The scheduler hint query cannot be asked: %w", err)
		}
	}
	id := hints["group"]
	if len(id) == 0 {
		return nil
	}
	g, err := serverGroupTx(tx, op, c, id[0])
	if err != nil {
		return asInvalid(op, err)
	}
	limits, err := quotas.LimitsTx(tx, c.ProjectID, c.UserID)
	if err != nil {
		return err
	}
	list, err := members(tx, []cloud.ServerGroup{g})
	if err != nil {
		return err
	}
	if most := limits["server_group_members"]; most >= 0 && len(list[0].Members)+n > most {
		return cloud.E(op, cloud.QuotaExceeded, "Quota exceeded, too many servers in group")
	}
	return nil
}
