package linux

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

const defaultMTU = 1500

// ApplyNetwork implements network.Driver.
func (d *Driver) ApplyNetwork(ctx context.Context, spec cloud.NetworkSpec) error {
	const op = "network.ApplyNetwork"
	if err := checkNetwork(op, spec); err != nil {
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
	if spec.MTU == 0 {
		spec.MTU = defaultMTU
	}
	if err := d.applyNetwork(spec); err != nil {
		return wrap(op, err, "network %s", spec.ID)
	}
	return nil
}

func (d *Driver) applyNetwork(spec cloud.NetworkSpec) error {
	_, err := os.Stat(filepath.Join(runNetns, d.nsName(kindSwitch, spec.ID)))
	fresh := err != nil
	sw, err := d.ensureSwitch(spec)
	if err != nil {
		return err
	}
	defer sw.close()
	state := d.state(spec.ID)
	judged, err := judgement(spec)
	if err != nil {
		return err
	}
	// A spec changes with every name on its network; the kernel takes 10 ms and more to swap filters.
	refilter := fresh || judged != state.judged
	if refilter {
		state.judged = [sha256.Size]byte{}
		if err := d.applyFilters(sw, state, spec); err != nil {
			return err
		}
	}
	if err := d.applyService(sw, spec); err != nil {
		return err
	}
	if err := d.applyUplink(sw, spec); err != nil {
		return err
	}
	if err := applyTapMTU(sw, spec); err != nil {
		return err
	}
	if err := sw.applyLimits(spec); err != nil {
		return err
	}
	d.mu.Lock()
	state.spec = spec
	d.mu.Unlock()
	if err := d.wireTrunks(sw, spec); err != nil {
		return err
	}
	if refilter {
		if err := d.cutFlows(sw, spec); err != nil {
			return err
		}
	}
	state.judged = judged
	return nil
}

// wrap gives an error of the kernel a subject; errors that have a kind keep it.
func wrap(op string, err error, format string, args ...any) error {
	var e *cloud.Error
	if errors.As(err, &e) {
		return err
	}
	return cloud.E(op, cloud.Internal, "%s: %w", fmt.Sprintf(format, args...), err)
}

// checkNetwork refuses what could not be built, before anything is touched.
func checkNetwork(op string, spec cloud.NetworkSpec) error {
	if err := checkID(op, "network", spec.ID); err != nil {
		return err
	}
	if len(spec.Peers) > 0 {
		return cloud.E(op, cloud.Unsupported, "network %s spans nodes, which this driver cannot do yet: place its instances on one node", spec.ID)
	}
	taps := map[string]string{}
	for _, p := range spec.Ports {
		if err := checkID(op, "port", p.ID); err != nil {
			return err
		}
		if _, err := parseMAC(op, "port "+p.ID, p.MAC); err != nil {
			return err
		}
		if other, twice := taps[tapName(p.ID)]; twice {
			return cloud.E(op, cloud.Conflict, "ports %s and %s of network %s would have the same tap: make one of them anew", other, p.ID, spec.ID)
		}
		taps[tapName(p.ID)] = p.ID
	}
	if spec.DHCP != nil {
		if err := checkID(op, "port", spec.DHCP.PortID); err != nil {
			return err
		}
		_, err := parseMAC(op, "the DHCP port of network "+spec.ID, spec.DHCP.MAC)
		return err
	}
	return nil
}

// ensureSwitch makes a network's switch. Nothing in it has an address, so IPv6
// is off there.
func (d *Driver) ensureSwitch(spec cloud.NetworkSpec) (*space, error) {
	name := d.nsName(kindSwitch, spec.ID)
	sw, err := ensure(name)
	if err != nil {
		return nil, err
	}
	call := "0"
	if d.filter() == filterNetfilter {
		call = "1"
	}
	settings := []sysctl{
		{"ipv6/conf/all/disable_ipv6", "1"}, {"ipv6/conf/default/disable_ipv6", "1"},
		{"bridge/bridge-nf-call-iptables", call}, {"bridge/bridge-nf-call-ip6tables", call}, {"bridge/bridge-nf-call-arptables", "0"},
	}
	if !hasIPv6(sw.ns) {
		settings = settings[2:]
	}
	err = setSysctls(sw.ns, settings)
	if err == nil {
		_, err = sw.ensureBridge(spec.MTU, "hearth network "+spec.ID)
	}
	if err != nil {
		sw.close()
		return nil, err
	}
	return sw, nil
}

// applyService makes the namespace where DHCP, DNS and metadata answer.
func (d *Driver) applyService(sw *space, spec cloud.NetworkSpec) error {
	if spec.DHCP == nil {
		return d.removeService(sw, spec.ID)
	}
	sv, err := ensure(d.nsName(kindService, spec.ID))
	if err != nil {
		return err
	}
	defer sv.close()
	err = setSysctls(sv.ns, []sysctl{
		{"ipv4/ip_forward", "0"}, {"ipv6/conf/default/accept_ra", "0"}, {"ipv6/conf/default/autoconf", "0"},
		{"ipv6/conf/default/accept_dad", "0"}, {"ipv6/conf/default/dad_transmits", "0"},
	})
	if err != nil {
		return err
	}
	mac, err := parseMAC("network.ApplyNetwork", "the DHCP port", spec.DHCP.MAC)
	if err != nil {
		return err
	}
	near := linkName(prefixService, spec.ID)
	link, fresh, err := sw.ensureCable(sv, cable{near: near, far: serviceDevice, mac: mac, mtu: spec.MTU, alias: "hearth port " + spec.DHCP.PortID})
	if err != nil {
		return err
	}
	if fresh {
		// Guests read answers off the wire (dhclient does) and must find checksums.
		if err := inNamespace(sv.ns, func() error { return fillChecksums(serviceDevice) }); err != nil {
			return err
		}
	}
	if err := errors.Join(sv.loopbackUp(), sv.LinkSetUp(link)); err != nil {
		return err
	}
	if fresh {
		if err := sw.awaitUp(near); err != nil {
			return err
		}
	}
	if _, err := sv.setAddresses(link, serviceOwn(spec)); err != nil {
		return err
	}
	if err := sv.setLinkRoutes(link, spec); err != nil {
		return err
	}
	return sv.setNeighbours(link, spec.Ports)
}

// serviceOwn lists the addresses of the service namespace.
func serviceOwn(spec cloud.NetworkSpec) []netip.Prefix {
	own := append([]netip.Prefix(nil), spec.DHCP.Addresses...)
	return append(own, host(metadata4), netip.PrefixFrom(metadata6Local, 64), host(metadata6))
}

// setLinkRoutes makes the subnets reachable in which the DHCP port has no
// address: their guests ask for metadata too.
func (s *space) setLinkRoutes(link netlink.Link, spec cloud.NetworkSpec) error {
	for _, subnet := range spec.Subnets {
		covered := false
		for _, p := range spec.DHCP.Addresses {
			covered = covered || p.Masked() == subnet.CIDR.Masked()
		}
		if covered || !subnet.CIDR.IsValid() {
			continue
		}
		route := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: toIPNet(subnet.CIDR.Masked()), Scope: netlink.SCOPE_LINK}
		if subnet.CIDR.Addr().Is4() {
			route.Src = metadata4.AsSlice()
		}
		if err := s.RouteReplace(route); err != nil {
			return fmt.Errorf("route to %s: %w", subnet.CIDR, err)
		}
	}
	return nil
}

