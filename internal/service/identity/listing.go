package identity

import (
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// AssignmentFilter says which assignments a list holds. Empty fields do not
// filter.
type AssignmentFilter struct {
	UserID, GroupID, RoleID, ProjectID, DomainID string
	System                                       bool
	Inherited                                    bool // those for the projects below, alone
	Subtree                                      bool // those of the projects below ProjectID too
	Effective                                    bool // of groups, implied and inherited ones are worked out
}

// AssignmentNames are the nouns that a list of assignments names, by their ids.
type AssignmentNames struct {
	Users    map[string]cloud.User
	Groups   map[string]cloud.Group
	Roles    map[string]cloud.Role
	Projects map[string]cloud.Project
	Domains  map[string]cloud.Domain
}

// Listed is an assignment, and for one that was worked out what it came from.
type Listed struct {
	cloud.Assignment
	From  cloud.Assignment // the assignment that was made; equal if nothing was worked out
	Prior string           // the id of the role that implies this one, or ""
}

// Assignments lists assignments, and all that they name.
func (s *Service) Assignments(ctx context.Context, f AssignmentFilter) (out []Listed, names AssignmentNames, err error) {
	err = s.view(ctx, func(tx *store.Tx) error {
		all, err := tx.Assignments.List(store.Query{})
		if err != nil {
			return err
		}
		if names, err = nounsOf(tx); err != nil {
			return err
		}
		out = make([]Listed, 0, len(all))
		for _, a := range all {
			out = append(out, Listed{Assignment: a, From: a})
		}
		if f.Effective {
			if out, err = effective(tx, all, names); err != nil {
				return err
			}
		}
		within := names.tree(f)
		out = slices.DeleteFunc(out, func(a Listed) bool { return !f.holds(a.Assignment, within) })
		return nil
	})
	return out, names, err
}

// tree is the filter's project, with those below it if they are wanted.
func (n AssignmentNames) tree(f AssignmentFilter) map[string]bool {
	within := map[string]bool{f.ProjectID: true}
	for id, p := range n.Projects {
		if f.Subtree && n.under(p, cloud.Assignment{ProjectID: f.ProjectID}) {
			within[id] = true
		}
	}
	return within
}

func (f AssignmentFilter) holds(a cloud.Assignment, within map[string]bool) bool {
	same := func(want, is string) bool { return want == "" || want == is }
	return same(f.UserID, a.UserID) && same(f.GroupID, a.GroupID) && same(f.RoleID, a.RoleID) && same(f.DomainID, a.DomainID) &&
		(f.ProjectID == "" || within[a.ProjectID]) && (!f.System || a.System) && (!f.Inherited || a.Inherited)
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
	groups, err := tx.Groups.List(store.Query{})
	if n.Groups, err = byID(groups, err, func(g cloud.Group) string { return g.ID }); err != nil {
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

// effective works out what assignments amount to: one of a group is one of each
// of its users, an inherited one is one on each project below, and each comes
// with the roles that its role implies. Roles of a domain count only for those.
func effective(tx *store.Tx, all []cloud.Assignment, n AssignmentNames) ([]Listed, error) {
	rules, err := implications(tx)
	if err != nil {
		return nil, err
	}
	members, err := tx.Memberships.List(store.Query{})
	if err != nil {
		return nil, err
	}
	seen := map[string]Listed{}
	for _, made := range all {
		for _, a := range n.places(made, members) {
			for _, role := range closure(rules, made.RoleID) {
				if n.Roles[role].DomainID != "" {
					continue
				}
				found := Listed{Assignment: a, From: made}
				found.RoleID = role
				if role != made.RoleID {
					found.Prior = made.RoleID
				}
				found.ID = found.Key()
				if _, there := seen[found.ID]; !there || found.Prior == "" {
					seen[found.ID] = found
				}
			}
		}
	}
	out := make([]Listed, 0, len(seen))
	for _, a := range seen {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Listed) int { return compareNames(a.ID, b.ID, "", "") })
	return out, nil
}

// places are who holds the role of an assignment where.
func (n AssignmentNames) places(made cloud.Assignment, members []cloud.Membership) (out []cloud.Assignment) {
	users := []string{made.UserID}
	if made.GroupID != "" {
		users = nil
		for _, m := range members {
			if m.GroupID == made.GroupID {
				users = append(users, m.UserID)
			}
		}
	}
	for _, user := range users {
		a := cloud.Assignment{UserID: user, RoleID: made.RoleID, ProjectID: made.ProjectID, DomainID: made.DomainID, System: made.System}
		if !made.Inherited {
			out = append(out, a)
			continue
		}
		for _, p := range n.Projects {
			if n.under(p, made) {
				a.ProjectID, a.DomainID = p.ID, ""
				out = append(out, a)
			}
		}
	}
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
