package identity

import (
	"context"
	"maps"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Project gives a project; NotFound.
func (s *Service) Project(ctx context.Context, id string) (cloud.Project, error) {
	return read(ctx, s, func(tx *store.Tx) (cloud.Project, error) { return tx.Projects.Get(id) })
}

// Projects lists projects.
func (s *Service) Projects(ctx context.Context, f Filter) ([]cloud.Project, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Project, error) {
		return tx.Projects.List(f.query("name", "domain_id", "parent_id", "enabled"))
	})
}

// CreateProject makes a project below its ParentID, or at the top of its domain.
// Invalid for a domain or a parent that does not fit, Conflict for a name.
func (s *Service) CreateProject(ctx context.Context, p cloud.Project) (cloud.Project, error) {
	if p.ID == "" {
		p.ID = cloud.NewHexID()
	}
	return write(ctx, s, func(tx *store.Tx) (cloud.Project, error) {
		if err := settle(tx, &p); err != nil {
			return p, err
		}
		return p, taken(tx.Projects.Insert(p), "project", p.Name)
	})
}

// settle finds the place of a new project.
func settle(tx *store.Tx, p *cloud.Project) error {
	const op = "identity.CreateProject"
	if p.ParentID != "" && p.ParentID != p.DomainID {
		parent, err := tx.Projects.Get(p.ParentID)
		if cloud.Is(err, cloud.NotFound) && p.DomainID == "" {
			p.DomainID = p.ParentID // it may be a domain
		} else if err != nil {
			return err
		} else if err := below(tx, parent, p); err != nil {
			return err
		}
	}
	if p.DomainID == "" {
		p.DomainID = cloud.DefaultDomainID
	}
	if _, err := tx.Domains.Get(p.DomainID); err != nil {
		return cloud.E(op, cloud.KindOf(err), "Could not find domain: %s.", p.DomainID)
	}
	if p.ParentID == "" {
		p.ParentID = p.DomainID
	}
	return nil
}

// below judges a parent of a project.
func below(tx *store.Tx, parent cloud.Project, p *cloud.Project) error {
	const op = "identity.CreateProject"
	if p.DomainID == "" {
		p.DomainID = parent.DomainID
	}
	above, _, err := ancestors(tx, parent.ID)
	switch {
	case err != nil:
		return err
	case parent.DomainID != p.DomainID:
		return cloud.E(op, cloud.Invalid, "the parent %s is in another domain than the project", parent.ID)
	case !parent.Enabled:
		return cloud.E(op, cloud.Forbidden, "the parent %s is disabled", parent.ID)
	case len(above)+2 > maxDepth:
		return cloud.E(op, cloud.Forbidden, "Max hierarchy depth reached for %s branch.", parent.ID)
	}
	return nil
}

// ProjectPatch changes what is not nil. Of Extra a nil value takes the attribute
// away.
type ProjectPatch struct {
	Name, Description *string
	Enabled           *bool
	Tags              *[]string
	Extra             map[string]any
}

// UpdateProject changes a project; NotFound, Conflict, Forbidden to disable one
// with enabled ones below.
func (s *Service) UpdateProject(ctx context.Context, id string, patch ProjectPatch) (cloud.Project, error) {
	return write(ctx, s, func(tx *store.Tx) (cloud.Project, error) {
		p, err := tx.Projects.Get(id)
		if err != nil {
			return p, err
		}
		if patch.Enabled != nil && !*patch.Enabled {
			n, err := tx.Projects.Count(store.Eq("parent_id", id), store.Eq("enabled", true))
			if err == nil && n > 0 {
				err = cloud.E("identity.UpdateProject", cloud.Forbidden, "Cannot disable project %s since its subtree contains enabled projects.", id)
			}
			if err != nil {
				return p, err
			}
		}
		set(&p.Name, patch.Name)
		set(&p.Description, patch.Description)
		set(&p.Enabled, patch.Enabled)
		set(&p.Tags, patch.Tags)
		p.Extra = merge(p.Extra, patch.Extra)
		return p, taken(tx.Projects.Update(p), "project", p.Name)
	})
}

// merge lays changes over attributes.
func merge(old, changes map[string]any) map[string]any {
	if len(changes) == 0 {
		return old
	}
	out := maps.Clone(old)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range changes {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = v
		}
	}
	return out
}

// DeleteProject removes a project with its assignments and application
// credentials; Forbidden for one with others below.
func (s *Service) DeleteProject(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		n, err := tx.Projects.Count(store.Eq("parent_id", id))
		if err != nil {
			return err
		}
		if n > 0 {
			return cloud.E("identity.DeleteProject", cloud.Forbidden, "Cannot delete the project %s since it is not a leaf in the hierarchy.", id)
		}
		return deleteProjects(tx, id)
	})
}

