package linux

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// space is a namespace that is open for changes.
type space struct {
	ns netns.NsHandle
	*netlink.Handle
}

// open opens a namespace by name; os.ErrNotExist when it is not there.
func open(name string) (*space, error) { return asSpace(openNamespace(name)) }

// ensure opens a namespace by name and makes it when needed.
func ensure(name string) (*space, error) { return asSpace(ensureNamespace(name)) }

func asSpace(ns netns.NsHandle, err error) (*space, error) {
	if err != nil {
		return nil, err
	}
	handle, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		_ = ns.Close()
		return nil, err
	}
	return &space{ns: ns, Handle: handle}, nil
}

func (s *space) close() {
	s.Handle.Close()
	_ = s.ns.Close()
}

// link finds a link by name; nil when there is none.
func (s *space) link(name string) (netlink.Link, error) {
	link, err := s.LinkByName(name)
	var none netlink.LinkNotFoundError
	if errors.As(err, &none) {
		return nil, nil
	}
	return link, err
}

// deleteLink removes a link when it is there.
func (s *space) deleteLink(name string) error {
	link, err := s.link(name)
	if err != nil || link == nil {
		return err
	}
	err = s.LinkDel(link)
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}

// deleteLinks removes every link but the loopback.
func (s *space) deleteLinks() error {
	links, err := s.LinkList()
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.Attrs().Flags&net.FlagLoopback != 0 {
			continue
		}
		err := s.LinkDel(link)
		if err != nil && !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("delete %s: %w", link.Attrs().Name, err)
		}
	}
	return nil
}

// loopbackUp switches the loopback on.
func (s *space) loopbackUp() error {
	lo, err := s.LinkByName("lo")
	if err != nil {
		return err
	}
	return s.LinkSetUp(lo)
}

// ensureBridge makes the bridge of a switch. Snooping is off: without a querier
// it would lose the multicasts that IPv6 lives by.
func (s *space) ensureBridge(mtu int, alias string) (netlink.Link, error) {
	link, err := s.link(bridgeName)
	if err != nil {
		return nil, err
	}
	if link == nil {
		snooping := false
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}, MulticastSnooping: &snooping}
		if err := s.LinkAdd(bridge); err != nil {
			return nil, fmt.Errorf("make bridge: %w", err)
		}
		if link, err = s.LinkByName(bridgeName); err != nil {
			return nil, err
		}
	}
	if link.Attrs().MTU != mtu {
		if err := s.LinkSetMTU(link, mtu); err != nil {
			return nil, fmt.Errorf("bridge MTU %d: %w", mtu, err)
		}
	}
	if link.Attrs().Alias != alias {
		if err := s.LinkSetAlias(link, alias); err != nil {
			return nil, err
		}
	}
	return link, s.LinkSetUp(link)
}

// cable is a veth from a switch's bridge to a place.
type cable struct {
	near, far string // names of the ends: on the switch, in the place
	mac       net.HardwareAddr
	mtu       int
	alias     string
}

// ensureCable lays a veth from the bridge of s into the namespace far. Both
// ends are made in one call, so no half of it can be left over. It tells
// whether the cable is new.
func (s *space) ensureCable(far *space, c cable) (link netlink.Link, fresh bool, err error) {
	bridge, err := s.LinkByName(bridgeName)
	if err != nil {
		return nil, false, fmt.Errorf("bridge: %w", err)
	}
	near, err := s.link(c.near)
	if err != nil {
		return nil, false, err
	}
	if link, err = far.link(c.far); err != nil {
		return nil, false, err
	}
	if near != nil && (link == nil || near.Attrs().ParentIndex != link.Attrs().Index) ||
		link != nil && (near == nil || link.Attrs().HardwareAddr.String() != c.mac.String()) {
		// One end is missing, leads elsewhere, or has another address: start anew.
		if err := errors.Join(s.deleteLink(c.near), far.deleteLink(c.far)); err != nil {
			return nil, false, err
		}
		near, link = nil, nil
	}
	if near == nil {
		fresh = true
		attrs := netlink.LinkAttrs{Name: c.near, MTU: c.mtu, MasterIndex: bridge.Attrs().Index, HardwareAddr: peerMAC(c.mac)}
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: c.far, PeerHardwareAddr: c.mac, PeerNamespace: netlink.NsFd(far.ns), PeerMTU: uint32(c.mtu)}
		if err := s.LinkAdd(veth); err != nil {
			return nil, false, fmt.Errorf("lay %s to %s: %w", c.near, c.far, err)
		}
		if near, err = s.LinkByName(c.near); err != nil {
			return nil, false, err
		}
		if link, err = far.LinkByName(c.far); err != nil {
			return nil, false, err
		}
	}
	return link, fresh, s.finishCable(far, near, link, bridge, c)
}

func (s *space) finishCable(far *space, near, link, bridge netlink.Link, c cable) error {
	if near.Attrs().MasterIndex != bridge.Attrs().Index {
		if err := s.LinkSetMaster(near, bridge); err != nil {
			return err
		}
	}
	if near.Attrs().MTU != c.mtu {
		if err := errors.Join(s.LinkSetMTU(near, c.mtu), far.LinkSetMTU(link, c.mtu)); err != nil {
			return err
		}
	}
	if near.Attrs().Alias != c.alias {
		if err := s.LinkSetAlias(near, c.alias); err != nil {
			return err
		}
	}
	if near.Attrs().Flags&net.FlagUp == 0 {
		return s.LinkSetUp(near)
	}
	return nil
}

// setAddresses makes the link have exactly these addresses beside its own
// link-local one, and tells which are new.
func (s *space) setAddresses(link netlink.Link, want []netip.Prefix) (added []netip.Prefix, err error) {
	have, err := s.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	wanted := map[netip.Prefix]bool{}
	for _, p := range want {
		wanted[p] = true
	}
	present := map[netip.Prefix]bool{}
	for _, a := range have {
		prefix := fromIPNet(a.IPNet)
		if wanted[prefix] {
			present[prefix] = true
			continue
		}
		if prefix.Addr() == linkLocal(link.Attrs().HardwareAddr) {
			continue
		}
		if err := s.AddrDel(link, &a); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return nil, fmt.Errorf("remove address %s: %w", prefix, err)
		}
	}
	for _, p := range want {
		if present[p] {
			continue
		}
		present[p] = true
		addr := &netlink.Addr{IPNet: toIPNet(p)}
		if p.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := s.AddrAdd(link, addr); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, fmt.Errorf("add address %s to %s: %w", p, link.Attrs().Name, err)
		}
		added = append(added, p)
	}
	return added, nil
}

func toIPNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func fromIPNet(n *net.IPNet) netip.Prefix {
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}
	}
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), bits)
}

// linkLocal is the IPv6 link-local address that a hardware address makes
// (RFC 4291, appendix A).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	a := [16]byte{0xfe, 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]}
	return netip.AddrFrom16(a)
}

// named tells whether a link's name begins with one of the prefixes.
func named(name string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
