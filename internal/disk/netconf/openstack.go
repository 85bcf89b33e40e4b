package netconf

import (
	"bytes"
	"encoding/json"
	"math/bits"
	"net/netip"
	"strings"
)

// strictly decodes JSON that has no field without a meaning.
func strictly(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// networkData is OpenStack's network_data.json (nova's
// doc/api_schemas/network_data.json), as far as it is about single cards.
type networkData struct {
	Links []struct {
		ID, Type string
		MAC      string `json:"ethernet_mac_address"`
		MTU      *int
	}
	Networks []struct {
		Link, Type string
		Address    string `json:"ip_address"`
		Netmask    string
		Routes     []struct{ Network, Netmask, Gateway string }
		Services   []service
	}
	Services []service
}

type service struct{ Type, Address string }

// fromOpenStack reads network_data.json. Bonds and VLANs are Refused.
func fromOpenStack(b []byte) (n Network, err error) {
	var data networkData
	if err := json.Unmarshal(b, &data); err != nil {
		return n, refuse("network_data.json: %v", err)
	}
	at := map[string]int{}
	for _, l := range data.Links {
		if l.Type == "bond" || l.Type == "vlan" {
			return n, refuse("the link %s is a %s: only single cards are written", l.ID, l.Type)
		}
		nic := NIC{MAC: l.MAC}
		if l.MTU != nil {
			nic.MTU = *l.MTU
		}
		at[l.ID] = len(n.NICs)
		n.NICs = append(n.NICs, nic)
	}
	for _, net := range data.Networks {
		i, ok := at[net.Link]
		if !ok {
			return n, refuse("a network is on the link %q, which is not there", net.Link)
		}
		nic := &n.NICs[i]
		switch kind := strings.TrimPrefix(net.Type, "ipv6_"); {
		case net.Type == "ipv4_dhcp":
			nic.DHCP4 = true
		case net.Type == "ipv4" || net.Type == "ipv6":
			a, err := prefix(net.Address, net.Netmask)
			if err != nil {
				return n, err
			}
			nic.Addresses = append(nic.Addresses, a)
		case kind == "slaac" || kind == "dhcpv6-stateless":
			nic.SLAAC = true
		case kind == "dhcp" || kind == "dhcpv6-stateful":
			nic.SLAAC, nic.DHCP6 = true, true
		}
		for _, r := range net.Routes {
			if err := nic.way(net.Type, r.Network, r.Netmask, r.Gateway); err != nil {
				return n, err
			}
		}
		nic.DNS = append(nic.DNS, servers(net.Services, nic.DNS)...)
	}
	var all []netip.Addr
	for _, nic := range n.NICs {
		all = append(all, nic.DNS...)
	}
	n.DNS = servers(data.Services, all)
	return n, n.check()
}

// way adds a route. Where addresses come by themselves, so do the ways.
func (c *NIC) way(kind, network, netmask, gateway string) error {
	if kind != "ipv4" && kind != "ipv6" {
		return nil
	}
	to, err := prefix(network, netmask)
	if err != nil {
		return err
	}
	via, err := netip.ParseAddr(gateway)
	if err != nil {
		return refuse("the gateway %q", gateway)
	}
	switch {
	case to.Bits() == 0 && via.Is4() && !c.Gateway4.IsValid():
		c.Gateway4 = via
	case to.Bits() == 0 && via.Is6() && !c.Gateway6.IsValid():
		c.Gateway6 = via
	default:
		c.Routes = append(c.Routes, Route{To: to.Masked(), Via: via})
	}
	return nil
}

func servers(list []service, but []netip.Addr) (found []netip.Addr) {
	seen := map[netip.Addr]bool{}
	for _, a := range but {
		seen[a] = true
	}
	for _, s := range list {
		if a, err := netip.ParseAddr(s.Address); err == nil && s.Type == "dns" && !seen[a] {
			seen[a] = true
			found = append(found, a)
		}
	}
	return found
}

// prefix joins an address and a mask, of which either may have the length.
func prefix(address, netmask string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(address); err == nil {
		return p, nil
	}
	a, err := netip.ParseAddr(address)
	m, merr := netip.ParseAddr(netmask)
	if err != nil || merr != nil || a.BitLen() != m.BitLen() {
		return netip.Prefix{}, refuse("the address %q with the mask %q", address, netmask)
	}
	length, ended := 0, false
	for _, b := range m.AsSlice() {
		ones := bits.LeadingZeros8(^b)
		if b<<ones != 0 || ended && b != 0 {
			return netip.Prefix{}, refuse("the mask %q has holes", netmask)
		}
		length, ended = length+ones, ended || ones < 8
	}
	return netip.PrefixFrom(a, length), nil
}
