package linux

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"hearth/internal/cloud"
)

// The addresses of the metadata service, for IPv4 and IPv6.
var (
	metadata4      = netip.MustParseAddr("169.254.169.254")
	metadata6      = netip.MustParseAddr("fd00:ec2::254")
	metadata6Local = netip.MustParseAddr("fe80::a9fe:a9fe")
)

// groupSets names the sets of a group's members.
type groupSets struct{ four, six *nftables.Set }

// addGroupChains writes a chain for each group and direction, and sets of the
// members of the groups that rules refer to.
func addGroupChains(t chainSet, groups []cloud.GroupSpec, addresses []cloud.AddressGroupSpec) (map[string]bool, error) {
	sets := map[string]groupSets{}
	for _, g := range addresses {
		s, err := addAddresses(t, g)
		if err != nil {
			return nil, err
		}
		sets[addressGroup+g.ID] = s
	}
	for _, g := range sortedGroups(groups) {
		s, err := addMembers(t, g)
		if err != nil {
			return nil, err
		}
		sets[g.ID] = s
	}
	known := map[string]bool{}
	for _, g := range sortedGroups(groups) {
		in, out := t.chain(groupChain("in", g.ID)), t.chain(groupChain("out", g.ID))
		known[g.ID] = true
		for _, rule := range g.Rules {
			chain := in
			if rule.Direction == "egress" {
				chain = out
			}
			parts, ok := ruleMatch(rule, sets)
			if ok {
				t.rule(chain, parts, counter(), accept())
			}
		}
	}
	return known, nil
}

func groupChain(direction, id string) string { return linkName(direction+"-", id) }

func addMembers(t chainSet, g cloud.GroupSpec) (groupSets, error) {
	s := groupSets{
		four: &nftables.Set{Table: t.table, Name: linkName("four-", g.ID), KeyType: nftables.TypeIPAddr},
		six:  &nftables.Set{Table: t.table, Name: linkName("six-", g.ID), KeyType: nftables.TypeIP6Addr},
	}
	var four, six []nftables.SetElement
	seen := map[netip.Addr]bool{}
	for _, m := range g.Members {
		m = m.Unmap()
		if seen[m] {
			continue
		}
		seen[m] = true
		if m.Is4() {
			four = append(four, nftables.SetElement{Key: m.AsSlice()})
		} else {
			six = append(six, nftables.SetElement{Key: m.AsSlice()})
		}
	}
	if err := t.conn.AddSet(s.four, four); err != nil {
		return s, err
	}
	return s, t.conn.AddSet(s.six, six)
}

// addressGroup begins the key of an address group among the sets.
const addressGroup = "addresses/"

// addAddresses adds the sets of an address group's prefixes.
func addAddresses(t chainSet, g cloud.AddressGroupSpec) (groupSets, error) {
	s := groupSets{
		four: &nftables.Set{Table: t.table, Name: linkName("at4-", g.ID), KeyType: nftables.TypeIPAddr, Interval: true},
		six:  &nftables.Set{Table: t.table, Name: linkName("at6-", g.ID), KeyType: nftables.TypeIP6Addr, Interval: true},
	}
	var four, six []netip.Prefix
	for _, p := range g.Addresses {
		if p.Addr().Is4() {
			four = append(four, p)
		} else {
			six = append(six, p)
		}
	}
	if err := t.conn.AddSet(s.four, intervals(four)); err != nil {
		return s, err
	}
	return s, t.conn.AddSet(s.six, intervals(six))
}

// intervals are prefixes of one family as the elements of a set: the first address of
// each, and the one behind its last. Sets do not take what overlaps.
func intervals(prefixes []netip.Prefix) []nftables.SetElement {
	sorted := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		sorted[i] = p.Masked()
	}
	slices.SortFunc(sorted, func(a, b netip.Prefix) int { return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits()) })
	var out []nftables.SetElement
	var end netip.Addr // behind the last; not valid at the end of all addresses
	for i, p := range sorted {
		if i > 0 && (!end.IsValid() || p.Addr().Less(end)) {
			continue // within the one before
		}
		if i > 0 && p.Addr() == end {
			out = out[:len(out)-1] // right behind it
		} else {
			out = append(out, nftables.SetElement{Key: p.Addr().AsSlice()})
		}
		if end = behind(p); end.IsValid() {
			out = append(out, nftables.SetElement{Key: end.AsSlice(), IntervalEnd: true})
		}
	}
	return out
}

// behind is the address after a prefix's last; not valid if there is none.
func behind(p netip.Prefix) netip.Addr {
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(last)
	return addr.Next()
}

// ruleMatch is a security rule as nftables knows it; false when it can match
// nothing: an IPv4 rule with an IPv6 prefix, or a group that is not there.
func ruleMatch(rule cloud.SecurityRule, sets map[string]groupSets) (match, bool) {
	ether := uint16(etherIPv4)
	if rule.Ethertype == "IPv6" {
		ether = etherIPv6
	}
	parts := protocolIs(ether)
	ingress := rule.Direction != "egress"
	if rule.RemotePrefix.IsValid() {
		if etherOf(rule.RemotePrefix.Addr()) != ether {
			return nil, false
		}
		if ingress {
			parts = join(parts, sourceIn(rule.RemotePrefix))
		} else {
			parts = join(parts, destinationIn(rule.RemotePrefix))
		}
	}
	remote := rule.RemoteGroupID
	if rule.RemoteAddressGroupID != "" {
		remote = addressGroup + rule.RemoteAddressGroupID
	}
	if remote != "" {
		set, ok := sets[remote]
		if !ok {
			return nil, false
		}
		parts = join(parts, memberMatch(set, ether, ingress))
	}
	proto, any, ok := protocolNumber(rule.Protocol, ether)
	if !ok {
		return nil, false
	}
	if any {
		return parts, true
	}
	return join(parts, l4Is(proto), portMatch(proto, rule)), true
}

