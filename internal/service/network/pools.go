package network

import (
	"context"
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// PoolCreate asks for a subnet pool. Lengths that are nil are the defaults.
type PoolCreate struct {
	ProjectID, Name, Description        string
	Prefixes                            []netip.Prefix
	DefaultPrefix, MinPrefix, MaxPrefix *int
	DefaultQuota                        *int
	AddressScopeID                      string
	Shared, IsDefault                   bool
}

// PoolUpdate changes what is not nil.
type PoolUpdate struct {
	Name, Description                   *string
	Prefixes                            *[]netip.Prefix
	DefaultPrefix, MinPrefix, MaxPrefix *int
	DefaultQuota                        *int
	AddressScopeID                      *string // "" for none
	IsDefault                           *bool
}

func noPool(id string) error {
	return refuse(cloud.NotFound, "SubnetPoolNotFound", "Subnet pool %s could not be found.", id)
}

// seePool gives a subnet pool of the caller's, or one shared with it.
func seePool(tx *store.Tx, c cloud.Caller, id string) (cloud.SubnetPool, error) {
	p, err := tx.SubnetPools.Get(id)
	if err == nil && !c.Owns(p.ProjectID) && !p.Shared {
		ok, gerr := shares(tx, c, objectPool, id)
		if err = gerr; err == nil && !ok {
			err = noPool(id)
		}
	}
	return got(p, err, noPool(id))
}

func ownPool(tx *store.Tx, c cloud.Caller, id, rule string) (cloud.SubnetPool, error) {
	p, err := seePool(tx, c, id)
	if err == nil && !c.Owns(p.ProjectID) {
		err = forbidden("rule:" + rule)
	}
	return p, err
}

// adminOnlyPool refuses what only an admin may say of a subnet pool.
func adminOnlyPool(c cloud.Caller, verb string, shared, isDefault bool) error {
	rule := "rule:" + verb + "_subnetpool"
	switch {
	case c.IsAdmin():
		return nil
	case shared:
		return forbidden("(" + rule + " and " + rule + ":shared)")
	case isDefault:
		return forbidden("(" + rule + " and " + rule + ":is_default)")
	}
	return nil
}

// CreatePools makes subnet pools, all or none.
func (s *Service) CreatePools(ctx context.Context, c cloud.Caller, reqs ...PoolCreate) ([]cloud.SubnetPool, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r PoolCreate) (cloud.SubnetPool, error) { return s.createPool(tx, c, r) })
}

func (s *Service) createPool(tx *store.Tx, c cloud.Caller, r PoolCreate) (cloud.SubnetPool, error) {
	owner, err := project(c, r.ProjectID)
	if err != nil {
		return cloud.SubnetPool{}, err
	}
	if err := adminOnlyPool(c, "create", r.Shared, r.IsDefault); err != nil {
		return cloud.SubnetPool{}, err
	}
	if err := checkQuota(tx, owner, "subnetpool", 1); err != nil {
		return cloud.SubnetPool{}, err
	}
	now := s.clock.Now()
	p := cloud.SubnetPool{
		ID: cloud.NewID(), ProjectID: owner, Name: r.Name, Description: r.Description, DefaultQuota: or(r.DefaultQuota, 0),
		AddressScopeID: r.AddressScopeID, Shared: r.Shared, IsDefault: r.IsDefault, CreatedAt: now, UpdatedAt: now,
	}
	if p.Prefixes, p.IPVersion, err = poolPrefixes(r.Prefixes); err != nil {
		return p, err
	}
	low, high := 8, 32
	if p.IPVersion == 6 {
		low, high = 64, 128
	}
	p.MinPrefix, p.MaxPrefix = or(r.MinPrefix, low), or(r.MaxPrefix, high)
	p.DefaultPrefix = or(r.DefaultPrefix, p.MinPrefix)
	if err := s.checkPool(tx, c, p); err != nil {
		return p, err
	}
	if err := tx.SubnetPools.Insert(p); err != nil {
		return p, err
	}
	return p, s.shareWithAll(tx, objectPool, p.ID, owner, cloud.AccessShared, p.Shared)
}

// checkPool judges a pool by itself, against its scope and the other pools.
func (s *Service) checkPool(tx *store.Tx, c cloud.Caller, p cloud.SubnetPool) error {
	most := 32
	if p.IPVersion == 6 {
		most = 128
	}
	illegal := func(format string, args ...any) error {
		return refuse(cloud.Invalid, "IllegalSubnetPoolPrefixBounds", "Illegal prefix bounds: "+format+".", args...)
	}
	switch {
	case p.MinPrefix < 0 || p.MinPrefix > most:
		return refuse(cloud.Invalid, "UnsupportedMinSubnetPoolPrefix", "Prefix '%d' not supported in IPv%d pool.", p.MinPrefix, p.IPVersion)
	case p.MaxPrefix > most:
		return illegal("max_prefixlen=%d, ip_version=%d", p.MaxPrefix, p.IPVersion)
	case p.MinPrefix > p.MaxPrefix:
		return illegal("min_prefixlen=%d, max_prefixlen=%d", p.MinPrefix, p.MaxPrefix)
	case p.DefaultPrefix > p.MaxPrefix:
		return illegal("default_prefixlen=%d, max_prefixlen=%d", p.DefaultPrefix, p.MaxPrefix)
	case p.DefaultPrefix < p.MinPrefix:
		return illegal("default_prefixlen=%d, min_prefixlen=%d", p.DefaultPrefix, p.MinPrefix)
	}
	others, err := tx.SubnetPools.List(store.Query{})
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.ID != p.ID && p.IsDefault && o.IsDefault && o.IPVersion == p.IPVersion {
			return invalid("A default subnetpool for this IP family has already been set. Only one default may exist per IP family")
		}
	}
	return checkPoolScope(tx, c, p, others)
}

