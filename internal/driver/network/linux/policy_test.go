package linux

import (
	"net/netip"
	"testing"

	"hearth/internal/cloud"
)

func rule(direction, ether, proto string, low, high int) cloud.SecurityRule {
	return cloud.SecurityRule{Direction: direction, Ethertype: ether, Protocol: proto, PortMin: low, PortMax: high}
}

func TestPolicy(t *testing.T) {
	inside, outside, six := netip.MustParseAddr("10.0.0.11"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	with := func(r cloud.SecurityRule, change func(*cloud.SecurityRule)) cloud.SecurityRule {
		change(&r)
		return r
	}
	tcp22 := rule("ingress", "IPv4", "tcp", 22, 22)
	for name, c := range map[string]struct {
		rules []cloud.SecurityRule
		flow  flow
		want  bool
	}{
		"nothing allows":   {nil, flow{outside, inside, protoTCP, 22}, false},
		"port":             {[]cloud.SecurityRule{tcp22}, flow{outside, inside, protoTCP, 22}, true},
		"other port":       {[]cloud.SecurityRule{tcp22}, flow{outside, inside, protoTCP, 23}, false},
		"other protocol":   {[]cloud.SecurityRule{tcp22}, flow{outside, inside, protoUDP, 22}, false},
		"other direction":  {[]cloud.SecurityRule{tcp22}, flow{inside, outside, protoTCP, 22}, false},
		"range":            {[]cloud.SecurityRule{rule("ingress", "IPv4", "6", 20, 30)}, flow{outside, inside, protoTCP, 30}, true},
		"any port":         {[]cloud.SecurityRule{rule("egress", "IPv4", "udp", -1, -1)}, flow{inside, outside, protoUDP, 53}, true},
		"any protocol":     {[]cloud.SecurityRule{rule("egress", "IPv4", "", -1, -1)}, flow{inside, outside, 47, 0}, true},
		"other family":     {[]cloud.SecurityRule{rule("egress", "IPv6", "", -1, -1)}, flow{inside, outside, protoTCP, 1}, false},
		"prefix":           {[]cloud.SecurityRule{with(tcp22, func(r *cloud.SecurityRule) { r.RemotePrefix = netip.MustParsePrefix("192.0.2.0/24") })}, flow{outside, inside, protoTCP, 22}, true},
		"other prefix":     {[]cloud.SecurityRule{with(tcp22, func(r *cloud.SecurityRule) { r.RemotePrefix = netip.MustParsePrefix("198.51.100.0/24") })}, flow{outside, inside, protoTCP, 22}, false},
		"member":           {[]cloud.SecurityRule{with(tcp22, func(r *cloud.SecurityRule) { r.RemoteGroupID = "g" })}, flow{outside, inside, protoTCP, 22}, true},
		"unknown group":    {[]cloud.SecurityRule{with(tcp22, func(r *cloud.SecurityRule) { r.RemoteGroupID = "h" })}, flow{outside, inside, protoTCP, 22}, false},
		"address":          {[]cloud.SecurityRule{with(tcp22, func(r *cloud.SecurityRule) { r.RemoteAddressGroupID = "a" })}, flow{outside, inside, protoTCP, 22}, true},
		"no such address":  {[]cloud.SecurityRule{with(tcp22, func(r *cloud.SecurityRule) { r.RemoteAddressGroupID = "b" })}, flow{outside, inside, protoTCP, 22}, false},
		"unknown protocol": {[]cloud.SecurityRule{rule("ingress", "IPv4", "smoke", -1, -1)}, flow{outside, inside, protoTCP, 22}, false},
		"metadata":         {nil, flow{inside, metadata4, protoTCP, 80}, true},
		"between others":   {nil, flow{outside, six, protoTCP, 80}, true},
	} {
		spec := cloud.NetworkSpec{
			Ports:         []cloud.PortSpec{{Security: true, Groups: []string{"g"}, Addresses: []cloud.FixedIP{{IP: inside}}}},
			Groups:        []cloud.GroupSpec{{ID: "g", Rules: c.rules, Members: []netip.Addr{outside}}},
			AddressGroups: []cloud.AddressGroupSpec{{ID: "a", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, {ID: "b"}},
		}
		if got := newPolicy(spec).allows(c.flow); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
		spec.Ports[0].Security = false
		if !newPolicy(spec).allows(c.flow) {
			t.Errorf("%s: a port without security is filtered", name)
		}
	}
}

func TestProtocolNumber(t *testing.T) {
	for _, c := range []struct {
		name    string
		ether   uint16
		proto   byte
		any, ok bool
	}{
		{"", etherIPv4, 0, true, true}, {"any", etherIPv4, 0, true, true}, {"0", etherIPv4, 0, true, true}, {"TCP", etherIPv4, 6, false, true},
		{"icmp", etherIPv4, 1, false, true}, {"icmp", etherIPv6, 58, false, true}, {"1", etherIPv6, 58, false, true}, {"ipv6-icmp", etherIPv6, 58, false, true},
		{"132", etherIPv4, 132, false, true}, {"256", etherIPv4, 0, false, false}, {"-1", etherIPv4, 0, false, false}, {"smoke", etherIPv4, 0, false, false},
	} {
		proto, any, ok := protocolNumber(c.name, c.ether)
		if proto != c.proto || any != c.any || ok != c.ok {
			t.Errorf("%q: %d %t %t", c.name, proto, any, ok)
		}
	}
}

func TestNames(t *testing.T) {
	const id = "0D2E2F3A-1111-4222-8333-444455556666"
	if got := tapName(id); got != "tap0d2e2f3a1111" {
		t.Errorf("tap %s", got)
	}
	for _, prefix := range []string{prefixTap, prefixRouter, prefixService, prefixUplink, prefixInner, prefixGateway} {
		for _, id := range []string{id, "fa:16:3e:00:00:01", ""} {
			if got := linkName(prefix, id); len(got) != maxLinkName {
				t.Errorf("%s is %d bytes", got, len(got))
			}
		}
	}
}
