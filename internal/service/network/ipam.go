package network

import (
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// IPRequest asks for an address: any of a subnet, this one, or both.
type IPRequest struct {
	SubnetID string
	IP       netip.Addr // zero for any
}

// maxFixedIPs bounds what may be asked for on one port.
const maxFixedIPs = 5

// window is how many free addresses the choice is made among, so that one just
// given back is seldom given out next.
const window = 10

// free chooses a free address of the subnet's pools; an invalid one if there is
// none.
func (s *Service) free(tx *store.Tx, sub cloud.Subnet) (netip.Addr, error) {
	choice, err := freeOf(tx, sub, window)
	if err != nil || len(choice) == 0 {
		return netip.Addr{}, err
	}
	return choice[s.pick(len(choice))], nil
}

// freeOf is the first free addresses of the subnet's pools, at most n.
func freeOf(tx *store.Tx, sub cloud.Subnet, n int) ([]netip.Addr, error) {
	rows, err := tx.Allocations.List(store.Where(store.Eq("subnet_id", sub.ID)))
	if err != nil {
		return nil, err
	}
	taken := make(map[netip.Addr]bool, len(rows)+1)
	for _, a := range rows {
		taken[a.IP] = true
	}
	taken[sub.Gateway] = true
	var choice []netip.Addr
	for _, pool := range sub.Pools {
		for ip := pool.Start; ip.IsValid() && !pool.End.Less(ip) && len(choice) < n; ip = ip.Next() {
			if !taken[ip] {
				choice = append(choice, ip)
			}
		}
	}
	return choice, nil
}

// grab writes down that the port has an address.
func grab(tx *store.Tx, p *cloud.Port, sub cloud.Subnet, ip netip.Addr) error {
	err := tx.Allocations.Insert(cloud.IPAllocation{SubnetID: sub.ID, IP: ip, PortID: p.ID, NetworkID: p.NetworkID})
	if cloud.Is(err, cloud.Conflict) {
		return conflict("IpAddressInUse", "Unable to complete operation for network %s. The IP address %s is in use.", p.NetworkID, ip)
	}
	p.FixedIPs = append(p.FixedIPs, cloud.FixedIP{SubnetID: sub.ID, IP: ip})
	return err
}

// grabFree gives the port any address of one of the subnets, tried in turn.
func (s *Service) grabFree(tx *store.Tx, p *cloud.Port, subnets []cloud.Subnet) error {
	for _, sub := range subnets {
		ip, err := s.free(tx, sub)
		if err != nil {
			return err
		}
		if ip.IsValid() {
			return grab(tx, p, sub, ip)
		}
	}
	return conflict("IpAddressGenerationFailure", "No more IP addresses available on network %s.", p.NetworkID)
}

// grabAuto gives the port the address it makes for itself on an automatic
// subnet.
func grabAuto(tx *store.Tx, p *cloud.Port, sub cloud.Subnet) error {
	ip, err := EUI64(sub.CIDR, p.MAC)
	if err != nil {
		return err
	}
	return grab(tx, p, sub, ip)
}

// allot gives a new port its addresses: the ones asked for or, when nothing was
// said (nil), one of IPv4, one of IPv6, and one for each automatic subnet.
func (s *Service) allot(tx *store.Tx, p *cloud.Port, asked *[]IPRequest) error {
	subnets, err := tx.Subnets.List(byAge([]store.Cond{store.Eq("network_id", p.NetworkID)}))
	if err != nil {
		return err
	}
	if asked != nil {
		if len(*asked) > maxFixedIPs && !serviceOwner(p.DeviceOwner) {
			return invalid("Exceeded maximum amount of fixed ips per port")
		}
		for _, r := range *asked {
			if err := s.allotOne(tx, p, subnets, r); err != nil {
				return err
			}
		}
		if len(*asked) == 0 {
			return nil
		}
		return addAuto(tx, p, subnets)
	}
	var four, six []cloud.Subnet
	for _, sub := range servicing(subnets, p.DeviceOwner) {
		switch {
		case sub.IPVersion == 4:
			four = append(four, sub)
		case !auto(sub):
			six = append(six, sub)
		}
	}
	for _, group := range [][]cloud.Subnet{four, six} {
		if len(group) > 0 {
			if err := s.grabFree(tx, p, group); err != nil {
				return err
			}
		}
	}
	return addAuto(tx, p, subnets)
}

// servicing leaves out the subnets kept for other kinds of ports, and prefers
// those kept for this one.
func servicing(subnets []cloud.Subnet, owner string) []cloud.Subnet {
	var meant, general []cloud.Subnet
	for _, sub := range subnets {
		if len(sub.ServiceTypes) == 0 {
			general = append(general, sub)
		}
		for _, t := range sub.ServiceTypes {
			if t == owner {
				meant = append(meant, sub)
			}
		}
	}
	return append(meant, general...)
}

// addAuto gives the port its address on each automatic subnet that it has none
// on. Routers choose theirs.
func addAuto(tx *store.Tx, p *cloud.Port, subnets []cloud.Subnet) error {
	if routerOwner(p.DeviceOwner) || p.DeviceOwner == cloud.OwnerFloatingIP {
		return nil
	}
	for _, sub := range subnets {
		if auto(sub) && !hasIPOn(*p, sub.ID) {
			if err := grabAuto(tx, p, sub); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasIPOn(p cloud.Port, subnetID string) bool {
	for _, f := range p.FixedIPs {
		if f.SubnetID == subnetID {
			return true
		}
	}
	return false
}

// allotOne serves one request for an address.
func (s *Service) allotOne(tx *store.Tx, p *cloud.Port, subnets []cloud.Subnet, r IPRequest) error {
	sub, err := requested(tx, p, subnets, r)
	if err != nil {
		return err
	}
	byItself := auto(sub) && !routerOwner(p.DeviceOwner)
	switch {
	case !r.IP.IsValid() && byItself:
		if hasIPOn(*p, sub.ID) {
			return nil
		}
		return grabAuto(tx, p, sub)
	case !r.IP.IsValid():
		return s.grabFree(tx, p, []cloud.Subnet{sub})
	case byItself:
		if own, err := EUI64(sub.CIDR, p.MAC); err != nil || own != r.IP {
			return refuse(cloud.Invalid, "AllocationOnAutoAddressSubnet", "Invalid input for operation: IPv6 address %s cannot be directly assigned to a port on subnet %s as the subnet is configured for automatic addresses.", r.IP, sub.ID)
		}
	case !usable(sub.CIDR, r.IP) && !(routerOwner(p.DeviceOwner) && sub.CIDR.Contains(r.IP)):
		return refuse(cloud.Invalid, "InvalidIpForSubnet", "IP address %s is not a valid IP for the specified subnet.", r.IP)
	}
	return grab(tx, p, sub, r.IP)
}

// requested finds the subnet that a request means.
func requested(tx *store.Tx, p *cloud.Port, subnets []cloud.Subnet, r IPRequest) (cloud.Subnet, error) {
	if len(subnets) == 0 {
		return cloud.Subnet{}, invalid("IP allocation requires subnets for network")
	}
	if r.SubnetID == "" && !r.IP.IsValid() {
		return cloud.Subnet{}, invalid("IP allocation requires subnet_id or ip_address")
	}
	for _, sub := range subnets {
		if sub.ID == r.SubnetID || r.SubnetID == "" && sub.CIDR.Contains(r.IP) {
			return sub, nil
		}
	}
	if r.SubnetID == "" {
		return cloud.Subnet{}, refuse(cloud.Invalid, "InvalidIpForNetwork", "IP address %s is not a valid IP for any of the subnets on the specified network.", r.IP)
	}
	if _, err := tx.Subnets.Get(r.SubnetID); cloud.Is(err, cloud.NotFound) {
		return cloud.Subnet{}, noSubnet(r.SubnetID)
	}
	return cloud.Subnet{}, invalid("Failed to create port on network %s, because fixed_ips included invalid subnet %s", p.NetworkID, r.SubnetID)
}

// reallot changes the addresses of a port to what is asked for. Addresses that
// stay are not given back in between; those that the port makes for itself stay
// always.
func (s *Service) reallot(tx *store.Tx, p *cloud.Port, asked []IPRequest) error {
	if len(asked) > maxFixedIPs && !serviceOwner(p.DeviceOwner) {
		return invalid("Exceeded maximum amount of fixed ips per port")
	}
	subnets, err := tx.Subnets.List(byAge([]store.Cond{store.Eq("network_id", p.NetworkID)}))
	if err != nil {
		return err
	}
	old := p.FixedIPs
	p.FixedIPs = nil
	kept := map[netip.Addr]bool{}
	var missing []IPRequest
	for _, r := range asked {
		if i := staying(old, kept, asked, r); i >= 0 {
			kept[old[i].IP] = true
			p.FixedIPs = append(p.FixedIPs, old[i])
			continue
		}
		missing = append(missing, r)
	}
	byID := indexed(subnets, func(sub cloud.Subnet) string { return sub.ID })
	for _, f := range old {
		switch {
		case kept[f.IP]:
		case auto(byID[f.SubnetID]) && !routerOwner(p.DeviceOwner):
			p.FixedIPs = append(p.FixedIPs, f)
		default:
			if err := tx.Allocations.Delete(cloud.IPAllocation{SubnetID: f.SubnetID, IP: f.IP}.Key()); err != nil {
				return err
			}
		}
	}
	for _, r := range missing {
		if err := s.allotOne(tx, p, subnets, r); err != nil {
			return err
		}
	}
	return nil
}

// staying finds which of the old addresses serves a request: the very one, or
// one of the subnet that no other request names.
func staying(old []cloud.FixedIP, kept map[netip.Addr]bool, asked []IPRequest, r IPRequest) int {
	named := map[netip.Addr]bool{}
	for _, a := range asked {
		named[a.IP] = true
	}
	for i, f := range old {
		switch {
		case kept[f.IP]:
		case r.IP == f.IP && (r.SubnetID == "" || r.SubnetID == f.SubnetID):
			return i
		case !r.IP.IsValid() && r.SubnetID == f.SubnetID && !named[f.IP]:
			return i
		}
	}
	return -1
}

// release gives all addresses of a port back.
func release(tx *store.Tx, portID string) error {
	_, err := tx.Allocations.DeleteWhere(store.Eq("port_id", portID))
	return err
}
