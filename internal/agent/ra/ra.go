// Package ra sends IPv6 router advertisements (RFC 4861, 4862, 8106) to the
// guests of a network: from the router that has an interface there, or, when
// there is none, from the service port, which then tells the prefixes without
// being a way out.
package ra

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"time"

	"hearth/internal/cloud"
)

// The modes of a subnet.
const (
	ModeSLAAC     = "slaac"           // the guest makes its address
	ModeStateful  = "dhcpv6-stateful" // DHCPv6 gives it
	ModeStateless = "dhcpv6-stateless"
)

// Config is what is advertised on one interface.
type Config struct {
	MAC      net.HardwareAddr // of the interface
	MTU      int              // 0: not told
	Router   bool             // whether it is a way out
	Prefixes []cloud.AdvertisedPrefix
	Domain   string // for searches; "" for none
}

// Lifetimes that are told, and how often that is unasked.
const (
	lifetimeRouter = 30 * time.Minute
	lifetimePrefix = 24 * time.Hour
	lifetimeDNS    = 30 * time.Minute
	interval       = 200 * time.Second
)

// Types of ICMPv6 messages and of their options.
const (
	typeSolicitation  = 133
	typeAdvertisement = 134
	optionSource      = 1
	optionPrefix      = 3
	optionMTU         = 5
	optionDNS         = 25
	optionDomains     = 31
)

// Advertisement is the ICMPv6 message for a configuration, with the checksum
// left to the kernel. Lifetime is the router's; 0 when it is no way out.
func (c Config) Advertisement(lifetime time.Duration) []byte {
	var flags byte
	for _, p := range c.Prefixes {
		switch p.Mode {
		case ModeStateful:
			flags |= 0x80 | 0x40 // addresses and the rest by DHCPv6
		case ModeStateless:
			flags |= 0x40 // the rest by DHCPv6
		}
	}
	if !c.Router {
		lifetime = 0
	}
	m := []byte{typeAdvertisement, 0, 0, 0, 64, flags}
	m = binary.BigEndian.AppendUint16(m, uint16(lifetime/time.Second))
	m = append(m, make([]byte, 8)...) // reachable and retransmission times: unspecified
	if len(c.MAC) == 6 {
		m = append(m, optionSource, 1)
		m = append(m, c.MAC...)
	}
	if c.MTU > 0 {
		m = append(m, optionMTU, 1, 0, 0)
		m = binary.BigEndian.AppendUint32(m, uint32(c.MTU))
	}
	var servers []netip.Addr
	for _, p := range c.Prefixes {
		m = appendPrefix(m, p)
		for _, dns := range p.DNS {
			if dns.Is6() {
				servers = append(servers, dns)
			}
		}
	}
	m = appendServers(m, servers)
	return appendDomain(m, c.Domain)
}

// appendPrefix tells a prefix: on the link, and, unless DHCPv6 gives the
// addresses, to make one from.
func appendPrefix(m []byte, p cloud.AdvertisedPrefix) []byte {
	flags := byte(0x80)
	if p.Mode != ModeStateful {
		flags |= 0x40
	}
	m = append(m, optionPrefix, 4, byte(p.Prefix.Bits()), flags)
	m = binary.BigEndian.AppendUint32(m, uint32(lifetimePrefix/time.Second))
	m = binary.BigEndian.AppendUint32(m, uint32(lifetimePrefix/time.Second))
	m = append(m, 0, 0, 0, 0)
	raw := p.Prefix.Masked().Addr().As16()
	return append(m, raw[:]...)
}

func appendServers(m []byte, servers []netip.Addr) []byte {
	if len(servers) == 0 || len(servers) > 100 {
		return m
	}
	m = append(m, optionDNS, byte(1+2*len(servers)), 0, 0)
	m = binary.BigEndian.AppendUint32(m, uint32(lifetimeDNS/time.Second))
	for _, s := range servers {
		raw := s.As16()
		m = append(m, raw[:]...)
	}
	return m
}

func appendDomain(m []byte, domain string) []byte {
	domain = strings.Trim(domain, ".")
	if domain == "" || len(domain) > 253 {
		return m
	}
	var name []byte
	for _, label := range strings.Split(domain, ".") {
		if label == "" || len(label) > 63 {
			return m
		}
		name = append(append(name, byte(len(label))), label...)
	}
	name = append(name, 0)
	for len(name)%8 != 0 {
		name = append(name, 0)
	}
	m = append(m, optionDomains, byte(1+len(name)/8), 0, 0)
	m = binary.BigEndian.AppendUint32(m, uint32(lifetimeDNS/time.Second))
	return append(m, name...)
}
