package network

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// AddressGroupCreate asks for an address group.
type AddressGroupCreate struct {
	ProjectID, Name, Description string
	Addresses                    []netip.Prefix
}

// AddressGroupUpdate changes what is not nil.
type AddressGroupUpdate struct{ Name, Description *string }

func noAddressGroup(id string) error {
	return refuse(cloud.NotFound, "AddressGroupNotFound", "Address group %s could not be found.", id)
}

// seeAddressGroup gives an address group of the caller's, or one shared with it.
func seeAddressGroup(tx *store.Tx, c cloud.Caller, id string) (cloud.AddressGroup, error) {
	g, err := tx.AddressGroups.Get(id)
	if err == nil && !c.Owns(g.ProjectID) && !g.Shared {
		g.Shared, err = shares(tx, c, objectAddresses, id) // with the caller, which is what it is told
		if err == nil && !g.Shared {
			err = noAddressGroup(id)
		}
	}
	return got(g, err, noAddressGroup(id))
}

func ownAddressGroup(tx *store.Tx, c cloud.Caller, id, rule string) (cloud.AddressGroup, error) {
	g, err := seeAddressGroup(tx, c, id)
	if err == nil && !c.Owns(g.ProjectID) {
		err = forbidden("rule:" + rule)
	}
	return g, err
}

// CreateAddressGroups makes address groups, all or none.
func (s *Service) CreateAddressGroups(ctx context.Context, c cloud.Caller, reqs ...AddressGroupCreate) ([]cloud.AddressGroup, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r AddressGroupCreate) (cloud.AddressGroup, error) {
		owner, err := project(c, r.ProjectID)
		if err != nil {
			return cloud.AddressGroup{}, err
		}
		now := s.clock.Now()
		g := cloud.AddressGroup{
			ID: cloud.NewID(), ProjectID: owner, Name: r.Name, Description: r.Description, Addresses: merged(nil, r.Addresses),
			CreatedAt: now, UpdatedAt: now,
		}
		return g, tx.AddressGroups.Insert(g)
	})
}

// merged is prefixes with others, each once, in order.
func merged(have, more []netip.Prefix) []netip.Prefix {
	all := slices.Clone(have)
	for _, p := range more {
		all = append(all, p.Masked())
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return slices.Compact(all)
}

// GetAddressGroup gives an address group that the caller may see.
func (s *Service) GetAddressGroup(ctx context.Context, c cloud.Caller, id string) (cloud.AddressGroup, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.AddressGroup, error) { return seeAddressGroup(tx, c, id) })
}

// ListAddressGroups lists the address groups that the caller may see.
func (s *Service) ListAddressGroups(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.AddressGroup, error) {
	return view(ctx, s, func(tx *store.Tx) ([]cloud.AddressGroup, error) {
		allowed, err := granted(tx, c, objectAddresses)
		if err != nil {
			return nil, err
		}
		rows, err := tx.AddressGroups.List(byAge(in(nil, "id", f.IDs)))
		for i := range rows {
			rows[i].Shared = rows[i].Shared || allowed[rows[i].ID][cloud.AccessShared]
		}
		return keep(rows, err, func(g cloud.AddressGroup) bool { return c.Owns(g.ProjectID) || g.Shared })
	})
}

// UpdateAddressGroup changes an address group of the caller's.
func (s *Service) UpdateAddressGroup(ctx context.Context, c cloud.Caller, id string, r AddressGroupUpdate) (cloud.AddressGroup, error) {
	return s.changeAddressGroup(ctx, c, id, "update_address_group", func(g *cloud.AddressGroup) error {
		set(&g.Name, r.Name)
		set(&g.Description, r.Description)
		return nil
	})
}

func (s *Service) changeAddressGroup(ctx context.Context, c cloud.Caller, id, rule string, change func(*cloud.AddressGroup) error) (cloud.AddressGroup, error) {
	return update(ctx, s, func(tx *store.Tx) (cloud.AddressGroup, error) {
		g, err := ownAddressGroup(tx, c, id, rule)
		if err != nil {
			return g, err
		}
		if err := change(&g); err != nil {
			return g, err
		}
		g.UpdatedAt, g.Revision = s.clock.Now(), g.Revision+1
		return g, tx.AddressGroups.Update(g)
	})
}

// AddAddresses adds addresses to a group, none of which it has.
func (s *Service) AddAddresses(ctx context.Context, c cloud.Caller, id string, more []netip.Prefix) (cloud.AddressGroup, error) {
	return s.changeAddressGroup(ctx, c, id, "add_addresses", func(g *cloud.AddressGroup) error {
		if there, _ := divide(g.Addresses, more); len(there) > 0 {
			return refuse(cloud.Invalid, "AddressesAlreadyExist", "Addresses %s already exist in the address group %s.", quoted(there), id)
		}
		g.Addresses = merged(g.Addresses, more)
		return nil
	})
}

// RemoveAddresses takes addresses out of a group, all of which it has.
func (s *Service) RemoveAddresses(ctx context.Context, c cloud.Caller, id string, less []netip.Prefix) (cloud.AddressGroup, error) {
	return s.changeAddressGroup(ctx, c, id, "remove_addresses", func(g *cloud.AddressGroup) error {
		there, missing := divide(g.Addresses, less)
		if len(missing) > 0 {
			return refuse(cloud.NotFound, "AddressesNotFound", "Addresses %s not found in the address group %s.", quoted(missing), id)
		}
		g.Addresses = slices.DeleteFunc(slices.Clone(g.Addresses), func(p netip.Prefix) bool { return slices.Contains(there, p) })
		return nil
	})
}

// divide tells which of some addresses are among others.
func divide(have, some []netip.Prefix) (there, missing []netip.Prefix) {
	for _, p := range merged(nil, some) {
		if slices.Contains(have, p) {
			there = append(there, p)
		} else {
			missing = append(missing, p)
		}
	}
	return there, missing
}

// quoted lists prefixes as neutron does.
func quoted(list []netip.Prefix) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = "'" + p.String() + "'"
	}
	return "[" + strings.Join(names, ", ") + "]"
}

// DeleteAddressGroup removes an address group that no rule refers to.
func (s *Service) DeleteAddressGroup(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		if _, err := ownAddressGroup(tx, c, id, "delete_address_group"); err != nil {
			return err
		}
		rules, err := rulesTo(tx, id)
		if err != nil {
			return err
		}
		if len(rules) > 0 {
			return conflict("AddressGroupInUse", "Address group %s is in use on one or more security group rules.", id)
		}
		if err := dropGrants(tx, id); err != nil {
			return err
		}
		return tx.AddressGroups.Delete(id)
	})
}

// rulesTo are the rules that refer to an address group.
func rulesTo(tx *store.Tx, id string) ([]cloud.SecurityRule, error) {
	rules, err := tx.SecurityRules.List(store.Query{})
	return keep(rules, err, func(r cloud.SecurityRule) bool { return r.RemoteAddressGroupID == id })
}
