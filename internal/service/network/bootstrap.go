package network

import (
	"context"
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// First is what a new cloud's networks look like. A zero prefix leaves its
// subnet out.
type First struct {
	PhysicalNetwork   string // that the public network is on
	Public, Public6   netip.Prefix
	PublicGateway     netip.Addr
	PublicPool        cloud.AddressRange
	Private, Private6 netip.Prefix
	DNS               []netip.Addr // of the private IPv4 subnet
}

// DefaultFirst is what people expect to find, as devstack has it.
func DefaultFirst() First {
	return First{
		PhysicalNetwork: "public",
		Public:          netip.MustParsePrefix("172.24.4.0/24"), PublicGateway: netip.MustParseAddr("172.24.4.1"),
		PublicPool: cloud.AddressRange{Start: netip.MustParseAddr("172.24.4.10"), End: netip.MustParseAddr("172.24.4.250")},
		Public6:    netip.MustParsePrefix("2001:db8::/64"),
		Private:    netip.MustParsePrefix("10.0.0.0/24"), Private6: netip.MustParsePrefix("fd00:10::/64"),
	}
}

// bootstrapped is the setting that says that a cloud has had its first networks,
// so that what an operator deleted does not come back.
const bootstrapped = "network.bootstrapped"

// Bootstrap makes the first networks of a cloud, once, all in one transaction:
// `public`, external; `private`, shared, so that every project can boot on it;
// and `router1` between them. They belong to the project of the admin.
func (s *Service) Bootstrap(ctx context.Context, projectID string, first First) error {
	admin := cloud.Caller{ProjectID: projectID, Roles: []string{cloud.RoleAdmin, cloud.RoleMember, cloud.RoleReader}}
	return s.store.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Settings.Get(bootstrapped)
		if !cloud.Is(err, cloud.NotFound) {
			return err
		}
		public, err := s.firstPublic(tx, admin, first)
		if err != nil {
			return err
		}
		subnets, err := s.firstPrivate(tx, admin, first)
		if err != nil {
			return err
		}
		if err := s.firstRouter(tx, admin, public, subnets); err != nil {
			return err
		}
		return tx.Settings.Put(store.Setting{Name: bootstrapped, Value: s.clock.Now().UTC().Format("2006-01-02T15:04:05Z")})
	})
}

func (s *Service) firstPublic(tx *store.Tx, admin cloud.Caller, first First) (cloud.Network, error) {
	flat, yes := cloud.NetworkFlat, true
	n, err := s.createNetwork(tx, admin, NetworkCreate{
		Name: "public", External: &yes, IsDefault: &yes, Provider: Provider{Type: &flat, PhysicalNetwork: &first.PhysicalNetwork},
	})
	if err != nil {
		return n, err
	}
	no := false
	if first.Public.IsValid() {
		_, err := s.createSubnet(tx, admin, SubnetCreate{
			NetworkID: n.ID, Name: "public-subnet", IPVersion: 4, CIDR: first.Public, Gateway: &first.PublicGateway,
			Pools: &[]cloud.AddressRange{first.PublicPool}, EnableDHCP: &no,
		})
		if err != nil {
			return n, err
		}
	}
	if first.Public6.IsValid() {
		_, err = s.createSubnet(tx, admin, SubnetCreate{NetworkID: n.ID, Name: "ipv6-public-subnet", IPVersion: 6, CIDR: first.Public6, EnableDHCP: &no})
	}
	return n, err
}

func (s *Service) firstPrivate(tx *store.Tx, admin cloud.Caller, first First) ([]cloud.Subnet, error) {
	yes := true
	n, err := s.createNetwork(tx, admin, NetworkCreate{Name: "private", Shared: &yes})
	if err != nil {
		return nil, err
	}
	var subnets []cloud.Subnet
	for _, r := range []SubnetCreate{
		{Name: "private-subnet", IPVersion: 4, CIDR: first.Private, DNS: first.DNS},
		{Name: "ipv6-private-subnet", IPVersion: 6, CIDR: first.Private6, RAMode: modeSLAAC, AddressMode: modeSLAAC},
	} {
		if !r.CIDR.IsValid() {
			continue
		}
		r.NetworkID = n.ID
		sub, err := s.createSubnet(tx, admin, r)
		if err != nil {
			return nil, err
		}
		subnets = append(subnets, sub)
	}
	return subnets, nil
}

func (s *Service) firstRouter(tx *store.Tx, admin cloud.Caller, public cloud.Network, subnets []cloud.Subnet) error {
	r, err := s.createRouter(tx, admin, RouterCreate{Name: "router1", Gateway: &Gateway{NetworkID: public.ID}})
	if err != nil {
		return err
	}
	for _, sub := range subnets {
		if _, err := s.addBySubnet(tx, admin, r, sub.ID); err != nil {
			return err
		}
	}
	return nil
}
