package network

import (
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
)

// protocols are the names that rules may use, with their IP protocol numbers
// (IANA's Assigned Internet Protocol Numbers; the choice is neutron's).
var protocols = map[string]int{
	"ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "hopopt": 0, "icmp": 1, "igmp": 2, "ip": 0, "ipip": 4,
	"ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60,
	"ipv6-route": 43, "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}

// protocolList is how neutron's message lists the names.
const protocolList = "[None, 'ah', 'dccp', 'egp', 'esp', 'gre', 'hopopt', 'icmp', 'igmp', 'ip', 'ipip', 'ipv6-encap', 'ipv6-frag', " +
	"'ipv6-icmp', 'icmpv6', 'ipv6-nonxt', 'ipv6-opts', 'ipv6-route', 'ospf', 'pgm', 'rsvp', 'sctp', 'tcp', 'udp', 'udplite', 'vrrp']"

// withPorts are the protocols that have ports, by name.
var withPorts = []string{"dccp", "sctp", "tcp", "udp", "udplite"}

// only6 are the protocols of IPv6 alone, by number.
var only6 = []int{41, 43, 44, 58, 59, 60}

// number is the IP protocol number of a rule's protocol; -1 for any.
func number(protocol string) int {
	if n, ok := protocols[protocol]; ok {
		return n
	}
	if n, err := strconv.Atoi(protocol); err == nil {
		return n
	}
	return -1
}

// CheckProtocol gives the protocol as rules keep it, or refuses it.
func CheckProtocol(p string) (string, error) {
	lower := strings.ToLower(p)
	if n, err := strconv.Atoi(p); err == nil && n >= 0 && n <= 255 {
		return p, nil
	}
	if _, ok := protocols[lower]; ok || p == "" {
		return lower, nil
	}
	return "", refuse(cloud.Invalid, "SecurityGroupRuleInvalidProtocol", "Security group rule protocol %s not supported. Only protocol values %s and integer representations [0 to 255] are supported.", p, protocolList)
}

// makeRule judges a request by itself and makes the rule.
func makeRule(r RuleCreate) (cloud.SecurityRule, error) {
	rule := cloud.SecurityRule{
		GroupID: r.GroupID, Description: r.Description, Direction: r.Direction, Ethertype: r.Ethertype,
		PortMin: or(r.PortMin, -1), PortMax: or(r.PortMax, -1), RemotePrefix: r.RemotePrefix, RemoteGroupID: r.RemoteGroupID,
		RemoteAddressGroupID: r.RemoteAddressGroupID,
	}
	if rule.Ethertype == "" {
		rule.Ethertype = "IPv4"
	}
	var err error
	if rule.Protocol, err = CheckProtocol(r.Protocol); err != nil {
		return rule, err
	}
	if rule.Ethertype == "IPv6" {
		switch rule.Protocol {
		case "icmp", "icmpv6":
			rule.Protocol = "ipv6-icmp"
		case "1":
			rule.Protocol = "58"
		}
	}
	if err := checkPorts(&rule); err != nil {
		return rule, err
	}
	return rule, checkRemote(rule)
}

// checkPorts judges the port range, or for ICMP type and code.
func checkPorts(r *cloud.SecurityRule) error {
	n := number(r.Protocol)
	if hasPorts(n) && r.PortMin <= 0 && r.PortMax == 65535 {
		r.PortMin, r.PortMax = -1, -1 // all ports: kept as none, as neutron does
	}
	if r.PortMin < 0 && r.PortMax < 0 {
		return nil
	}
	switch {
	case r.Protocol == "":
		return refuse(cloud.Invalid, "SecurityGroupProtocolRequiredWithPorts", "Must also specify protocol if port range is given.")
	case n == 1 || n == 58:
		return checkICMP(*r)
	case hasPorts(n):
		if r.PortMin < 0 || r.PortMax < 0 || r.PortMin > r.PortMax {
			return refuse(cloud.Invalid, "SecurityGroupInvalidPortRange", "For TCP/UDP protocols, port_range_min must be <= port_range_max")
		}
		return nil
	}
	return refuse(cloud.Invalid, "SecurityGroupInvalidProtocolForPort", "Ports cannot be specified for protocol %s. Ports are only supported for ['%s'].", r.Protocol, strings.Join(withPorts, "', '"))
}

func hasPorts(n int) bool {
	return slices.ContainsFunc(withPorts, func(name string) bool { return protocols[name] == n })
}

func checkICMP(r cloud.SecurityRule) error {
	bad := func(field, attr string, v int) error {
		return refuse(cloud.Invalid, "SecurityGroupInvalidIcmpValue", "Invalid value for ICMP %s (%s) %d. It must be 0 to 255.", field, attr, v)
	}
	switch {
	case r.PortMin > 255:
		return bad("type", "port_range_min", r.PortMin)
	case r.PortMax > 255:
		return bad("code", "port_range_max", r.PortMax)
	case r.PortMin < 0:
		return refuse(cloud.Invalid, "SecurityGroupMissingIcmpType", "ICMP code (port-range-max) %d is provided but ICMP type (port-range-min) is missing.", r.PortMax)
	}
	return nil
}

// checkRemote judges whom the rule speaks of, and its IP version.
func checkRemote(r cloud.SecurityRule) error {
	remotes := 0
	for _, given := range []bool{r.RemotePrefix.IsValid(), r.RemoteGroupID != "", r.RemoteAddressGroupID != ""} {
		if given {
			remotes++
		}
	}
	if remotes > 1 {
		return refuse(cloud.Invalid, "SecurityGroupMultipleRemoteEntites", "Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.")
	}
	if r.RemotePrefix.IsValid() {
		if r.RemotePrefix.Addr().Is4() != (r.Ethertype == "IPv4") {
			return refuse(cloud.Invalid, "SecurityGroupRuleParameterConflict", "Conflicting value ethertype %s for CIDR %s", r.Ethertype, r.RemotePrefix)
		}
	}
	if r.Ethertype == "IPv4" && slices.Contains(only6, number(r.Protocol)) {
		return refuse(cloud.Invalid, "SecurityGroupEthertypeConflictWithProtocol", "Invalid ethertype %s for protocol %s.", r.Ethertype, r.Protocol)
	}
	return nil
}

// sameRule tells whether two rules of a group allow the same.
func sameRule(a, b cloud.SecurityRule) bool {
	if a.RemotePrefix.IsValid() && a.RemotePrefix.Bits() == 0 {
		a.RemotePrefix = b.RemotePrefix
		if b.RemotePrefix.IsValid() && b.RemotePrefix.Bits() != 0 {
			return false
		}
	} else if b.RemotePrefix.IsValid() && b.RemotePrefix.Bits() == 0 && !a.RemotePrefix.IsValid() {
		b.RemotePrefix = a.RemotePrefix
	}
	return a.GroupID == b.GroupID && a.Direction == b.Direction && a.Ethertype == b.Ethertype &&
		number(a.Protocol) == number(b.Protocol) && a.PortMin == b.PortMin && a.PortMax == b.PortMax &&
		a.RemotePrefix == b.RemotePrefix && a.RemoteGroupID == b.RemoteGroupID && a.RemoteAddressGroupID == b.RemoteAddressGroupID
}
