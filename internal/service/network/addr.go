package network

import (
	"net"
	"net/netip"

	"hearth/internal/cloud"
)

// The modes of IPv6 addressing.
const (
	modeSLAAC     = "slaac"
	modeStateful  = "dhcpv6-stateful"
	modeStateless = "dhcpv6-stateless"
)

// auto tells whether hosts make their own addresses on the subnet, from their
// MACs, by SLAAC.
func auto(sub cloud.Subnet) bool {
	return sub.AddressMode == modeSLAAC || sub.AddressMode == modeStateless
}

// lastOf is the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := range b {
		switch free := (i+1)*8 - p.Bits(); {
		case free >= 8:
			b[i] = 0xff
		case free > 0:
			b[i] |= 1<<free - 1
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// small tells whether a prefix has no room for a network and a broadcast
// address: RFC 3021, and single hosts.
func small(p netip.Prefix) bool { return p.Addr().BitLen()-p.Bits() <= 1 }

// usable tells whether a host may have the address in the prefix: not the
// network's own (in IPv6 the routers' anycast) nor IPv4's broadcast.
func usable(p netip.Prefix, a netip.Addr) bool {
	switch {
	case !p.Contains(a):
		return false
	case small(p):
		return true
	case a == p.Masked().Addr():
		return false
	}
	return a.Is6() || a != lastOf(p)
}

// firstHost is the address after the network's own.
func firstHost(p netip.Prefix) netip.Addr {
	if small(p) && p.Addr().Is4() || p.IsSingleIP() {
		return p.Masked().Addr()
	}
	return p.Masked().Addr().Next()
}

// defaultPools are all usable addresses of a prefix but the gateway.
func defaultPools(p netip.Prefix, gateway netip.Addr) []cloud.AddressRange {
	first, last := firstHost(p), lastOf(p)
	if p.Addr().Is4() && !small(p) {
		last = last.Prev()
	}
	if !gateway.IsValid() || gateway.Less(first) || last.Less(gateway) {
		return []cloud.AddressRange{{Start: first, End: last}}
	}
	var pools []cloud.AddressRange
	if first.Less(gateway) {
		pools = append(pools, cloud.AddressRange{Start: first, End: gateway.Prev()})
	}
	if gateway.Less(last) {
		pools = append(pools, cloud.AddressRange{Start: gateway.Next(), End: last})
	}
	return pools
}

// within tells whether a range holds an address.
func within(r cloud.AddressRange, a netip.Addr) bool { return !a.Less(r.Start) && !r.End.Less(a) }

// EUI64 is the address that a host with the MAC makes for itself in a /64
// prefix (RFC 4291, appendix A).
func EUI64(p netip.Prefix, mac string) (netip.Addr, error) {
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 {
		return netip.Addr{}, invalid("'%s' is not a MAC address", mac)
	}
	b := p.Masked().Addr().As16()
	copy(b[8:], []byte{hw[0] ^ 2, hw[1], hw[2], 0xff, 0xfe, hw[3], hw[4], hw[5]})
	return netip.AddrFrom16(b), nil
}