func memberMatch(sets groupSets, ether uint16, source bool) match {
	set, offset, size := sets.four, uint32(16), uint32(4)
	if ether == etherIPv6 {
		set, offset, size = sets.six, 24, 16
	}
	if source {
		offset -= size
	}
	return match{
		&expr.Payload{DestRegister: 1, Base: networkHd, Offset: offset, Len: size},
		&expr.Lookup{SourceRegister: 1, SetName: set.Name, SetID: set.ID},
	}
}

// portMatch matches the rule's range of ports, or ICMP's type and code.
func portMatch(proto byte, rule cloud.SecurityRule) match {
	low, high := rule.PortMin, rule.PortMax
	switch proto {
	case protoICMP, protoICMPv6:
		if low < 0 {
			return nil
		}
		parts := icmpType(byte(low))
		if high >= 0 {
			parts = join(parts, payloadIs(transport, 1, []byte{byte(high)}))
		}
		return parts
	case protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPLite:
		if low < 0 && high < 0 {
			return nil
		}
		if high < 0 {
			high = low
		}
		if low < 0 {
			low = high
		}
		if low == high {
			return destinationPort(uint16(low))
		}
		return match{
			&expr.Payload{DestRegister: 1, Base: transport, Offset: 2, Len: 2},
			&expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: be16(uint16(low)), ToData: be16(uint16(high))},
		}
	}
	return nil
}

// protocols are the names that neutron's security groups know (its
// IP_PROTOCOL_MAP), with IANA's numbers.
var protocols = map[string]byte{
	"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "icmpv6": 58, "igmp": 2, "ip": 0, "ipip": 4,
	"ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43, "ospf": 89,
	"pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}

// protocolNumber reads a rule's protocol: a name or a number. Any is true when
// the rule does not ask for one.
func protocolNumber(name string, ether uint16) (proto byte, any, ok bool) {
	name = strings.ToLower(name)
	if name == "" || name == "any" || name == "0" || name == "ip" {
		return 0, true, true
	}
	proto, ok = protocols[name]
	if !ok {
		n, err := strconv.ParseUint(name, 10, 8)
		if err != nil {
			return 0, false, false
		}
		proto = byte(n)
	}
	if proto == protoICMP && ether == etherIPv6 {
		proto = protoICMPv6
	}
	return proto, false, true
}

// The chains that all ports of a network go through in the table of groups.
const (
	chainSendBasics    = "send-basics"
	chainReceiveBasics = "receive-basics"
	chainState         = "state"
)

// addBasics writes what no group needs to allow, because a guest could not live
// without it: its lease, its neighbours, its metadata, its names. Servers'
// answers are accepted from anywhere: guests cannot send them.
func addBasics(t chainSet, spec cloud.NetworkSpec) {
	send, receive, state := t.chain(chainSendBasics), t.chain(chainReceiveBasics), t.chain(chainState)
	dropServers(t, send)
	t.rule(send, protocolIs(etherIPv4), udp(68, 67), accept())
	t.rule(send, protocolIs(etherIPv6), udp(546, 547), accept())
	for _, addr := range []netip.Addr{metadata4, metadata6, metadata6Local} {
		t.rule(send, protocolIs(etherOf(addr)), destinationIn(host(addr)), l4Is(protoTCP), destinationPort(80), accept())
	}
	for _, addr := range serviceAddresses(spec) {
		for _, proto := range []byte{protoUDP, protoTCP} {
			t.rule(send, protocolIs(etherOf(addr)), destinationIn(host(addr)), l4Is(proto), destinationPort(53), accept())
		}
	}
	t.rule(receive, protocolIs(etherIPv4), udp(67, 68), accept())
	t.rule(receive, protocolIs(etherIPv6), udp(547, 546), accept())
	for _, chain := range []*nftables.Chain{send, receive} {
		for _, kind := range []byte{icmpListenerQuery, icmpListenerReport, icmpListenerDone, icmpRouterSolicitation, icmpRouterAdvertisement, icmpNeighbourSolicitation, icmpNeighbourAdvertisement, icmpListenerReport2} {
			t.rule(chain, protocolIs(etherIPv6), l4Is(protoICMPv6), icmpType(kind), accept())
		}
	}
	t.rule(state, stateIs(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept())
	t.rule(state, stateIs(expr.CtStateBitINVALID), drop())
}

func serviceAddresses(spec cloud.NetworkSpec) []netip.Addr {
	if spec.DHCP == nil {
		return nil
	}
	var list []netip.Addr
	for _, p := range spec.DHCP.Addresses {
		list = append(list, p.Addr())
	}
	return list
}

// addPortChain writes what a port may send ("send", by the "out" chains of its
// groups) or receive ("receive", "in").
func addPortChain(t chainSet, chain *nftables.Chain, p cloud.PortSpec, basics, direction string, known map[string]bool) {
	t.rule(chain, jump(basics))
	if !p.Stateless {
		t.rule(chain, jump(chainState))
	}
	groups := append([]string(nil), p.Groups...)
	sort.Strings(groups)
	for _, id := range groups {
		if known[id] {
			t.rule(chain, jump(groupChain(direction, id)))
		}
	}
	t.rule(chain, drop())
}
