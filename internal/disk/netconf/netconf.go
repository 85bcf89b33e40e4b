// Package netconf writes one description of a guest's network in the way that
// the guest keeps it: netplan, systemd-networkd, NetworkManager, Debian's and
// Alpine's /etc/network/interfaces, RedHat's and SUSE's /etc/sysconfig, Gentoo's
// netifrc. Which one it is says what is installed in the guest, see [Find].
//
// Nothing is run and nothing of the guest is changed here: a [Plan] says which
// files are to be. A guest whose way is not known gets no files and a warning.
package netconf

import (
	"net"
	"net/netip"
	"strconv"

	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
)

// Network is what a guest is to have. The JSON form is that of
// 'hearth image inject --network FILE'.
type Network struct {
	NICs   []NIC        `json:"nics"`
	DNS    []netip.Addr `json:"dns,omitempty"`    // servers, whichever NIC leads to them
	Search []string     `json:"search,omitempty"` // domains
}

// NIC is one network card. It is known by its MAC; without one by its name;
// with neither it is the first Ethernet card of the guest, whatever its name.
type NIC struct {
	Name      string         `json:"name,omitempty"` // that the guest is to give it, "eth0"; "": the guest's choice where its way leaves one
	MAC       string         `json:"mac,omitempty"`
	MTU       int            `json:"mtu,omitempty"` // bytes; 0: the default
	DHCP4     bool           `json:"dhcp4,omitempty"`
	DHCP6     bool           `json:"dhcp6,omitempty"`
	SLAAC     bool           `json:"slaac,omitempty"`     // addresses and routes by router advertisements
	Addresses []netip.Prefix `json:"addresses,omitempty"` // fixed ones with the length of their network, both families
	Gateway4  netip.Addr     `json:"gateway4,omitzero"`
	Gateway6  netip.Addr     `json:"gateway6,omitzero"`
	Routes    []Route        `json:"routes,omitempty"`
	DNS       []netip.Addr   `json:"dns,omitempty"`
	Search    []string       `json:"search,omitempty"`
}

// Route is a way to a network besides the default one.
type Route struct {
	To     netip.Prefix `json:"to"`
	Via    netip.Addr   `json:"via"`
	Metric int          `json:"metric,omitempty"`
}

// DHCP is a network of one card that asks for all.
func DHCP() Network { return Network{NICs: []NIC{{DHCP4: true, SLAAC: true}}} }

// File is a change of the guest. Of Gone, Link and Data one holds.
type File struct {
	Path string
	Data []byte
	Mode uint32
	Link string // the file is a symbolic link to this
	Gone bool   // the file goes
}

// Plan is what is to change in a guest.
type Plan struct {
	Way      Way
	Files    []File
	Warnings []string
}

// Put enters the changes of a plan into an edit. All belongs to root.
func (p *Plan) Put(e *guestfs.Edit) {
	for _, f := range p.Files {
		switch {
		case f.Gone:
			e.Remove(f.Path)
		case f.Link != "":
			e.Symlink(f.Path, f.Link)
		default:
			e.Write(f.Path, f.Data, guestfs.Owner{Mode: f.Mode})
		}
	}
}

// Write plans how the guest with the files t gets a network. os may be nil when
// nobody knows what system it is. The error is for a network that cannot be, never
// for a guest that is not known. Other files of the same way that would speak for
// the same cards are put aside, below /var/lib/hearth/before.
func Write(t guestos.Files, os *guestos.OS, n Network) (*Plan, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	return plan(t, Find(t, os), os, n), nil
}

func plan(t guestos.Files, way Way, os *guestos.OS, n Network) *Plan {
	w := &writer{t: t, os: os, plan: &Plan{Way: way}, cards: cards(n)}
	if os == nil {
		w.os = &guestos.OS{}
	}
	if write := ways[way]; write != nil {
		write(w)
		w.keepFromCloudInit()
	} else {
		w.warn("the network was not written: how this guest keeps its network is not known")
	}
	return w.plan
}

// ways are the writers.
var ways = map[Way]func(*writer){
	Netplan: netplan, Networkd: networkd, NetworkManager: keyfile, Ifupdown: interfaces, Alpine: interfaces, Ifcfg: ifcfg, SUSE: suse, Netifrc: netifrc,
}

// card is a NIC with what it lacks filled in.
type card struct {
	NIC
	name  string // never empty
	any   bool   // it is the first one there is
	given bool   // the name was asked for
}

// cards names all; servers that belong to no card go to the first.
func cards(n Network) (list []card) {
	taken := map[string]bool{}
	for _, nic := range n.NICs {
		taken[nic.Name] = true
	}
	next := 0
	for _, nic := range n.NICs {
		c := card{NIC: nic, name: nic.Name, given: nic.Name != "", any: nic.Name == "" && nic.MAC == ""}
		for c.name == "" || !c.given && taken[c.name] {
			c.name = "eth" + strconv.Itoa(next)
			next++
		}
		taken[c.name] = true
		if hw, err := net.ParseMAC(nic.MAC); err == nil {
			c.MAC = hw.String()
		}
		list = append(list, c)
	}
	if len(list) > 0 {
		first := &list[0]
		first.DNS = append(append([]netip.Addr(nil), first.DNS...), n.DNS...)
		first.Search = append(append([]string(nil), first.Search...), n.Search...)
	}
	return list
}

// of gives the addresses of a family.
func (c card) of(six bool) (list []netip.Prefix) {
	for _, a := range c.Addresses {
		if a.Addr().Is6() == six {
			list = append(list, a)
		}
	}
	return list
}

// routes gives all ways of a family, the default one first.
func (c card) routes(six bool) (list []Route) {
	gateway, all := c.Gateway4, netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if six {
		gateway, all = c.Gateway6, netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	if gateway.IsValid() {
		list = append(list, Route{To: all, Via: gateway})
	}
	return append(list, c.further(six)...)
}

// further gives the ways of a family but the default one.
func (c card) further(six bool) (list []Route) {
	for _, r := range c.Routes {
		if r.To.Addr().Is6() == six {
			list = append(list, r)
		}
	}
	return list
}

// onLink tells whether a router is reached though it lies in no network of the
// card, as clouds with addresses of /32 have it.
func (c card) onLink(via netip.Addr) bool {
	for _, a := range c.Addresses {
		if a.Contains(via) {
			return false
		}
	}
	return !via.IsLinkLocalUnicast() && len(c.of(via.Is6())) > 0
}

// deaf tells whether router advertisements are to be ignored: where IPv6 is
// fixed, with its router.
func (c card) deaf() bool { return !c.SLAAC && !c.DHCP6 && c.Gateway6.IsValid() }

// v6 tells whether IPv6 is spoken of at all.
func (c card) v6() bool { return c.SLAAC || c.DHCP6 || len(c.of(true)) > 0 }

// speaks tells whether the card has addresses of a family, or asks for some.
func (c card) speaks(six bool) bool {
	if six {
		return c.v6()
	}
	return c.DHCP4 || len(c.of(false)) > 0
}

// servers gives the DNS servers of a family.
func (c card) servers(six bool) (list []netip.Addr) {
	for _, a := range c.DNS {
		if a.Is6() == six {
			list = append(list, a)
		}
	}
	return list
}
