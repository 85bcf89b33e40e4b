package linux

import (
	"net"
	"net/netip"

	"github.com/google/nftables"

	"hearth/internal/cloud"
)

// sender is a pair of addresses that a port may send from.
type sender struct {
	mac    net.HardwareAddr
	prefix netip.Prefix
}

// senders lists what a port may send from: its fixed addresses, its allowed
// pairs, and the link-local address of each of its hardware addresses.
func senders(p cloud.PortSpec) ([]sender, error) {
	const op = "network.Apply"
	own, err := parseMAC(op, "port "+p.ID, p.MAC)
	if err != nil {
		return nil, err
	}
	macs := map[string]bool{own.String(): true}
	list := []sender{{own, host(linkLocal(own))}}
	for _, fixed := range p.Addresses {
		list = append(list, sender{own, host(fixed.IP)})
	}
	for _, pair := range p.AllowedPairs {
		mac := own
		if pair.MAC != "" {
			if mac, err = parseMAC(op, "an allowed address pair of port "+p.ID, pair.MAC); err != nil {
				return nil, err
			}
		}
		if !macs[mac.String()] {
			macs[mac.String()] = true
			list = append(list, sender{mac, host(linkLocal(mac))})
		}
		if pair.IP.IsValid() {
			list = append(list, sender{mac, pair.IP.Masked()})
		}
	}
	return list, nil
}

// guardSource writes what a port may put on the wire.
func guardSource(t chainSet, chain *nftables.Chain, p cloud.PortSpec, index uint32) error {
	if !p.AdminUp {
		t.rule(chain, drop())
		return nil
	}
	if p.DSCP != nil {
		t.rule(chain, protocolIs(etherIPv4), markIPv4(*p.DSCP))
		t.rule(chain, protocolIs(etherIPv6), markIPv6(*p.DSCP))
	}
	if !p.Security {
		t.rule(chain, accept())
		return nil
	}
	list, err := senders(p)
	if err != nil {
		return err
	}
	pass := accept()
	t.rule(chain, setMark(0, index))
	t.rule(chain, jump(chainNever))
	advertise := t.chain("advertise-" + tapName(p.ID))
	done := map[string]bool{}
	for _, s := range list {
		if !done[s.mac.String()] {
			done[s.mac.String()] = true
			guardUnnumbered(t, chain, s.mac, pass)
		}
		if s.prefix.Addr().Is4() {
			t.rule(chain, sourceMAC(s.mac), protocolIs(etherIPv4), sourceIn(s.prefix), pass)
			t.rule(chain, sourceMAC(s.mac), protocolIs(etherARP), payloadIs(networkHd, 8, s.mac), payloadIn(networkHd, 14, s.prefix), pass)
			continue
		}
		// A neighbour advertisement may only speak for an own address.
		t.rule(chain, sourceMAC(s.mac), protocolIs(etherIPv6), l4Is(protoICMPv6), icmpType(icmpNeighbourAdvertisement), payloadIn(transport, 8, s.prefix), goTo(advertise.Name))
	}
	t.rule(chain, protocolIs(etherIPv6), l4Is(protoICMPv6), icmpType(icmpNeighbourAdvertisement), drop())
	for _, s := range list {
		if s.prefix.Addr().Is6() {
			t.rule(chain, sourceMAC(s.mac), protocolIs(etherIPv6), sourceIn(s.prefix), pass)
			t.rule(advertise, sourceMAC(s.mac), sourceIn(s.prefix), pass)
		}
	}
	t.rule(advertise, drop())
	t.rule(chain, drop())
	return nil
}

// The chains that all ports of a network go through in the guard's table.
const (
	chainNever      = "never"      // what no port may send
	chainTagged     = "tagged"     // what no port may send or receive
	chainUnnumbered = "unnumbered" // what a port may send without an address
)

// addNever writes the chains that are the same for all ports.
func addNever(t chainSet) {
	tagged, never, unnumbered := t.chain(chainTagged), t.chain(chainNever), t.chain(chainUnnumbered)
	dropTagged(t, tagged)
	t.rule(never, jump(chainTagged))
	dropServers(t, never)
	none4, none6 := host(netip.IPv4Unspecified()), host(netip.IPv6Unspecified())
	t.rule(unnumbered, protocolIs(etherIPv4), sourceIn(none4), udp(68, 67), accept())
	for _, kind := range []byte{icmpListenerReport, icmpListenerReport2, icmpRouterSolicitation, icmpNeighbourSolicitation} {
		t.rule(unnumbered, protocolIs(etherIPv6), sourceIn(none6), l4Is(protoICMPv6), icmpType(kind), accept())
	}
}

// dropTagged drops frames with a VLAN tag: the kernel has taken the tag off when
// the filters look, so they would take what is inside for a plain packet, and
// the groups' table would not see it at all.
func dropTagged(t chainSet, chain *nftables.Chain) {
	for _, tag := range []uint16{0x8100, 0x88a8} {
		t.rule(chain, payloadIs(ethernet, 12, be16(tag)), drop())
	}
}

// dropServers drops what only the node may send: a server's answers and router
// advertisements. It stands in both tables: the second one sees reassembled
// packets, where a fragment cannot hide them.
func dropServers(t chainSet, chain *nftables.Chain) {
	t.rule(chain, protocolIs(etherIPv4), udp(67, 68), drop())
	t.rule(chain, protocolIs(etherIPv6), udp(547, 546), drop())
	for _, kind := range []byte{icmpRouterAdvertisement, icmpRedirect} {
		t.rule(chain, protocolIs(etherIPv6), l4Is(protoICMPv6), icmpType(kind), drop())
	}
}

// Types of ICMPv6 (RFC 4443, 4861, 2710, 3810).
const (
	icmpListenerQuery          = 130
	icmpListenerReport         = 131
	icmpListenerDone           = 132
	icmpRouterSolicitation     = 133
	icmpRouterAdvertisement    = 134
	icmpNeighbourSolicitation  = 135
	icmpNeighbourAdvertisement = 136
	icmpRedirect               = 137
	icmpListenerReport2        = 143
)

// guardUnnumbered lets a port ask for its address: DHCP, probes for duplicates.
func guardUnnumbered(t chainSet, chain *nftables.Chain, mac net.HardwareAddr, pass match) {
	t.rule(chain, sourceMAC(mac), jump(chainUnnumbered))
	t.rule(chain, sourceMAC(mac), protocolIs(etherARP), payloadIs(networkHd, 8, mac), payloadIn(networkHd, 14, host(netip.IPv4Unspecified())), pass)
}

// guardDestination notes for whom a packet is.
func guardDestination(t chainSet, chain *nftables.Chain, p cloud.PortSpec, index uint32) {
	if !p.AdminUp {
		t.rule(chain, drop())
		return
	}
	if p.Security {
		t.rule(chain, jump(chainTagged))
	} else {
		index = 0
	}
	t.rule(chain, setMark(markSource, index<<16), accept())
}
