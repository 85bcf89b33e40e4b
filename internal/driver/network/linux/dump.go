package linux

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// dumpTries bounds the reading of a list that changes all the while.
const dumpTries = 20

// dump reads a list of the kernel's. The kernel says when the list changed while
// it was told (NLM_F_DUMP_INTR, netlink(7)): it may lack entries then, or have
// some twice, so it is read again.
func dump[T any](read func() ([]T, error)) (list []T, err error) {
	for range dumpTries {
		if list, err = read(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
	}
	return nil, err
}

// LinkList lists the links of the namespace.
func (s *space) LinkList() ([]netlink.Link, error) { return dump(s.Handle.LinkList) }

// AddrList lists the addresses of a link.
func (s *space) AddrList(link netlink.Link, family int) ([]netlink.Addr, error) {
	return dump(func() ([]netlink.Addr, error) { return s.Handle.AddrList(link, family) })
}

// NeighList lists the neighbours that a link knows.
func (s *space) NeighList(link, family int) ([]netlink.Neigh, error) {
	return dump(func() ([]netlink.Neigh, error) { return s.Handle.NeighList(link, family) })
}

// RouteListFiltered lists the routes that are like the given one where mask says.
func (s *space) RouteListFiltered(family int, like *netlink.Route, mask uint64) ([]netlink.Route, error) {
	return dump(func() ([]netlink.Route, error) { return s.Handle.RouteListFiltered(family, like, mask) })
}
