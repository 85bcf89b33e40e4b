package network

import (
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// The bounds of neutron's configuration.
const (
	maxNameservers = 5
	maxHostRoutes  = 20
)

// checkSubnet judges a subnet by itself, in neutron's words. pools says whether
// the pools were asked for and so need judging against the gateway.
func checkSubnet(sub cloud.Subnet, pools bool) error {
	if err := checkCIDR(sub); err != nil {
		return err
	}
	if err := checkModes(sub); err != nil {
		return err
	}
	if sub.Gateway.IsValid() {
		if err := version(sub.IPVersion, "gateway_ip", sub.Gateway); err != nil {
			return err
		}
		if sub.IPVersion == 4 && sub.CIDR.Contains(sub.Gateway) && !usable(sub.CIDR, sub.Gateway) {
			return invalid("Gateway is not valid on subnet")
		}
	}
	if len(sub.DNS) > maxNameservers {
		return refuse(cloud.Invalid, "DNSNameServersExhausted", "Unable to complete operation for %s. The number of DNS nameservers exceeds the limit %d.", sub.ID, maxNameservers)
	}
	for _, dns := range sub.DNS {
		if err := version(sub.IPVersion, "dns_nameserver", dns); err != nil {
			return err
		}
	}
	if len(sub.HostRoutes) > maxHostRoutes {
		return refuse(cloud.Invalid, "HostRoutesExhausted", "Unable to complete operation for %s. The number of host routes exceeds the limit %d.", sub.ID, maxHostRoutes)
	}
	for _, r := range sub.HostRoutes {
		if err := version(sub.IPVersion, "nexthop", r.NextHop); err != nil {
			return err
		}
		if err := version(sub.IPVersion, "destination", r.Destination.Addr()); err != nil {
			return err
		}
	}
	return checkPools(sub, pools)
}

func version(v int, what string, a netip.Addr) error {
	if a.Is4() != (v == 4) {
		return invalid("%s '%s' does not match the ip_version '%d'", what, a, v)
	}
	return nil
}

func checkCIDR(sub cloud.Subnet) error {
	a, bits := sub.CIDR.Addr(), sub.CIDR.Bits()
	if err := version(sub.IPVersion, "cidr", a); err != nil {
		return err
	}
	if bits == 0 {
		return invalid("0 is not allowed as CIDR prefix length")
	}
	if !sub.EnableDHCP {
		return nil
	}
	switch {
	case sub.IPVersion == 4 && bits > 30, sub.IPVersion == 6 && bits > 126:
		return invalid("Subnet has a prefix length that is incompatible with DHCP service enabled")
	case a.IsMulticast():
		return invalid("Multicast IP subnet is not supported if enable_dhcp is True")
	case a.IsLoopback():
		return invalid("Loopback IP subnet is not supported if enable_dhcp is True")
	case sub.IPVersion == 4 && a.IsUnspecified():
		return invalid("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.")
	}
	return nil
}

// checkModes judges the IPv6 modes.
func checkModes(sub cloud.Subnet) error {
	ra, address := sub.RAMode, sub.AddressMode
	switch {
	case sub.IPVersion == 4 && ra != "":
		return invalid("ipv6_ra_mode is not valid when ip_version is 4")
	case sub.IPVersion == 4 && address != "":
		return invalid("ipv6_address_mode is not valid when ip_version is 4")
	case ra == "" && address == "":
		return nil
	case !sub.EnableDHCP:
		return invalid("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False")
	case ra != "" && address != "" && ra != address:
		return invalid("ipv6_ra_mode set to '%s' with ipv6_address_mode set to '%s' is not valid. If both attributes are set, they must be the same value", ra, address)
	case auto(sub) && sub.CIDR.Bits() != 64:
		return invalid("Invalid CIDR %s for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64", sub.CIDR)
	}
	return nil
}

// checkPools judges allocation pools: inside the subnet, in order, apart from
// each other and from the gateway.
func checkPools(sub cloud.Subnet, asked bool) error {
	if !asked {
		return nil
	}
	text := func(r cloud.AddressRange) string { return r.Start.String() + "-" + r.End.String() }
	sorted := slices.SortedFunc(slices.Values(sub.Pools), func(a, b cloud.AddressRange) int { return a.Start.Compare(b.Start) })
	for i, r := range sorted {
		switch {
		case r.Start.Is4() != (sub.IPVersion == 4) || r.End.Is4() != (sub.IPVersion == 4), r.End.Less(r.Start):
			return refuse(cloud.Invalid, "InvalidAllocationPool", "The allocation pool %s is not valid.", text(r))
		case !usable(sub.CIDR, r.Start) || !usable(sub.CIDR, r.End):
			return refuse(cloud.Invalid, "OutOfBoundsAllocationPool", "The allocation pool %s spans beyond the subnet cidr %s.", text(r), sub.CIDR)
		case i > 0 && !sorted[i-1].End.Less(r.Start):
			return conflict("OverlappingAllocationPools", "Found overlapping allocation pools: %s %s for subnet %s.", text(sorted[i-1]), text(r), sub.CIDR)
		case sub.Gateway.IsValid() && within(r, sub.Gateway):
			return conflict("GatewayConflictWithAllocationPools", "Gateway ip %s conflicts with allocation pool %s.", sub.Gateway, text(r))
		}
	}
	return nil
}

// checkOverlap refuses a subnet that shares addresses with another of its
// network.
func checkOverlap(tx *store.Tx, sub cloud.Subnet) error {
	others, err := tx.Subnets.List(store.Where(store.Eq("network_id", sub.NetworkID)))
	for _, o := range others {
		if o.CIDR.Overlaps(sub.CIDR) {
			return invalid("Requested subnet with cidr: %s for network: %s overlaps with another subnet", sub.CIDR, sub.NetworkID)
		}
	}
	return err
}

// checkGatewayFree refuses to move the gateway from an address that a router
// has.
func checkGatewayFree(tx *store.Tx, sub cloud.Subnet) error {
	if !sub.Gateway.IsValid() {
		return nil
	}
	a, err := tx.Allocations.Get(cloud.IPAllocation{SubnetID: sub.ID, IP: sub.Gateway}.Key())
	if cloud.Is(err, cloud.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return conflict("GatewayIpInUse", "Current gateway ip %s already in use by port %s. Unable to update.", sub.Gateway, a.PortID)
}
