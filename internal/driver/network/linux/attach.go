package linux

import (
	"context"
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// Guest is a namespace that poses as a guest or as the world outside, with one
// interface, eth0. Tests and benchmarks do without a hypervisor by it.
type Guest struct{ ns netns.NsHandle }

const guestDevice = "eth0"

// NewGuest makes a guest that is attached to nothing.
func NewGuest() (*Guest, error) {
	ns, err := anonymousNamespace()
	if err != nil {
		return nil, err
	}
	return &Guest{ns}, nil
}

// Close ends the guest; its end of the veth goes with it.
func (g *Guest) Close() error { return g.ns.Close() }

// Do runs fn on a thread in the guest: sockets that it opens are the guest's.
func (g *Guest) Do(fn func() error) error { return inNamespace(g.ns, fn) }

// SetUp gives the attached guest exactly these addresses, and default routes.
func (g *Guest) SetUp(addresses []netip.Prefix, gateways ...netip.Addr) error {
	err := setSysctls(g.ns, []sysctl{{"ipv6/conf/eth0/accept_dad", "0"}, {"ipv6/conf/eth0/dad_transmits", "0"}})
	if err != nil {
		return err
	}
	handle, err := netlink.NewHandleAt(g.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	s := &space{ns: g.ns, Handle: handle}
	link, err := s.LinkByName(guestDevice)
	if err != nil {
		return err
	}
	// Addresses first: once it is up, it makes others from advertisements, which would be taken for old ones.
	if _, err := s.setAddresses(link, addresses); err != nil {
		return err
	}
	if err := errors.Join(s.loopbackUp(), s.LinkSetUp(link)); err != nil {
		return err
	}
	for _, hop := range gateways {
		all := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if hop.Is6() {
			all = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: toIPNet(all), Gw: hop.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}
		if err := s.RouteReplace(route); err != nil {
			return err
		}
	}
	return nil
}

// AttachGuest gives a guest the place of a port's: a veth in place of the tap,
// under its name and so behind its filters.
func (d *Driver) AttachGuest(ctx context.Context, networkID, portID string, guest *Guest) error {
	const op = "network.AttachGuest"
	spec, err := d.appliedPort(op, networkID, portID)
	if err != nil {
		return err
	}
	for _, p := range spec.Ports {
		if p.ID == portID {
			if err := d.attach(op, networkID, tapName(portID), portAlias+portID, p.MAC, spec.MTU, guest); err != nil {
				return err
			}
			return d.limitAttached(op, spec, portID)
		}
	}
	return nil
}

// AttachOutside connects a guest to the bridge of a physical network, as
// its uplink would be.
func (d *Driver) AttachOutside(ctx context.Context, networkID string, outside *Guest, mac string) error {
	return d.attach("network.AttachOutside", networkID, linkName(prefixUplink, mac), "hearth outside", mac, defaultMTU, outside)
}

func (d *Driver) attach(op, networkID, near, alias, mac string, mtu int, guest *Guest) error {
	hw, err := parseMAC(op, "the guest", mac)
	if err != nil {
		return err
	}
	sw, err := open(d.nsName(kindSwitch, networkID))
	if err != nil {
		return wrap(op, err, "network %s", networkID)
	}
	defer sw.close()
	bridge, err := sw.LinkByName(bridgeName)
	if err != nil {
		return wrap(op, err, "network %s", networkID)
	}
	attrs := netlink.LinkAttrs{Name: near, MTU: mtu, MasterIndex: bridge.Attrs().Index, HardwareAddr: peerMAC(hw)}
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: guestDevice, PeerHardwareAddr: hw, PeerNamespace: netlink.NsFd(guest.ns), PeerMTU: uint32(mtu)}
	if err := sw.LinkAdd(veth); err != nil {
		return wrap(op, err, "attach %s", near)
	}
	link, err := sw.LinkByName(near)
	if err == nil {
		err = errors.Join(sw.LinkSetAlias(link, alias), sw.LinkSetUp(link))
	}
	if err != nil {
		return cloud.E(op, cloud.Internal, "attach %s: %w", near, err)
	}
	return nil
}

// limitAttached gives a guest that was attached its port's bandwidth and trunk.
func (d *Driver) limitAttached(op string, spec cloud.NetworkSpec, portID string) error {
	sw, err := open(d.nsName(kindSwitch, spec.ID))
	if err != nil {
		return wrap(op, err, "network %s", spec.ID)
	}
	defer sw.close()
	if err := errors.Join(sw.applyLimits(spec), d.wireTrunk(sw, spec, portID)); err != nil {
		return wrap(op, err, "network %s", spec.ID)
	}
	return nil
}
