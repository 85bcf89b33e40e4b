package network

import (
	"cmp"
	"context"
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// SubnetCreate asks for a subnet.
type SubnetCreate struct {
	ProjectID, NetworkID, Name, Description string
	IPVersion                               int
	CIDR                                    netip.Prefix
	Gateway                                 *netip.Addr // nil for the first address, zero for none
	EnableDHCP                              *bool
	Pools                                   *[]cloud.AddressRange
	DNS                                     []netip.Addr
	HostRoutes                              []cloud.Route
	RAMode, AddressMode                     string
	ServiceTypes                            []string
	SubnetPoolID                            string
	UseDefaultPool                          bool
	PrefixLength                            *int // of a subnet cut from a pool; nil for the pool's default
}

// SubnetUpdate changes what is not nil.
type SubnetUpdate struct {
	Name, Description *string
	Gateway           *netip.Addr // zero for none
	EnableDHCP        *bool
	Pools             *[]cloud.AddressRange
	DNS               *[]netip.Addr
	HostRoutes        *[]cloud.Route
	ServiceTypes      *[]string
}

// CreateSubnets makes subnets, all or none.
func (s *Service) CreateSubnets(ctx context.Context, c cloud.Caller, reqs ...SubnetCreate) ([]cloud.Subnet, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r SubnetCreate) (cloud.Subnet, error) { return s.createSubnet(tx, c, r) })
}

func (s *Service) createSubnet(tx *store.Tx, c cloud.Caller, r SubnetCreate) (cloud.Subnet, error) {
	n, err := ownNetwork(tx, c, r.NetworkID, "create_subnet")
	if err != nil {
		return cloud.Subnet{}, err
	}
	owner, err := project(c, r.ProjectID)
	if err != nil {
		return cloud.Subnet{}, err
	}
	if c.IsAdmin() && r.ProjectID == "" && c.ProjectID == "" {
		owner = n.ProjectID
	}
	if err := checkQuota(tx, owner, "subnet", 1); err != nil {
		return cloud.Subnet{}, err
	}
	poolID, err := s.fromPool(tx, c, owner, &r)
	if err != nil {
		return cloud.Subnet{}, err
	}
	now := s.clock.Now()
	sub := cloud.Subnet{
		ID: cloud.NewID(), NetworkID: n.ID, ProjectID: owner, Name: r.Name, Description: r.Description,
		IPVersion: r.IPVersion, CIDR: r.CIDR.Masked(), EnableDHCP: or(r.EnableDHCP, true),
		DNS: r.DNS, HostRoutes: r.HostRoutes, RAMode: r.RAMode, AddressMode: r.AddressMode,
		ServiceTypes: r.ServiceTypes, SubnetPoolID: poolID, CreatedAt: now, UpdatedAt: now, Revision: 0,
	}
	if !r.CIDR.IsValid() {
		return sub, badRequest("subnets", "a subnetpool must be specified in the absence of a cidr")
	}
	sub.Gateway = or(r.Gateway, defaultGateway(sub.CIDR))
	sub.Pools = or(r.Pools, defaultPools(sub.CIDR, sub.Gateway))
	if err := checkSubnet(sub, r.Pools != nil); err != nil {
		return sub, err
	}
	if err := cmp.Or(checkOverlap(tx, sub), checkAffinity(tx, sub)); err != nil {
		return sub, err
	}
	if err := tx.Subnets.Insert(sub); err != nil {
		return sub, err
	}
	if err := s.welcome(tx, sub); err != nil {
		return sub, err
	}
	if err := s.subnetsChanged(tx, n.ID); err != nil {
		return sub, err
	}
	return sub, s.serveDHCP(tx, n)
}

// fromPool cuts the subnet's prefix from the pool that it asks for, and gives the
// pool's id; "" if it asks for none.
func (s *Service) fromPool(tx *store.Tx, c cloud.Caller, owner string, r *SubnetCreate) (string, error) {
	pool, err := choosePool(tx, c, *r)
	if err != nil || pool == nil {
		return "", err
	}
	r.CIDR, err = cut(tx, *pool, owner, *r)
	return pool.ID, err
}

func defaultGateway(p netip.Prefix) netip.Addr {
	if p.IsSingleIP() {
		return netip.Addr{}
	}
	return p.Masked().Addr().Next()
}