// checkPoolScope judges a pool against the address scope that it is of: addresses
// are in a scope once.
func checkPoolScope(tx *store.Tx, c cloud.Caller, p cloud.SubnetPool, others []cloud.SubnetPool) error {
	if p.AddressScopeID == "" {
		return nil
	}
	scope, err := seeScope(tx, c, p.AddressScopeID)
	if err != nil {
		return err
	}
	if scope.IPVersion != p.IPVersion {
		return refuse(cloud.Invalid, "IllegalSubnetPoolIpVersionAssociationToAddressScope", "Illegal subnetpool association: subnetpool %s cannot associate with address scope %s because subnetpool ip_version is not %d.", p.ID, scope.ID, scope.IPVersion)
	}
	for _, o := range others {
		if o.ID == p.ID || o.AddressScopeID != p.AddressScopeID {
			continue
		}
		for _, mine := range p.Prefixes {
			for _, theirs := range o.Prefixes {
				if mine.Overlaps(theirs) {
					return conflict("AddressScopePrefixConflict", "Failed to associate address scope: subnetpools within an address scope must have unique prefixes.")
				}
			}
		}
	}
	return nil
}

// GetPool gives a subnet pool that the caller may see.
func (s *Service) GetPool(ctx context.Context, c cloud.Caller, id string) (cloud.SubnetPool, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.SubnetPool, error) { return seePool(tx, c, id) })
}

// ListPools lists the subnet pools that the caller may see.
func (s *Service) ListPools(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.SubnetPool, error) {
	return view(ctx, s, func(tx *store.Tx) ([]cloud.SubnetPool, error) {
		g, err := granted(tx, c, objectPool)
		if err != nil {
			return nil, err
		}
		rows, err := tx.SubnetPools.List(byAge(in(nil, "id", f.IDs)))
		return keep(rows, err, func(p cloud.SubnetPool) bool {
			return c.Owns(p.ProjectID) || p.Shared || g[p.ID][cloud.AccessShared]
		})
	})
}

// UpdatePool changes a subnet pool of the caller's. Its prefixes only grow.
func (s *Service) UpdatePool(ctx context.Context, c cloud.Caller, id string, r PoolUpdate) (cloud.SubnetPool, error) {
	return update(ctx, s, func(tx *store.Tx) (cloud.SubnetPool, error) {
		p, err := ownPool(tx, c, id, "update_subnetpool")
		if err != nil {
			return p, err
		}
		if err := adminOnlyPool(c, "update", false, r.IsDefault != nil); err != nil {
			return p, err
		}
		if r.Prefixes != nil {
			if err := mayChangePrefixes(tx, c, p); err != nil {
				return p, err
			}
			if err := growPool(&p, *r.Prefixes); err != nil {
				return p, err
			}
		}
		set(&p.Name, r.Name)
		set(&p.Description, r.Description)
		set(&p.DefaultPrefix, r.DefaultPrefix)
		set(&p.MinPrefix, r.MinPrefix)
		set(&p.MaxPrefix, r.MaxPrefix)
		set(&p.DefaultQuota, r.DefaultQuota)
		set(&p.AddressScopeID, r.AddressScopeID)
		set(&p.IsDefault, r.IsDefault)
		if err := s.checkPool(tx, c, p); err != nil {
			return p, err
		}
		p.UpdatedAt, p.Revision = s.clock.Now(), p.Revision+1
		return p, tx.SubnetPools.Update(p)
	})
}

// mayChangePrefixes refuses a change of what an address scope holds by who does not
// own the scope.
func mayChangePrefixes(tx *store.Tx, c cloud.Caller, p cloud.SubnetPool) error {
	if p.AddressScopeID == "" {
		return nil
	}
	scope, err := tx.AddressScopes.Get(p.AddressScopeID)
	if err == nil && !c.Owns(scope.ProjectID) {
		err = refuse(cloud.Invalid, "IllegalSubnetPoolUpdate", "Illegal subnetpool update : %s subnetpool cannot be updated, as it is of address scope %s, which another project owns", p.ID, scope.ID)
	}
	return err
}

// DeletePool removes a subnet pool that no subnet was cut from.
func (s *Service) DeletePool(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		if _, err := ownPool(tx, c, id, "delete_subnetpool"); err != nil {
			return err
		}
		cut, err := cutFrom(tx, id)
		if err != nil {
			return err
		}
		if len(cut) > 0 {
			return conflict("SubnetPoolDeleteError", "Unable to delete subnet pool: Subnet pool has existing allocations.")
		}
		if err := dropGrants(tx, id); err != nil {
			return err
		}
		return tx.SubnetPools.Delete(id)
	})
}
