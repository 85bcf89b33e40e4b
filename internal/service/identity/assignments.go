package identity

import (
	"cmp"
	"context"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Grant gives a user or a group a role on a target; doing it twice is doing it once.
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
	for _, err := range []error{
		refer(tx.Users, "user", a.UserID, cloud.NotFound), refer(tx.Groups, "group", a.GroupID, cloud.NotFound),
		refer(tx.Projects, "project", a.ProjectID, cloud.NotFound), refer(tx.Domains, "domain", a.DomainID, cloud.NotFound),
		refer(tx.Roles, "role", a.RoleID, cloud.NotFound),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// Granted tells whether an assignment is there; NotFound if not.
func (s *Service) Granted(ctx context.Context, a cloud.Assignment) error {
	return s.view(ctx, func(tx *store.Tx) error {
		_, err := tx.Assignments.Get(a.Key())
		if cloud.Is(err, cloud.NotFound) {
			return cloud.E("identity.Granted", cloud.NotFound, "Could not find role assignment with role: %s, user or group: %s, project, domain, or system: %s.", a.RoleID, a.UserID+a.GroupID, cmp.Or(a.ProjectID, a.DomainID, "system"))
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

// Grants are the roles that a user or a group was given directly on the assignment's
// target (its RoleID is not looked at); NotFound for a user or target that does
// not exist.
func (s *Service) Grants(ctx context.Context, a cloud.Assignment) ([]cloud.Role, error) {
	a.RoleID = ""
	return read(ctx, s, func(tx *store.Tx) ([]cloud.Role, error) {
		if err := exists(tx, a); err != nil {
			return nil, err
		}
		all, err := tx.Assignments.List(store.Where(store.Eq("user_id", a.UserID), store.Eq("group_id", a.GroupID)))
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
