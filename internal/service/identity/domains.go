package identity

import (
	"cmp"
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

func compareNames(a, b, idA, idB string) int { return cmp.Or(cmp.Compare(a, b), cmp.Compare(idA, idB)) }

// taken gives the sentence for a name that somebody else has, and other errors as
// they are.
func taken(err error, noun, name string) error {
	if cloud.Is(err, cloud.Conflict) {
		return cloud.E("identity.store", cloud.Conflict, "Conflict occurred attempting to store %s - there is already one with the name %s.", noun, name)
	}
	return err
}

// Filter says which domains, projects, users or roles a list holds. Empty fields
// do not filter.
type Filter struct {
	Name, DomainID, ParentID string
	Enabled                  *bool
}

func (f Filter) query(columns ...string) store.Query {
	q := store.Query{Order: []store.Order{{Column: "name"}}}
	for _, c := range columns {
		switch {
		case c == "name" && f.Name != "":
			q.Where = append(q.Where, store.Eq(c, f.Name))
		case c == "domain_id" && f.DomainID != "":
			q.Where = append(q.Where, store.Eq(c, f.DomainID))
		case c == "parent_id" && f.ParentID != "":
			q.Where = append(q.Where, store.Eq(c, f.ParentID))
		case c == "enabled" && f.Enabled != nil:
			q.Where = append(q.Where, store.Eq(c, *f.Enabled))
		}
	}
	return q
}

// read gives what fn reads.
func read[T any](ctx context.Context, s *Service, fn func(tx *store.Tx) (T, error)) (out T, err error) {
	err = s.view(ctx, func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	return out, err
}

// write gives what fn wrote.
func write[T any](ctx context.Context, s *Service, fn func(tx *store.Tx) (T, error)) (out T, err error) {
	err = s.update(ctx, func(tx *store.Tx) (err error) {
		out, err = fn(tx)
		return err
	})
	return out, err
}

// set changes *to if there is a value.
func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}

// Domain gives a domain; NotFound.
func (s *Service) Domain(ctx context.Context, id string) (cloud.Domain, error) {
	return read(ctx, s, func(tx *store.Tx) (cloud.Domain, error) { return tx.Domains.Get(id) })
}

// Domains lists domains.
func (s *Service) Domains(ctx context.Context, f Filter) ([]cloud.Domain, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Domain, error) { return tx.Domains.List(f.query("name", "enabled")) })
}

// CreateDomain makes a domain; Conflict for a name that is taken.
func (s *Service) CreateDomain(ctx context.Context, d cloud.Domain) (cloud.Domain, error) {
	if d.ID == "" {
		d.ID = cloud.NewHexID()
	}
	return write(ctx, s, func(tx *store.Tx) (cloud.Domain, error) {
		return d, taken(tx.Domains.Insert(d), "domain", d.Name)
	})
}

// DomainPatch changes what is not nil.
type DomainPatch struct {
	Name, Description *string
	Enabled           *bool
	Tags              *[]string
}

// UpdateDomain changes a domain; NotFound, Conflict.
func (s *Service) UpdateDomain(ctx context.Context, id string, p DomainPatch) (cloud.Domain, error) {
	return write(ctx, s, func(tx *store.Tx) (cloud.Domain, error) {
		d, err := tx.Domains.Get(id)
		if err != nil {
			return d, err
		}
		if id == cloud.DefaultDomainID && p.Enabled != nil && !*p.Enabled {
			return d, cloud.E("identity.UpdateDomain", cloud.Forbidden, "the default domain cannot be disabled: nobody could log in any more")
		}
		set(&d.Name, p.Name)
		set(&d.Description, p.Description)
		set(&d.Enabled, p.Enabled)
		set(&d.Tags, p.Tags)
		return d, taken(tx.Domains.Update(d), "domain", d.Name)
	})
}

// DeleteDomain removes a domain with all that is in it; Forbidden while it is
// enabled.
func (s *Service) DeleteDomain(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		d, err := tx.Domains.Get(id)
		if err != nil {
			return err
		}
		if d.Enabled || id == cloud.DefaultDomainID {
			return cloud.E("identity.DeleteDomain", cloud.Forbidden, "Cannot delete a domain that is enabled, please disable it first.")
		}
		if err := emptyDomain(tx, id); err != nil {
			return err
		}
		if _, err := tx.Assignments.DeleteWhere(store.Eq("domain_id", id)); err != nil {
			return err
		}
		if _, err := tx.Limits.DeleteWhere(store.Eq("domain_id", id)); err != nil {
			return err
		}
		if err := tx.DomainConfigs.Delete(id); err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
		return tx.Domains.Delete(id)
	})
}

// emptyDomain removes the users, groups, projects and roles of a domain.
func emptyDomain(tx *store.Tx, id string) error {
	in := store.Where(store.Eq("domain_id", id))
	users, err := tx.Users.List(in)
	for _, u := range users {
		if err == nil {
			err = deleteUser(tx, u.ID)
		}
	}
	if err != nil {
		return err
	}
	groups, err := tx.Groups.List(in)
	for _, g := range groups {
		if err == nil {
			err = deleteGroup(tx, g.ID)
		}
	}
	if err != nil {
		return err
	}
	projects, err := tx.Projects.List(in)
	if err != nil {
		return err
	}
	var ids []string
	for _, p := range projects {
		ids = append(ids, p.ID)
	}
	if err := deleteProjects(tx, ids...); err != nil {
		return err
	}
	roles, err := tx.Roles.List(in)
	for _, r := range roles {
		if err == nil {
			err = deleteRole(tx, r.ID)
		}
	}
	return err
}
