package identity

import (
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// target is where roles are held: exactly one of the three, or nowhere.
type target struct {
	project, domain string
	system          bool
}

func (t target) none() bool { return t == target{} }

// rolesAt are the roles that a user holds in a place, implied ones included, in
// the order of their names.
func rolesAt(tx *store.Tx, userID string, t target) ([]cloud.Role, error) {
	assignments, err := heldBy(tx, userID)
	if err != nil {
		return nil, err
	}
	above, domain, err := ancestors(tx, t.project)
	if err != nil {
		return nil, err
	}
	held := map[string]bool{}
	for _, a := range assignments {
		if counts(a, t, above, domain) {
			held[a.RoleID] = true
		}
	}
	return expand(tx, held)
}

// counts tells whether an assignment gives its role in a place: directly, or as
// an inherited one from the project's domain or a project above.
func counts(a cloud.Assignment, t target, above []string, domain string) bool {
	switch {
	case t.none():
		return false
	case t.system:
		return a.System && !a.Inherited
	case t.domain != "":
		return a.DomainID == t.domain && !a.Inherited
	case a.Inherited:
		return a.DomainID != "" && a.DomainID == domain || slices.Contains(above, a.ProjectID)
	}
	return a.ProjectID == t.project
}

// maxDepth bounds a tree of projects (keystone: max_project_tree_depth).
const maxDepth = 5

// ancestors are the projects above a project, the nearest first, and its domain.
// Nothing for none.
func ancestors(tx *store.Tx, projectID string) (above []string, domain string, err error) {
	for id := projectID; id != "" && id != domain && len(above) <= maxDepth; {
		p, err := tx.Projects.Get(id)
		if err != nil {
			return nil, "", err
		}
		if id != projectID {
			above = append(above, id)
		}
		id, domain = p.ParentID, p.DomainID
	}
	return above, domain, nil
}

// expand gives roles by their ids, with those that they imply. Roles of a domain
// count only for what they imply.
func expand(tx *store.Tx, held map[string]bool) ([]cloud.Role, error) {
	if len(held) == 0 {
		return nil, nil
	}
	rules, err := implications(tx)
	if err != nil {
		return nil, err
	}
	want := map[string]bool{}
	for id := range held {
		for _, implied := range closure(rules, id) {
			want[implied] = true
		}
	}
	all, err := tx.Roles.List(store.Query{Order: []store.Order{{Column: "name"}}})
	return slices.DeleteFunc(all, func(r cloud.Role) bool { return !want[r.ID] || r.DomainID != "" }), err
}

// fill puts roles into a caller.
func fill(c *cloud.Caller, roles []cloud.Role) {
	for _, r := range roles {
		c.Roles = append(c.Roles, r.Name)
		c.RoleIDs = append(c.RoleIDs, r.ID)
	}
}
