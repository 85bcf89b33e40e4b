package dhcp

import (
	"net"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"hearth/internal/cloud"
)

// metadata4 is where the metadata service answers; guests get a route to it by
// the service port.
var metadata4 = netip.MustParseAddr("169.254.169.254")

// answer4 is the answer to a request and where to send it; nil for none.
func (t *Table) answer4(req *dhcpv4.DHCPv4) (*dhcpv4.DHCPv4, *net.UDPAddr) {
	if req.OpCode != dhcpv4.OpcodeBootRequest || req.HWType != iana.HWTypeEthernet || len(req.ClientHWAddr) != 6 || !unset(req.GatewayIPAddr) {
		return nil, nil
	}
	l, ok := t.four[req.ClientHWAddr.String()]
	if !ok {
		return nil, nil
	}
	switch req.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		return t.grant(req, l, dhcpv4.MessageTypeOffer)
	case dhcpv4.MessageTypeRequest:
		if chosen := req.ServerIdentifier(); !unset(chosen) && !same(chosen, l.server) {
			return nil, nil // it took another's offer
		}
		wanted := req.RequestedIPAddress()
		if unset(wanted) {
			wanted = req.ClientIPAddr
		}
		if unset(wanted) {
			return nil, nil
		}
		if !same(wanted, l.ip) {
			return t.refuse(req, l)
		}
		return t.grant(req, l, dhcpv4.MessageTypeAck)
	case dhcpv4.MessageTypeInform:
		return t.inform(req, l)
	}
	return nil, nil // a release or decline changes nothing: leases are the spec's
}

func unset(ip net.IP) bool { return len(ip) == 0 || ip.IsUnspecified() }

func same(ip net.IP, a netip.Addr) bool { return ip.Equal(net.IP(a.AsSlice())) }

// grant makes an offer or an acknowledgement.
func (t *Table) grant(req *dhcpv4.DHCPv4, l lease, kind dhcpv4.MessageType) (*dhcpv4.DHCPv4, *net.UDPAddr) {
	resp, err := dhcpv4.NewReplyFromRequest(req, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(l.ip.AsSlice()))
	if err != nil {
		return nil, nil
	}
	resp.ClientIPAddr = req.ClientIPAddr
	resp.UpdateOption(dhcpv4.OptIPAddressLeaseTime(t.options.Lease))
	resp.UpdateOption(dhcpv4.OptRenewTimeValue(t.options.Lease / 2))
	resp.UpdateOption(dhcpv4.OptRebindingTimeValue(t.options.Lease * 7 / 8))
	t.configure(resp, l)
	switch {
	case !unset(req.ClientIPAddr) && same(req.ClientIPAddr, l.ip):
		return resp, client(req.ClientIPAddr)
	case req.IsBroadcast():
		return resp, client(net.IPv4bcast)
	}
	return resp, client(l.ip.AsSlice())
}

func client(ip net.IP) *net.UDPAddr { return &net.UDPAddr{IP: ip, Port: dhcpv4.ClientPort} }

// refuse tells a client that the address it has in mind is not its own.
func (t *Table) refuse(req *dhcpv4.DHCPv4, l lease) (*dhcpv4.DHCPv4, *net.UDPAddr) {
	resp, err := dhcpv4.NewReplyFromRequest(req, dhcpv4.WithMessageType(dhcpv4.MessageTypeNak))
	if err != nil {
		return nil, nil
	}
	resp.UpdateOption(dhcpv4.OptServerIdentifier(l.server.AsSlice()))
	resp.UpdateOption(dhcpv4.OptMessage("your address is " + l.ip.String()))
	return resp, client(net.IPv4bcast)
}

// inform answers a client that has its address from elsewhere.
func (t *Table) inform(req *dhcpv4.DHCPv4, l lease) (*dhcpv4.DHCPv4, *net.UDPAddr) {
	if !same(req.ClientIPAddr, l.ip) {
		return nil, nil
	}
	resp, err := dhcpv4.NewReplyFromRequest(req, dhcpv4.WithMessageType(dhcpv4.MessageTypeAck))
	if err != nil {
		return nil, nil
	}
	resp.ClientIPAddr = req.ClientIPAddr
	t.configure(resp, l)
	return resp, client(req.ClientIPAddr)
}

// configure writes the options of a lease. The marker goes to everybody, asked
// for or not: that is how a client tells one cloud from another.
func (t *Table) configure(resp *dhcpv4.DHCPv4, l lease) {
	set := resp.UpdateOption
	set(dhcpv4.OptServerIdentifier(l.server.AsSlice()))
	set(dhcpv4.OptSubnetMask(net.CIDRMask(l.subnet.CIDR.Bits(), 32)))
	set(dhcpv4.OptDNS(toIPs(l.dns)...))
	if l.subnet.Gateway.IsValid() {
		set(dhcpv4.OptRouter(l.subnet.Gateway.AsSlice()))
	}
	if l.hostname != "" {
		set(dhcpv4.OptHostName(l.hostname))
	}
	if t.domain != "" {
		set(dhcpv4.OptDomainName(t.domain))
		set(dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: []string{t.domain}}))
	}
	if t.mtu >= 68 && t.mtu <= 0xffff {
		set(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{byte(t.mtu >> 8), byte(t.mtu)}))
	}
	set(dhcpv4.OptClasslessStaticRoute(routes(l)...))
	if t.options.Marker != 0 {
		set(dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(t.options.Marker), []byte(t.options.MarkerValue)))
	}
	for _, extra := range l.extra {
		setExtra(resp, extra)
	}
}

// routes are the classless static routes. A client that reads them ignores the
// router option (RFC 3442), so the default route is among them.
func routes(l lease) []*dhcpv4.Route {
	list := []*dhcpv4.Route{{Dest: &net.IPNet{IP: metadata4.AsSlice(), Mask: net.CIDRMask(32, 32)}, Router: l.server.AsSlice()}}
	var hasDefault bool
	for _, r := range l.subnet.Routes {
		if !r.Destination.Addr().Is4() || !r.NextHop.Is4() {
			continue
		}
		hasDefault = hasDefault || r.Destination.Bits() == 0
		list = append(list, routeTo(r))
	}
	if l.subnet.Gateway.IsValid() && !hasDefault {
		list = append(list, routeTo(cloud.Route{Destination: netip.PrefixFrom(netip.IPv4Unspecified(), 0), NextHop: l.subnet.Gateway}))
	}
	return list
}

func routeTo(r cloud.Route) *dhcpv4.Route {
	return &dhcpv4.Route{Dest: &net.IPNet{IP: r.Destination.Masked().Addr().AsSlice(), Mask: net.CIDRMask(r.Destination.Bits(), 32)}, Router: r.NextHop.AsSlice()}
}
