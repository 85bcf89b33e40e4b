package identity

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Grant gives a user a role on a target; doing it twice is doing it once.
// NotFound for what does not exist.
func (s *Service) Grant(ctx context.Context, a cloud.Assignment) error {
	return s.update(ctx, func(tx *store.Tx) error {
		if err := exists(tx, a); err != nil {
			return err
		}
		a.ID = a.Key()
		return tx.Assignments.Put(a)
	})
}

// exists looks for all that an assignment names.
func exists(tx *store.Tx, a cloud.Assignment) error {
	if _, err := tx.Users.Get(a.UserID); err != nil {
		return err
	}
	if a.ProjectID != "" {
		if _, err := tx.Projects.Get(a.ProjectID); err != nil {
			return err
		}
	}
	if a.DomainID != "" {
		if _, err := tx.Domains.Get(a.DomainID); err != nil {
			return err
		}
	}
	if a.RoleID == "" {
		return nil
	}
	_, err := tx.Roles.Get(a.RoleID)
	return err
}

// Granted tells whether an assignment is there; NotFound if not.
func (s *Service) Granted(ctx context.Context, a cloud.Assignment) error {
	return s.view(ctx, func(tx *store.Tx) error {
		_, err := tx.Assignments.Get(a.Key())
		if cloud.Is(err, cloud.NotFound) {
			return cloud.E("identity.Granted", cloud.NotFound, "Could not find role assignment with role: %s, user: %s, project, domain, or system: %s%s.", a.RoleID, a.UserID, a.ProjectID, a.DomainID)
		}
		return err
	})
}

// Ungrant takes a role away; NotFound if it was not given.
func (s *Service) Ungrant(ctx context.Context, a cloud.Assignment) error {
	if err := s.Granted(ctx, a); err != nil {
		return err
	}
	return s.update(ctx, func(tx *store.Tx) error { return tx.Assignments.Delete(a.Key()) })
}

// Grants are the roles that a user was given directly on the assignment's
// target (its RoleID is not looked at); NotFound for a user or target that does
// not exist.
func (s *Service) Grants(ctx context.Context, a cloud.Assignment) ([]cloud.Role, error) {
	a.RoleID = ""
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Role, error) {
		if err := exists(tx, a); err != nil {
			return nil, err
		}
		all, err := tx.Assignments.List(store.Where(store.Eq("user_id", a.UserID)))
		if err != nil {
			return nil, err
		}
		var out []cloud.Role
		for _, b := range all {
			if b.ProjectID != a.ProjectID || b.DomainID != a.DomainID || b.System != a.System || b.Inherited != a.Inherited {
				continue
			}
			r, err := tx.Roles.Get(b.RoleID)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		slices.SortFunc(out, func(a, b cloud.Role) int { return compareNames(a.Name, b.Name, a.ID, b.ID) })
		return out, nil
	})
}

// AssignmentFilter says which assignments a list holds.
type AssignmentFilter struct {
	UserID, RoleID, ProjectID, DomainID string
	System                              bool
	Effective                           bool // implied and inherited ones are worked out
}

// AssignmentNames are the nouns that a list of assignments names, by their ids.
type AssignmentNames struct {
	Users    map[string]cloud.User
	Roles    map[string]cloud.Role
	Projects map[string]cloud.Project
	Domains  map[string]cloud.Domain
}

// Assignments lists assignments, and all that they name.
func (s *Service) Assignments(ctx context.Context, f AssignmentFilter) (out []cloud.Assignment, names AssignmentNames, err error) {
	err = s.view(ctx, func(tx *store.Tx) error {
		var q store.Query
		if f.UserID != "" {
			q = store.Where(store.Eq("user_id", f.UserID))
		}
		all, err := tx.Assignments.List(q)
		if err != nil {
			return err
		}
		if names, err = nounsOf(tx); err != nil {
			return err
		}
		if f.Effective {
			all = effective(all, names)
		}
		out = slices.DeleteFunc(all, func(a cloud.Assignment) bool { return !f.holds(a) })
		return nil
	})
	return out, names, err
}

func (f AssignmentFilter) holds(a cloud.Assignment) bool {
	same := func(want, is string) bool { return want == "" || want == is }
	return same(f.UserID, a.UserID) && same(f.RoleID, a.RoleID) && same(f.ProjectID, a.ProjectID) && same(f.DomainID, a.DomainID) && (!f.System || a.System)
}

func byID[T any](list []T, err error, id func(T) string) (map[string]T, error) {
	out := make(map[string]T, len(list))
	for _, v := range list {
		out[id(v)] = v
	}
	return out, err
}

func nounsOf(tx *store.Tx) (n AssignmentNames, err error) {
	users, err := tx.Users.List(store.Query{})
	if n.Users, err = byID(users, err, func(u cloud.User) string { return u.ID }); err != nil {
		return n, err
	}
	roles, err := tx.Roles.List(store.Query{})
	if n.Roles, err = byID(roles, err, func(r cloud.Role) string { return r.ID }); err != nil {
		return n, err
	}
	projects, err := tx.Projects.List(store.Query{})
	if n.Projects, err = byID(projects, err, func(p cloud.Project) string { return p.ID }); err != nil {
		return n, err
	}
	domains, err := tx.Domains.List(store.Query{})
	n.Domains, err = byID(domains, err, func(d cloud.Domain) string { return d.ID })
	return n, err
}

// effective works out what assignments amount to: an inherited one is one on each
// project below, and each comes with the roles that its role implies.
func effective(all []cloud.Assignment, n AssignmentNames) []cloud.Assignment {
	roleID := map[string]string{}
	for _, r := range n.Roles {
		if r.DomainID == "" {
			roleID[r.Name] = r.ID
		}
	}
	seen := map[string]cloud.Assignment{}
	add := func(a cloud.Assignment) {
		role := n.Roles[a.RoleID]
		seen[a.Key()] = a
		if role.DomainID != "" {
			return
		}
		for _, name := range Implied(role.Name) {
			a.RoleID = roleID[name]
			seen[a.Key()] = a
		}
	}
	for _, a := range all {
		if !a.Inherited {
			add(a)
			continue
		}
		for _, p := range n.Projects {
			if n.under(p, a) {
				add(cloud.Assignment{UserID: a.UserID, RoleID: a.RoleID, ProjectID: p.ID})
			}
		}
	}
	out := make([]cloud.Assignment, 0, len(seen))
	for key, a := range seen {
		a.ID = key
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b cloud.Assignment) int { return compareNames(a.ID, b.ID, "", "") })
	return out
}

// under tells whether a project is below the target of an inherited assignment.
func (n AssignmentNames) under(p cloud.Project, a cloud.Assignment) bool {
	if a.DomainID != "" {
		return p.DomainID == a.DomainID
	}
	for range maxDepth {
		if p.ParentID == a.ProjectID {
			return true
		}
		parent, ok := n.Projects[p.ParentID]
		if !ok {
			return false
		}
		p = parent
	}
	return false
}
