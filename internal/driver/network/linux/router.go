package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// ApplyRouter implements network.Driver. The networks of its ports must be
// applied before.
func (d *Driver) ApplyRouter(ctx context.Context, spec cloud.RouterSpec) error {
	const op = "network.ApplyRouter"
	if err := checkRouter(op, spec); err != nil {
		return err
	}
	if _, err := d.Probe(ctx); err != nil {
		return err
	}
	unlock, err := d.locks.lock(ctx, spec.ID)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.applyRouter(spec); err != nil {
		return wrap(op, err, "router %s", spec.ID)
	}
	return nil
}

func checkRouter(op string, spec cloud.RouterSpec) error {
	if err := checkID(op, "router", spec.ID); err != nil {
		return err
	}
	for _, p := range routerPorts(spec) {
		if err := errors.Join(checkID(op, "port", p.PortID), checkID(op, "network", p.NetworkID)); err != nil {
			return err
		}
		if _, err := parseMAC(op, "router port "+p.PortID, p.MAC); err != nil {
			return err
		}
	}
	for _, f := range spec.FloatingIPs {
		if !f.Floating.Is4() || !f.Fixed.Is4() {
			return cloud.E(op, cloud.Invalid, "floating IP %s: a floating IP maps an IPv4 address to another, not %s to %s", f.ID, f.Floating, f.Fixed)
		}
	}
	for _, f := range spec.Forwards {
		known := forwardProtocols[f.Protocol] != 0 && f.External > 0 && f.External < 1<<16 && f.InnerPort > 0 && f.InnerPort < 1<<16
		if !known || !f.Floating.Is4() || !f.Fixed.Is4() {
			return cloud.E(op, cloud.Invalid, "port forwarding %s: a TCP or UDP port of an IPv4 address is forwarded to that of another, not %s %s:%d to %s:%d", f.ID, f.Protocol, f.Floating, f.External, f.Fixed, f.InnerPort)
		}
	}
	return nil
}

// routerPorts is every port of a router, the gateway last.
func routerPorts(spec cloud.RouterSpec) []cloud.RouterPort {
	ports := append([]cloud.RouterPort(nil), spec.Interfaces...)
	if spec.Gateway != nil {
		ports = append(ports, *spec.Gateway)
	}
	return ports
}

func (d *Driver) applyRouter(spec cloud.RouterSpec) error {
	rt, err := ensure(d.nsName(kindRouter, spec.ID))
	if err != nil {
		return err
	}
	defer rt.close()
	if err := prepareRouter(rt); err != nil {
		return err
	}
	if err := d.dropOldPorts(rt, spec); err != nil {
		return err
	}
	links := map[string]netlink.Link{} // by port
	announce := map[string][]netip.Prefix{}
	for _, p := range routerPorts(spec) {
		gateway := spec.Gateway != nil && p.PortID == spec.Gateway.PortID
		link, added, err := d.applyRouterPort(rt, spec, p, gateway)
		if err != nil {
			return err
		}
		links[p.PortID], announce[link.Attrs().Name] = link, added
	}
	if err := errors.Join(d.applyNAT(rt, spec), d.applyMeters(rt, spec)); err != nil {
		return err
	}
	if !spec.AdminUp {
		return nil
	}
	if err := rt.setRoutes(spec, links); err != nil {
		return err
	}
	d.announce(rt, announce)
	return d.cutNAT(rt, spec)
}

// prepareRouter sets what makes a namespace a router. Metadata's addresses are
// its own, for guests that ask by their default route.
func prepareRouter(rt *space) error {
	settings := []sysctl{
		{"ipv4/ip_forward", "1"}, {"ipv4/conf/all/rp_filter", "0"}, {"ipv4/conf/default/rp_filter", "0"},
		{"ipv4/conf/all/send_redirects", "0"}, {"ipv4/conf/default/send_redirects", "0"},
		{"ipv4/conf/all/arp_ignore", "1"}, {"ipv4/conf/all/arp_announce", "2"},
	}
	own := []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 8), host(metadata4)}
	if hasIPv6(rt.ns) {
		settings = append(settings,
			sysctl{"ipv6/conf/default/accept_ra", "0"}, sysctl{"ipv6/conf/default/accept_dad", "0"}, sysctl{"ipv6/conf/default/dad_transmits", "0"},
			sysctl{"ipv6/conf/all/ndisc_notify", "1"}, sysctl{"ipv6/conf/default/ndisc_notify", "1"},
			sysctl{"ipv6/conf/all/forwarding", "1"})
		own = append(own, host(netip.IPv6Loopback()), host(metadata6))
	}
	if err := setSysctls(rt.ns, settings); err != nil {
		return err
	}
	if err := rt.loopbackUp(); err != nil {
		return err
	}
	lo, err := rt.LinkByName("lo")
	if err != nil {
		return err
	}
	_, err = rt.setAddresses(lo, own)
	return err
}

// dropOldPorts removes the interfaces that the spec no longer has.
func (d *Driver) dropOldPorts(rt *space, spec cloud.RouterSpec) error {
	wanted := map[string]bool{}
	for _, p := range spec.Interfaces {
		wanted[linkName(prefixInner, p.PortID)] = true
	}
	if spec.Gateway != nil {
		wanted[linkName(prefixGateway, spec.Gateway.PortID)] = true
	}
	links, err := rt.LinkList()
	if err != nil {
		return err
	}
	for _, link := range links {
		name := link.Attrs().Name
		if named(name, prefixInner, prefixGateway) && !wanted[name] {
			if err := rt.deleteLink(name); err != nil {
				return fmt.Errorf("remove interface %s: %w", name, err)
			}
		}
	}
	return nil
}

