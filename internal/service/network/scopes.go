package network

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// ScopeCreate asks for an address scope.
type ScopeCreate struct {
	ProjectID, Name string
	IPVersion       int
	Shared          bool
}

// ScopeUpdate changes what is not nil.
type ScopeUpdate struct {
	Name   *string
	Shared *bool
}

func noScope(id string) error {
	return refuse(cloud.NotFound, "AddressScopeNotFound", "Address scope %s could not be found", id)
}

// seeScope gives an address scope of the caller's, or one shared with it.
func seeScope(tx *store.Tx, c cloud.Caller, id string) (cloud.AddressScope, error) {
	v, err := tx.AddressScopes.Get(id)
	if err == nil && !c.Owns(v.ProjectID) && !v.Shared {
		ok, gerr := shares(tx, c, objectScope, id)
		if err = gerr; err == nil && !ok {
			err = noScope(id)
		}
	}
	return got(v, err, noScope(id))
}

func ownScope(tx *store.Tx, c cloud.Caller, id, rule string) (cloud.AddressScope, error) {
	v, err := seeScope(tx, c, id)
	if err == nil && !c.Owns(v.ProjectID) {
		err = forbidden("rule:" + rule)
	}
	return v, err
}

// CreateScopes makes address scopes, all or none.
func (s *Service) CreateScopes(ctx context.Context, c cloud.Caller, reqs ...ScopeCreate) ([]cloud.AddressScope, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r ScopeCreate) (cloud.AddressScope, error) {
		owner, err := project(c, r.ProjectID)
		if err != nil {
			return cloud.AddressScope{}, err
		}
		if r.Shared && !c.IsAdmin() {
			return cloud.AddressScope{}, forbidden("(rule:create_address_scope and rule:create_address_scope:shared)")
		}
		now := s.clock.Now()
		v := cloud.AddressScope{ID: cloud.NewID(), ProjectID: owner, Name: r.Name, IPVersion: r.IPVersion, Shared: r.Shared, CreatedAt: now, UpdatedAt: now}
		if err := tx.AddressScopes.Insert(v); err != nil {
			return v, err
		}
		return v, s.shareWithAll(tx, objectScope, v.ID, owner, cloud.AccessShared, r.Shared)
	})
}

// GetScope gives an address scope that the caller may see.
func (s *Service) GetScope(ctx context.Context, c cloud.Caller, id string) (cloud.AddressScope, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.AddressScope, error) { return seeScope(tx, c, id) })
}

// ListScopes lists the address scopes that the caller may see.
func (s *Service) ListScopes(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.AddressScope, error) {
	return view(ctx, s, func(tx *store.Tx) ([]cloud.AddressScope, error) {
		g, err := granted(tx, c, objectScope)
		if err != nil {
			return nil, err
		}
		rows, err := tx.AddressScopes.List(byAge(in(nil, "id", f.IDs)))
		return keep(rows, err, func(v cloud.AddressScope) bool {
			return c.Owns(v.ProjectID) || v.Shared || g[v.ID][cloud.AccessShared]
		})
	})
}

// UpdateScope changes an address scope of the caller's. What is shared stays so.
func (s *Service) UpdateScope(ctx context.Context, c cloud.Caller, id string, r ScopeUpdate) (cloud.AddressScope, error) {
	return update(ctx, s, func(tx *store.Tx) (cloud.AddressScope, error) {
		v, err := ownScope(tx, c, id, "update_address_scope")
		if err != nil {
			return v, err
		}
		if r.Shared != nil && !c.IsAdmin() {
			return v, forbidden("(rule:update_address_scope and rule:update_address_scope:shared)")
		}
		if v.Shared && r.Shared != nil && !*r.Shared {
			return v, refuse(cloud.Invalid, "AddressScopeUpdateError", "Unable to update address scope %s : Shared address scope can't be unshared.", id)
		}
		if r.Shared != nil && *r.Shared != v.Shared {
			if err := s.shareWithAll(tx, objectScope, id, v.ProjectID, cloud.AccessShared, *r.Shared); err != nil {
				return v, err
			}
		}
		set(&v.Name, r.Name)
		set(&v.Shared, r.Shared)
		v.UpdatedAt = s.clock.Now()
		return v, tx.AddressScopes.Update(v)
	})
}

// DeleteScope removes an address scope that no subnet pool is of.
func (s *Service) DeleteScope(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		if _, err := ownScope(tx, c, id, "delete_address_scope"); err != nil {
			return err
		}
		n, err := tx.SubnetPools.Count(store.Eq("address_scope_id", id))
		if err != nil {
			return err
		}
		if n > 0 {
			return conflict("AddressScopeInUse", "Unable to complete operation on address scope %s. There are one or more subnet pools in use on the address scope", id)
		}
		if err := dropGrants(tx, id); err != nil {
			return err
		}
		return tx.AddressScopes.Delete(id)
	})
}

// scopesOf finds the address scopes of networks: those of the subnet pools that
// their subnets were cut from.
func scopesOf(tx *store.Tx, subnets map[string][]cloud.Subnet) (four, six map[string]string, err error) {
	four, six = map[string]string{}, map[string]string{}
	pools := map[string]string{} // to their scopes
	for id, list := range subnets {
		for _, sub := range list {
			if sub.SubnetPoolID == "" {
				continue
			}
			scope, known := pools[sub.SubnetPoolID]
			if !known {
				p, err := tx.SubnetPools.Get(sub.SubnetPoolID)
				if err != nil {
					return nil, nil, err
				}
				scope = p.AddressScopeID
				pools[p.ID] = scope
			}
			if sub.IPVersion == 4 {
				four[id] = scope
			} else {
				six[id] = scope
			}
		}
	}
	return four, six, nil
}