// deleteProjects removes projects with what hangs on them. It looks through the
// users once, for those whose default project goes.
func deleteProjects(tx *store.Tx, ids ...string) error {
	for _, id := range ids {
		if _, err := tx.Assignments.DeleteWhere(store.Eq("project_id", id)); err != nil {
			return err
		}
		if err := deleteOf(tx, "project_id", id); err != nil {
			return err
		}
		if err := tx.Projects.Delete(id); err != nil {
			return err
		}
	}
	users, err := tx.Users.List(store.Query{})
	if err != nil {
		return err
	}
	for _, u := range users {
		if u.DefaultProjectID == "" || !slices.Contains(ids, u.DefaultProjectID) {
			continue
		}
		u.DefaultProjectID = ""
		if err := tx.Users.Update(u); err != nil {
			return err
		}
	}
	return nil
}

// deleteOf removes what belongs to a user or to a project alone: application
// credentials, credentials, trusts, limits, links.
func deleteOf(tx *store.Tx, column, id string) error {
	deletes := []func(...store.Cond) (int, error){tx.AppCreds.DeleteWhere, tx.Credentials.DeleteWhere, tx.OAuthRequests.DeleteWhere, tx.OAuthAccesses.DeleteWhere}
	if column == "project_id" {
		deletes = append(deletes, tx.Trusts.DeleteWhere, tx.Limits.DeleteWhere, tx.EndpointLinks.DeleteWhere)
	} else {
		deletes = append(deletes, tx.AccessRules.DeleteWhere, tx.Memberships.DeleteWhere)
	}
	for _, remove := range deletes {
		if _, err := remove(store.Eq(column, id)); err != nil {
			return err
		}
	}
	return nil
}

// UserProjects are the enabled projects that a user has a role in.
func (s *Service) UserProjects(ctx context.Context, userID string) ([]cloud.Project, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Project, error) {
		mine, err := heldBy(tx, userID)
		if err != nil {
			return nil, err
		}
		all, err := tx.Projects.List(Filter{}.query())
		if err != nil {
			return nil, err
		}
		var out []cloud.Project
		for _, p := range all {
			above, domain, err := ancestors(tx, p.ID)
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(mine, func(a cloud.Assignment) bool { return counts(a, target{project: p.ID}, above, domain) }) {
				out = append(out, p)
			}
		}
		return out, nil
	})
}

// UserDomains are the domains that a user has a role on.
func (s *Service) UserDomains(ctx context.Context, userID string) ([]cloud.Domain, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Domain, error) {
		mine, err := heldBy(tx, userID)
		if err != nil {
			return nil, err
		}
		all, err := tx.Domains.List(Filter{}.query())
		return slices.DeleteFunc(all, func(d cloud.Domain) bool {
			return !slices.ContainsFunc(mine, func(a cloud.Assignment) bool { return counts(a, target{domain: d.ID}, nil, "") })
		}), err
	})
}

// UserSystem tells whether a user has a role on the system.
func (s *Service) UserSystem(ctx context.Context, userID string) (bool, error) {
	return read(ctx, s, func(tx *store.Tx) (bool, error) {
		mine, err := heldBy(tx, userID)
		return slices.ContainsFunc(mine, func(a cloud.Assignment) bool { return a.System }), err
	})
}

// Parents are the projects above a project, the nearest first; NotFound.
func (s *Service) Parents(ctx context.Context, id string) ([]cloud.Project, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Project, error) {
		above, _, err := ancestors(tx, id)
		if err != nil {
			return nil, err
		}
		out := make([]cloud.Project, len(above))
		for i, up := range above {
			if out[i], err = tx.Projects.Get(up); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// Subtree are the projects below a project, those nearer first; NotFound.
func (s *Service) Subtree(ctx context.Context, id string) ([]cloud.Project, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Project, error) {
		if _, err := tx.Projects.Get(id); err != nil {
			return nil, err
		}
		var out []cloud.Project
		for level := []string{id}; len(level) > 0; {
			below, err := tx.Projects.List(store.Query{Where: []store.Cond{store.In("parent_id", level...)}, Order: []store.Order{{Column: "name"}}})
			if err != nil {
				return nil, err
			}
			out, level = append(out, below...), nil
			for _, p := range below {
				level = append(level, p.ID)
			}
		}
		return out, nil
	})
}
