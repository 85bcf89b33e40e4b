// Package dhcp gives a network's guests their addresses: by DHCPv4 (RFC 2131,
// 2132, 3442) and DHCPv6 (RFC 8415), each by its hardware address as the
// network's spec says. It knows no others and answers no others. There is no
// state: a lease is what the spec says, always.
package dhcp

import (
	"net"
	"net/netip"
	"strings"
	"time"

	"hearth/internal/cloud"
)

// Options are what the servers of a node have in common.
type Options struct {
	// Lease is how long an address is given for; 0 for a day.
	Lease time.Duration
	// Marker is an option that tells guests whose server this is: its code, 224
	// to 254, and its value. Code 0 for none.
	Marker      uint8
	MarkerValue string
}

const defaultLease = 24 * time.Hour

// Table is what a network's servers answer, by hardware address. It does not
// change: servers are given a new one.
type Table struct {
	options Options
	domain  string
	mtu     int
	four    map[string]lease
	six     map[string]lease6
}

// lease is a guest's DHCPv4 configuration.
type lease struct {
	ip, server netip.Addr
	subnet     cloud.SubnetSpec
	dns        []netip.Addr
	hostname   string
	extra      []cloud.DHCPOption
}

// lease6 is a guest's DHCPv6 configuration; ips are those of stateful subnets.
type lease6 struct {
	ips []netip.Addr
	dns []netip.Addr
}

// NewTable reads a network's spec. Subnets without DHCP give nothing.
func NewTable(spec cloud.NetworkSpec, options Options) *Table {
	if options.Lease == 0 {
		options.Lease = defaultLease
	}
	t := &Table{options: options, domain: strings.TrimSuffix(spec.DNSDomain, "."), mtu: spec.MTU, four: map[string]lease{}, six: map[string]lease6{}}
	if spec.DHCP == nil {
		return t
	}
	subnets := map[string]cloud.SubnetSpec{}
	for _, s := range spec.Subnets {
		if s.DHCP {
			subnets[s.ID] = s
		}
	}
	for _, p := range spec.Ports {
		for _, fixed := range p.Addresses {
			subnet, ok := subnets[fixed.SubnetID]
			if !ok {
				continue
			}
			if fixed.IP.Is4() {
				t.add4(spec, p, subnet, fixed.IP)
			} else {
				t.add6(spec, p, subnet, fixed.IP)
			}
		}
	}
	return t
}

// add4 adds a DHCPv4 lease; the first address of a port is the one it gets.
func (t *Table) add4(spec cloud.NetworkSpec, p cloud.PortSpec, subnet cloud.SubnetSpec, ip netip.Addr) {
	server, ok := serverOn(spec, subnet)
	if _, twice := t.four[p.MAC]; twice || !ok {
		return
	}
	dns := of(subnet.DNS, netip.Addr.Is4)
	if len(dns) == 0 {
		dns = []netip.Addr{server}
	}
	var extra []cloud.DHCPOption
	for _, o := range p.DHCPOptions {
		if o.IPVersion != 6 {
			extra = append(extra, o)
		}
	}
	t.four[p.MAC] = lease{ip: ip, server: server, subnet: subnet, dns: dns, hostname: p.Hostname, extra: extra}
}

func (t *Table) add6(spec cloud.NetworkSpec, p cloud.PortSpec, subnet cloud.SubnetSpec, ip netip.Addr) {
	if subnet.AddressMode != modeStateful && subnet.AddressMode != modeStateless {
		return
	}
	l := t.six[p.MAC]
	if subnet.AddressMode == modeStateful {
		l.ips = append(l.ips, ip)
	}
	dns := of(subnet.DNS, netip.Addr.Is6)
	if server, ok := serverOn(spec, subnet); ok && len(dns) == 0 {
		dns = []netip.Addr{server}
	}
	for _, d := range dns {
		if !has(l.dns, d) {
			l.dns = append(l.dns, d)
		}
	}
	t.six[p.MAC] = l
}

// The modes of IPv6 that DHCPv6 has a part in.
const (
	modeStateful  = "dhcpv6-stateful"
	modeStateless = "dhcpv6-stateless"
)

// serverOn is the service port's address on a subnet.
func serverOn(spec cloud.NetworkSpec, subnet cloud.SubnetSpec) (netip.Addr, bool) {
	for _, p := range spec.DHCP.Addresses {
		if subnet.CIDR.Contains(p.Addr()) {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

func of(list []netip.Addr, want func(netip.Addr) bool) []netip.Addr {
	var chosen []netip.Addr
	for _, a := range list {
		if want(a) {
			chosen = append(chosen, a)
		}
	}
	return chosen
}

func has(list []netip.Addr, a netip.Addr) bool {
	for _, l := range list {
		if l == a {
			return true
		}
	}
	return false
}

func toIPs(list []netip.Addr) []net.IP {
	ips := make([]net.IP, 0, len(list))
	for _, a := range list {
		ips = append(ips, net.IP(a.AsSlice()))
	}
	return ips
}