// welcome gives the ports that are on the network already their addresses on a
// new automatic subnet.
func (s *Service) welcome(tx *store.Tx, sub cloud.Subnet) error {
	if !auto(sub) {
		return nil
	}
	ports, err := tx.Ports.List(store.Where(store.Eq("network_id", sub.NetworkID)))
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.DeviceOwner == cloud.OwnerDHCP {
			continue // serveDHCP sees to it
		}
		before := len(p.FixedIPs)
		if err := addAuto(tx, &p, []cloud.Subnet{sub}); err != nil {
			return err
		}
		if len(p.FixedIPs) > before {
			if err := s.savePort(tx, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// GetSubnet gives a subnet that the caller may see.
func (s *Service) GetSubnet(ctx context.Context, c cloud.Caller, id string) (cloud.Subnet, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.Subnet, error) { return seeSubnet(tx, c, id) })
}

// ListSubnets lists the subnets that the caller may see, and whether each one's
// network is shared.
func (s *Service) ListSubnets(ctx context.Context, c cloud.Caller, f Filter) ([]cloud.Subnet, map[string]bool, error) {
	shared := map[string]bool{}
	rows, err := view(ctx, s, func(tx *store.Tx) ([]cloud.Subnet, error) {
		nets, err := listPersonal(tx, c, store.Query{})
		if err != nil {
			return nil, err
		}
		mine := map[string]bool{}
		for _, n := range nets {
			shared[n.ID], mine[n.ID] = n.Shared, c.Owns(n.ProjectID)
		}
		rows, err := tx.Subnets.List(byAge(in(in(nil, "id", f.IDs), "network_id", f.NetworkIDs)))
		return keep(rows, err, func(sub cloud.Subnet) bool {
			return c.Owns(sub.ProjectID) || shared[sub.NetworkID] || mine[sub.NetworkID]
		})
	})
	return rows, shared, err
}

// UpdateSubnet changes a subnet of the caller's.
func (s *Service) UpdateSubnet(ctx context.Context, c cloud.Caller, id string, r SubnetUpdate) (cloud.Subnet, error) {
	return update(ctx, s, func(tx *store.Tx) (cloud.Subnet, error) {
		sub, err := ownSubnet(tx, c, id, "update_subnet")
		if err != nil {
			return sub, err
		}
		if r.Gateway != nil && *r.Gateway != sub.Gateway {
			if err := checkGatewayFree(tx, sub); err != nil {
				return sub, err
			}
		}
		set(&sub.Name, r.Name)
		set(&sub.Description, r.Description)
		set(&sub.Gateway, r.Gateway)
		set(&sub.EnableDHCP, r.EnableDHCP)
		set(&sub.Pools, r.Pools)
		set(&sub.DNS, r.DNS)
		set(&sub.HostRoutes, r.HostRoutes)
		set(&sub.ServiceTypes, r.ServiceTypes)
		if err := checkSubnet(sub, r.Pools != nil || r.Gateway != nil && sub.Gateway.IsValid()); err != nil {
			return sub, err
		}
		sub.UpdatedAt, sub.Revision = s.clock.Now(), sub.Revision+1
		if err := tx.Subnets.Update(sub); err != nil {
			return sub, err
		}
		if err := s.subnetsChanged(tx, sub.NetworkID); err != nil {
			return sub, err
		}
		n, err := tx.Networks.Get(sub.NetworkID)
		if err != nil {
			return sub, err
		}
		return sub, s.serveDHCP(tx, n)
	})
}

// subnetsChanged gives a network another revision: its subnets are a part of it.
func (s *Service) subnetsChanged(tx *store.Tx, networkID string) error {
	n, err := tx.Networks.Get(networkID)
	if err != nil {
		return err
	}
	n.UpdatedAt, n.Revision = s.clock.Now(), n.Revision+1
	return tx.Networks.Update(n)
}

// DeleteSubnet removes a subnet that no port has an address of, save the
// cloud's own and those that hosts made for themselves.
func (s *Service) DeleteSubnet(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		sub, err := ownSubnet(tx, c, id, "delete_subnet")
		if err != nil {
			return err
		}
		if err := s.vacate(tx, sub); err != nil {
			return err
		}
		if err := tx.Subnets.Delete(id); err != nil {
			return err
		}
		if err := s.subnetsChanged(tx, sub.NetworkID); err != nil {
			return err
		}
		n, err := tx.Networks.Get(sub.NetworkID)
		if err != nil {
			return err
		}
		return s.serveDHCP(tx, n)
	})
}

// vacate takes the subnet's addresses from the ports that can be without, and
// refuses when another has one.
func (s *Service) vacate(tx *store.Tx, sub cloud.Subnet) error {
	rows, err := tx.Allocations.List(store.Where(store.Eq("subnet_id", sub.ID)))
	if err != nil {
		return err
	}
	for _, a := range rows {
		p, err := tx.Ports.Get(a.PortID)
		if err != nil {
			return err
		}
		if p.DeviceOwner != cloud.OwnerDHCP && (!auto(sub) || routerOwner(p.DeviceOwner)) {
			return conflict("SubnetInUse", "Unable to complete operation on subnet %s: One or more ports have an IP allocation from this subnet.", sub.ID)
		}
		if err := s.takeIP(tx, p, a); err != nil {
			return err
		}
	}
	return nil
}

// takeIP takes an address from a port.
func (s *Service) takeIP(tx *store.Tx, p cloud.Port, a cloud.IPAllocation) error {
	kept := []cloud.FixedIP{}
	for _, f := range p.FixedIPs {
		if f.SubnetID != a.SubnetID || f.IP != a.IP {
			kept = append(kept, f)
		}
	}
	p.FixedIPs = kept
	if err := tx.Allocations.Delete(a.Key()); err != nil {
		return err
	}
	return s.savePort(tx, p)
}

// savePort writes a changed port.
func (s *Service) savePort(tx *store.Tx, p cloud.Port) error {
	p.UpdatedAt, p.Revision = s.clock.Now(), p.Revision+1
	return tx.Ports.Update(p)
}