// setNeighbours tells the service namespace the hardware addresses of the
// network's guests: a lease can then be sent to an address that its guest does
// not have yet, and no guest can claim another's by ARP.
func (s *space) setNeighbours(link netlink.Link, ports []cloud.PortSpec) error {
	index := link.Attrs().Index
	have, err := s.NeighList(index, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	wanted := map[string]string{}
	for _, p := range ports {
		for _, fixed := range p.Addresses {
			if fixed.IP.Is4() {
				wanted[fixed.IP.String()] = p.MAC
			}
		}
	}
	for _, n := range have {
		mac, ok := wanted[n.IP.String()]
		if ok && n.State == netlink.NUD_PERMANENT && n.HardwareAddr.String() == mac {
			delete(wanted, n.IP.String())
			continue
		}
		if !ok && n.State == netlink.NUD_PERMANENT {
			if err := s.NeighDel(&n); err != nil && !errors.Is(err, unix.ENOENT) {
				return err
			}
		}
	}
	for ip, mac := range wanted {
		hw, err := net.ParseMAC(mac)
		if err != nil {
			return err
		}
		n := &netlink.Neigh{LinkIndex: index, Family: netlink.FAMILY_V4, State: netlink.NUD_PERMANENT, IP: net.ParseIP(ip), HardwareAddr: hw}
		if err := s.NeighSet(n); err != nil {
			return fmt.Errorf("neighbour %s: %w", ip, err)
		}
	}
	return nil
}

// removeService undoes applyService; sw is nil when the switch is gone.
func (d *Driver) removeService(sw *space, networkID string) error {
	if sw != nil {
		if err := sw.deleteLink(linkName(prefixService, networkID)); err != nil {
			return err
		}
	}
	return dropNamespace(d.nsName(kindService, networkID))
}

// applyTapMTU gives present taps the network's MTU.
func applyTapMTU(sw *space, spec cloud.NetworkSpec) error {
	links, err := sw.LinkList()
	if err != nil {
		return err
	}
	for _, link := range links {
		own := !strings.HasPrefix(link.Attrs().Alias, subPortAlias) // the others are changed at both ends, with their trunk
		if own && named(link.Attrs().Name, prefixTap) && link.Attrs().MTU != spec.MTU {
			if err := sw.LinkSetMTU(link, spec.MTU); err != nil && !errors.Is(err, unix.ENODEV) {
				return err
			}
		}
	}
	return nil
}

// RemoveNetwork implements network.Driver.
func (d *Driver) RemoveNetwork(ctx context.Context, id string) error {
	const op = "network.RemoveNetwork"
	if err := checkID(op, "network", id); err != nil {
		return err
	}
	unlock, err := d.locks.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	d.forget(id)
	name := d.nsName(kindSwitch, id)
	sw, err := open(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return wrap(op, err, "network %s", id)
	}
	if sw != nil {
		defer sw.close()
		if err := errors.Join(d.releaseUplink(sw), sw.deleteLinks()); err != nil {
			return wrap(op, err, "network %s", id)
		}
	}
	if err := errors.Join(d.removeService(nil, id), dropNamespace(name)); err != nil {
		return wrap(op, err, "network %s", id)
	}
	return nil
}
