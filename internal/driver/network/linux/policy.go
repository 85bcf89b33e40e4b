package linux

import (
	"net/netip"
	"slices"

	"hearth/internal/cloud"
)

// policy judges a connection's first packet as the filters do. It is used to
// end connections that lost their permission.
type policy struct {
	ports   map[netip.Addr]cloud.PortSpec
	groups  map[string]cloud.GroupSpec
	members map[string]map[netip.Addr]bool
	ranges  map[string][]netip.Prefix // of address groups
	service map[netip.Addr]bool
}

func newPolicy(spec cloud.NetworkSpec) policy {
	p := policy{
		ports: map[netip.Addr]cloud.PortSpec{}, groups: map[string]cloud.GroupSpec{}, members: map[string]map[netip.Addr]bool{},
		ranges:  map[string][]netip.Prefix{},
		service: map[netip.Addr]bool{metadata4: true, metadata6: true, metadata6Local: true},
	}
	for _, port := range spec.Ports {
		for _, a := range port.Addresses {
			p.ports[a.IP] = port
		}
	}
	for _, g := range spec.Groups {
		p.groups[g.ID], p.members[g.ID] = g, map[netip.Addr]bool{}
		for _, m := range g.Members {
			p.members[g.ID][m.Unmap()] = true
		}
	}
	for _, g := range spec.AddressGroups {
		p.ranges[g.ID] = g.Addresses
	}
	for _, a := range serviceAddresses(spec) {
		p.service[a] = true
	}
	return p
}

// allows tells whether both ends let the flow be. What is not understood, such
// as the addresses of an allowed pair, is left alone.
func (p policy) allows(f flow) bool {
	if p.service[f.source] || p.service[f.target] || f.target.IsMulticast() || f.target == broadcast4 || f.source.IsUnspecified() {
		return true
	}
	if port, ok := p.ports[f.source]; ok && !p.portAllows(port, f, "egress", f.target) {
		return false
	}
	if port, ok := p.ports[f.target]; ok && !p.portAllows(port, f, "ingress", f.source) {
		return false
	}
	return true
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func (p policy) portAllows(port cloud.PortSpec, f flow, direction string, remote netip.Addr) bool {
	if !port.Security {
		return true
	}
	for _, id := range port.Groups {
		for _, rule := range p.groups[id].Rules {
			if (rule.Direction == "egress") == (direction == "egress") && p.ruleAllows(rule, f, remote) {
				return true
			}
		}
	}
	return false
}

func (p policy) ruleAllows(rule cloud.SecurityRule, f flow, remote netip.Addr) bool {
	ether := etherOf(remote)
	if (rule.Ethertype == "IPv6") != (ether == etherIPv6) {
		return false
	}
	if rule.RemotePrefix.IsValid() && !rule.RemotePrefix.Contains(remote) {
		return false
	}
	if rule.RemoteGroupID != "" && !p.members[rule.RemoteGroupID][remote] {
		return false
	}
	within := func(p netip.Prefix) bool { return p.Contains(remote) }
	if rule.RemoteAddressGroupID != "" && !slices.ContainsFunc(p.ranges[rule.RemoteAddressGroupID], within) {
		return false
	}
	proto, any, ok := protocolNumber(rule.Protocol, ether)
	if !ok {
		return false
	}
	return any || proto == f.proto && portAllows(proto, rule, f.port)
}

func portAllows(proto byte, rule cloud.SecurityRule, port uint16) bool {
	low, high := rule.PortMin, rule.PortMax
	switch proto {
	case protoTCP, protoUDP, protoDCCP, protoSCTP, protoUDPLite:
		if low < 0 && high < 0 {
			return true
		}
		if high < 0 {
			high = low
		}
		if low < 0 {
			low = high
		}
		return int(port) >= low && int(port) <= high
	}
	return true
}
