package network

import (
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// serveDHCP keeps the network's DHCP port as its subnets need it: a port with
// an address on each subnet that has DHCP, or none. The nodes answer DHCP, DNS
// and metadata with that port's MAC and addresses.
func (s *Service) serveDHCP(tx *store.Tx, n cloud.Network) error {
	subnets, err := tx.Subnets.List(byAge([]store.Cond{store.Eq("network_id", n.ID)}))
	if err != nil {
		return err
	}
	subnets, _ = keep(subnets, nil, func(sub cloud.Subnet) bool { return sub.EnableDHCP })
	ports, err := tx.Ports.List(store.Where(store.Eq("network_id", n.ID), store.Eq("device_owner", cloud.OwnerDHCP)))
	if err != nil {
		return err
	}
	switch {
	case len(ports) == 0 && len(subnets) == 0:
		return nil
	case len(ports) == 0:
		return s.newDHCPPort(tx, n, subnets)
	case len(subnets) == 0:
		return s.DeletePortTx(tx, ports[0])
	}
	return s.fitDHCPPort(tx, ports[0], subnets)
}

func (s *Service) newDHCPPort(tx *store.Tx, n cloud.Network, subnets []cloud.Subnet) error {
	none := []IPRequest{}
	p, err := s.insertPort(tx, cloud.Port{
		NetworkID: n.ID, ProjectID: n.ProjectID, AdminStateUp: true,
		DeviceID: "dhcp-" + n.ID, DeviceOwner: cloud.OwnerDHCP,
	}, &none)
	if err != nil {
		return err
	}
	return s.fitDHCPPort(tx, p, subnets)
}

// fitDHCPPort gives the port an address on each of the subnets and takes all
// others from it. A subnet with no address left stays without DHCP: that must
// not keep anybody from making it or from filling it.
func (s *Service) fitDHCPPort(tx *store.Tx, p cloud.Port, subnets []cloud.Subnet) error {
	wanted := indexed(subnets, func(sub cloud.Subnet) string { return sub.ID })
	changed := false
	var kept []cloud.FixedIP
	for _, f := range p.FixedIPs {
		if _, ok := wanted[f.SubnetID]; ok {
			kept = append(kept, f)
			continue
		}
		changed = true
		if err := tx.Allocations.Delete(cloud.IPAllocation{SubnetID: f.SubnetID, IP: f.IP}.Key()); err != nil && !cloud.Is(err, cloud.NotFound) {
			return err
		}
	}
	p.FixedIPs = kept
	for _, sub := range subnets {
		if hasIPOn(p, sub.ID) {
			continue
		}
		ip, err := serviceIP(tx, sub, p.MAC)
		if err != nil {
			return err
		}
		if !ip.IsValid() {
			continue
		}
		changed = true
		if err := grab(tx, &p, sub, ip); err != nil {
			return err
		}
	}
	if !changed {
		return nil
	}
	return s.savePort(tx, p)
}

// serviceIP chooses the DHCP port's address on a subnet; an invalid one when
// the subnet is full. It is the first free one, so that who makes a subnet knows
// which addresses are left to ask for.
func serviceIP(tx *store.Tx, sub cloud.Subnet, mac string) (netip.Addr, error) {
	if auto(sub) {
		return EUI64(sub.CIDR, mac)
	}
	first, err := freeOf(tx, sub, 1)
	if err != nil || len(first) == 0 {
		return netip.Addr{}, err
	}
	return first[0], nil
}
