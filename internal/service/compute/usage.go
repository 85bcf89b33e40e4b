package compute

import (
	"cmp"
	"context"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// ServerUsage is how long a server, present or past, was there.
type ServerUsage struct {
	ID, Name, ProjectID string
	Flavor              cloud.Flavor
	State               string // its VM state, or "terminated"
	StartedAt           time.Time
	EndedAt             time.Time // zero while it is there
}

// Hours is how long it was there from start to end.
func (u ServerUsage) Hours(start, end time.Time) float64 {
	if u.StartedAt.After(start) {
		start = u.StartedAt
	}
	if !u.EndedAt.IsZero() && u.EndedAt.Before(end) {
		end = u.EndedAt
	}
	return max(0, end.Sub(start).Hours())
}

// Uptime is how long it has been, or was, there in all.
func (u ServerUsage) Uptime(now time.Time) time.Duration {
	if !u.EndedAt.IsZero() {
		now = u.EndedAt
	}
	return now.Sub(u.StartedAt)
}

// Now is the service's time.
func (s *Service) Now() time.Time { return s.clock.Now() }

// UsageFilter says which servers a report is about.
type UsageFilter struct {
	Project    string // "" for all, which is an admin's
	Start, End time.Time
	Marker     string // the id of the server before the first
	Limit      int    // 0 for none
}

// Usages lists the servers, those that are gone too, that were there between two
// moments, by project and id. Forbidden, Invalid.
func (s *Service) Usages(ctx context.Context, c cloud.Caller, f UsageFilter) (list []ServerUsage, err error) {
	const op = "compute.Usages"
	if !c.Owns(f.Project) {
		return nil, cloud.E(op, cloud.Forbidden, "Policy doesn't allow the usage of another project to be shown.")
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		list, err = f.all(tx)
		return err
	})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(u ServerUsage) bool {
		return u.StartedAt.IsZero() || !u.StartedAt.Before(f.End) || !u.EndedAt.IsZero() && !u.EndedAt.After(f.Start)
	})
	slices.SortFunc(list, func(a, b ServerUsage) int {
		return cmp.Or(cmp.Compare(a.ProjectID, b.ProjectID), cmp.Compare(a.ID, b.ID))
	})
	if f.Marker != "" {
		i := slices.IndexFunc(list, func(u ServerUsage) bool { return u.ID == f.Marker })
		if i < 0 {
			return nil, cloud.E(op, cloud.Invalid, "Marker %s could not be found.", f.Marker)
		}
		list = list[i+1:]
	}
	if f.Limit > 0 && len(list) > f.Limit {
		list = list[:f.Limit]
	}
	return list, nil
}

// all reads the servers that are there, and those that went after the start.
func (f UsageFilter) all(tx *store.Tx) (list []ServerUsage, err error) {
	var mine []store.Cond
	if f.Project != "" {
		mine = append(mine, store.Eq("project_id", f.Project))
	}
	servers, err := tx.Servers.List(store.Where(mine...))
	if err != nil {
		return nil, err
	}
	for _, v := range servers {
		u := ServerUsage{ID: v.ID, Name: v.Name, ProjectID: v.ProjectID, Flavor: v.Flavor, State: v.VMState()}
		if v.LaunchedAt != nil {
			u.StartedAt = *v.LaunchedAt
		}
		list = append(list, u)
	}
	past, err := tx.PastServers.List(store.Where(append(mine, store.Cond{Column: "ended_at", Op: store.OpGt, Value: f.Start})...))
	for _, v := range past {
		u := ServerUsage{ID: v.ID, Name: v.Name, ProjectID: v.ProjectID, Flavor: v.Flavor, State: "terminated", EndedAt: v.EndedAt}
		if v.LaunchedAt != nil {
			u.StartedAt = *v.LaunchedAt
		}
		list = append(list, u)
	}
	return list, err
}