// applyRouterPort lays the cable of a port and gives it its addresses; those
// that are new are returned.
func (d *Driver) applyRouterPort(rt *space, spec cloud.RouterSpec, p cloud.RouterPort, gateway bool) (netlink.Link, []netip.Prefix, error) {
	sw, err := open(d.nsName(kindSwitch, p.NetworkID))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, cloud.E("network.ApplyRouter", cloud.NotFound, "router %s has port %s on network %s, which is not built on this node: apply the network first", spec.ID, p.PortID, p.NetworkID)
	}
	if err != nil {
		return nil, nil, err
	}
	defer sw.close()
	mac, err := parseMAC("network.ApplyRouter", "router port "+p.PortID, p.MAC)
	if err != nil {
		return nil, nil, err
	}
	near, far, mtu := linkName(prefixRouter, p.PortID), linkName(prefixInner, p.PortID), p.MTU
	if gateway {
		far = linkName(prefixGateway, p.PortID)
	}
	if mtu == 0 {
		mtu = defaultMTU
	}
	link, _, err := sw.ensureCable(rt, cable{near: near, far: far, mac: mac, mtu: mtu, alias: "hearth router " + spec.ID})
	if err != nil {
		return nil, nil, err
	}
	addresses := append([]netip.Prefix(nil), p.Addresses...)
	if gateway {
		for _, f := range spec.FloatingIPs {
			addresses = append(addresses, host(f.Floating))
		}
		for _, f := range spec.Forwards {
			if own := host(f.Floating); !slices.Contains(addresses, own) {
				addresses = append(addresses, own)
			}
		}
	}
	added, err := rt.setAddresses(link, addresses)
	if err != nil {
		return nil, nil, err
	}
	up := link.Attrs().Flags&unix.IFF_UP != 0
	switch {
	case spec.AdminUp && !up:
		if err = rt.LinkSetUp(link); err == nil {
			err = sw.awaitUp(near)
		}
		added = addresses
	case !spec.AdminUp && up:
		err = rt.LinkSetDown(link)
	}
	return link, added, err
}

// routeOurs marks the routes that setRoutes made (RTPROT_STATIC).
const routeOurs = unix.RTPROT_STATIC

// setRoutes makes the router have exactly these default and extra routes.
func (s *space) setRoutes(spec cloud.RouterSpec, links map[string]netlink.Link) error {
	var want []netlink.Route
	if spec.Gateway != nil {
		for _, hop := range spec.NextHops {
			all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
			if hop.Is6() {
				all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
			}
			index := links[spec.Gateway.PortID].Attrs().Index
			want = append(want, netlink.Route{LinkIndex: index, Dst: toIPNet(all), Gw: hop.AsSlice(), Flags: int(netlink.FLAG_ONLINK), Protocol: routeOurs})
		}
	}
	for _, r := range spec.Routes {
		port, ok := facing(spec, r.NextHop)
		if !ok {
			return cloud.E("network.ApplyRouter", cloud.Invalid, "the route to %s goes by %s, which is on none of the router's networks", r.Destination, r.NextHop)
		}
		want = append(want, netlink.Route{LinkIndex: links[port].Attrs().Index, Dst: toIPNet(r.Destination.Masked()), Gw: r.NextHop.AsSlice(), Protocol: routeOurs})
	}
	wanted := map[string]bool{}
	for i := range want {
		wanted[want[i].Dst.String()] = true
		if err := s.RouteReplace(&want[i]); err != nil {
			return fmt.Errorf("route to %s by %s: %w", want[i].Dst, want[i].Gw, err)
		}
	}
	have, err := s.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Protocol: routeOurs}, netlink.RT_FILTER_PROTOCOL)
	if err != nil {
		return err
	}
	for i := range have {
		if have[i].Dst != nil && wanted[have[i].Dst.String()] {
			continue
		}
		if err := s.RouteDel(&have[i]); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove route to %s: %w", have[i].Dst, err)
		}
	}
	return nil
}

// facing finds the port on whose subnet an address is.
func facing(spec cloud.RouterSpec, hop netip.Addr) (portID string, ok bool) {
	for _, p := range routerPorts(spec) {
		for _, own := range p.Addresses {
			if own.Masked().Contains(hop) {
				return p.PortID, true
			}
		}
	}
	return "", false
}

// RemoveRouter implements network.Driver.
func (d *Driver) RemoveRouter(ctx context.Context, id string) error {
	const op = "network.RemoveRouter"
	if err := checkID(op, "router", id); err != nil {
		return err
	}
	unlock, err := d.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	name := d.nsName(kindRouter, id)
	rt, err := open(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return wrap(op, err, "router %s", id)
	}
	if rt != nil {
		defer rt.close()
		if err := rt.deleteLinks(); err != nil {
			return wrap(op, err, "router %s", id)
		}
	}
	if err := dropNamespace(name); err != nil {
		return wrap(op, err, "router %s", id)
	}
	return nil
}
