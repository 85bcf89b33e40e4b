package identity

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Role gives a role; NotFound.
func (s *Service) Role(ctx context.Context, id string) (cloud.Role, error) {
	return read(ctx, s, func(tx *store.Tx) (cloud.Role, error) { return tx.Roles.Get(id) })
}

// Roles lists the roles of the filter's domain, the global ones for none.
func (s *Service) Roles(ctx context.Context, f Filter) ([]cloud.Role, error) {
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Role, error) {
		q := f.query("name")
		q.Where = append(q.Where, store.Eq("domain_id", f.DomainID))
		return tx.Roles.List(q)
	})
}

// CreateRole makes a role; Conflict for a name that is taken.
func (s *Service) CreateRole(ctx context.Context, r cloud.Role) (cloud.Role, error) {
	if r.ID == "" {
		r.ID = cloud.NewHexID()
	}
	return write(ctx, s, func(tx *store.Tx) (cloud.Role, error) {
		if r.DomainID != "" {
			if _, err := tx.Domains.Get(r.DomainID); err != nil {
				return r, cloud.E("identity.CreateRole", cloud.KindOf(err), "Could not find domain: %s.", r.DomainID)
			}
		}
		return r, taken(tx.Roles.Insert(r), "role", r.Name)
	})
}

// RolePatch changes what is not nil.
type RolePatch struct {
	Name, Description *string
	Extra             map[string]any // attributes to add; nil as a value takes one away
}

// UpdateRole changes a role; Forbidden for those that the policies know.
func (s *Service) UpdateRole(ctx context.Context, id string, p RolePatch) (cloud.Role, error) {
	return write(ctx, s, func(tx *store.Tx) (cloud.Role, error) {
		r, err := tx.Roles.Get(id)
		if err != nil {
			return r, err
		}
		if p.Name != nil && *p.Name != r.Name && fixed(r) {
			return r, cloud.E("identity.UpdateRole", cloud.Forbidden, "the role %s cannot be renamed: the policies know it by its name", r.Name)
		}
		set(&r.Name, p.Name)
		set(&r.Description, p.Description)
		r.Extra = merge(r.Extra, p.Extra)
		return r, taken(tx.Roles.Update(r), "role", r.Name)
	})
}

// fixed tells whether the policies know the role.
func fixed(r cloud.Role) bool {
	return r.DomainID == "" && (r.Name == cloud.RoleAdmin || r.Name == cloud.RoleMember || r.Name == cloud.RoleReader)
}

// DeleteRole removes a role with its assignments; Forbidden for those that the
// policies know.
func (s *Service) DeleteRole(ctx context.Context, id string) error {
	return s.update(ctx, func(tx *store.Tx) error {
		r, err := tx.Roles.Get(id)
		if err != nil {
			return err
		}
		if fixed(r) {
			return cloud.E("identity.DeleteRole", cloud.Forbidden, "the role %s cannot be deleted: the policies know it", r.Name)
		}
		return deleteRole(tx, id)
	})
}

func deleteRole(tx *store.Tx, id string) error {
	if _, err := tx.Assignments.DeleteWhere(store.Eq("role_id", id)); err != nil {
		return err
	}
	for _, column := range []string{"prior_id", "implied_id"} {
		if _, err := tx.ImpliedRoles.DeleteWhere(store.Eq(column, id)); err != nil {
			return err
		}
	}
	return tx.Roles.Delete(id)
}
