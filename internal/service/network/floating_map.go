package network

import (
	"net/netip"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// remap maps a floating IP as an update asks.
func (s *Service) remap(tx *store.Tx, c cloud.Caller, f *cloud.FloatingIP, r FloatingUpdate) error {
	fixed := or(r.FixedIP, netip.Addr{})
	port := or(r.PortID, f.PortID)
	switch {
	case r.PortID == nil && r.FixedIP == nil:
		return nil
	case port == "" && fixed.IsValid():
		return badRequest("floatingip", "fixed_ip_address cannot be specified without a port_id")
	case f.PortID == "" && port == "":
		return nil
	case port == "":
		old := f.PortID
		unmap(f)
		return s.tellServer(tx, old)
	}
	if port != f.PortID {
		if err := s.tellServer(tx, f.PortID); err != nil {
			return err
		}
	}
	return s.mapPort(tx, c, f, port, fixed)
}

func unmap(f *cloud.FloatingIP) { f.PortID, f.FixedIP, f.RouterID = "", netip.Addr{}, "" }

// unmapPort takes floating IPs off a port: off the addresses that are not among
// the kept ones.
func (s *Service) unmapPort(tx *store.Tx, portID string, kept []cloud.FixedIP) error {
	rows, err := tx.FloatingIPs.List(store.Where(store.Eq("port_id", portID)))
	if err != nil {
		return err
	}
	still := indexed(kept, func(f cloud.FixedIP) string { return f.IP.String() })
	if err := s.unforwardPort(tx, portID, still); err != nil {
		return err
	}
	for _, f := range rows {
		if _, ok := still[f.FixedIP.String()]; ok {
			continue
		}
		unmap(&f)
		f.UpdatedAt, f.Revision = s.clock.Now(), f.Revision+1
		if err := tx.FloatingIPs.Update(f); err != nil {
			return err
		}
	}
	return nil
}

// mapPort maps a floating IP to a port's address, by the router between them.
func (s *Service) mapPort(tx *store.Tx, c cloud.Caller, f *cloud.FloatingIP, portID string, fixed netip.Addr) error {
	if err := checkNotForwarding(tx, f.ID); err != nil {
		return err
	}
	p, err := seePort(tx, c, portID)
	if err != nil {
		return err
	}
	if p.ProjectID != f.ProjectID && !c.IsAdmin() {
		return badRequest("floatingip", "Cannot process floating IP association with Port %s, since that port is owned by a different tenant", p.ID)
	}
	if p.DeviceOwner == cloud.OwnerDHCP { // all others may, a router's interface too
		return badRequest("floatingip", "Port %s is unable to be assigned a floating IP", p.ID)
	}
	inner, err := innerAddress(p, fixed)
	if err != nil {
		return err
	}
	forwards, err := tx.PortForwardings.List(store.Where(store.Eq("port_id", p.ID)))
	if err != nil {
		return err
	}
	for _, o := range forwards {
		if o.Inner == inner.IP {
			return badRequest("floatingip", "Cannot associate floating IP %s with port %s using fixed IP %s, as that has port forwarding %s", f.IP, p.ID, inner.IP, o.ID)
		}
	}
	router, err := pathTo(tx, *f, p, inner)
	if err != nil {
		return err
	}
	others, err := tx.FloatingIPs.List(store.Where(store.Eq("port_id", p.ID), store.Eq("network_id", f.NetworkID)))
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.ID != f.ID && o.FixedIP == inner.IP {
			return conflict("FloatingIPPortAlreadyAssociated", "Cannot associate floating IP %s (%s) with port %s using fixed IP %s, as that fixed IP already has a floating IP on external network %s.", f.IP, f.ID, p.ID, inner.IP, f.NetworkID)
		}
	}
	f.PortID, f.FixedIP, f.RouterID = p.ID, inner.IP, router
	return s.tellServer(tx, p.ID)
}

// tellServer makes the server that a port is of due, so that its node learns
// what the guest's metadata says of the port now.
func (s *Service) tellServer(tx *store.Tx, portID string) error {
	if portID == "" {
		return nil
	}
	p, err := tx.Ports.Get(portID)
	if cloud.Is(err, cloud.NotFound) || err == nil && !strings.HasPrefix(p.DeviceOwner, cloud.OwnerComputePrefix) {
		return nil
	}
	if err != nil {
		return err
	}
	v, err := tx.Servers.Get(p.DeviceID)
	if cloud.Is(err, cloud.NotFound) || err == nil && v.Node == "" {
		return nil
	}
	if err != nil {
		return err
	}
	v.NextAttemptAt = s.clock.Now()
	return tx.Servers.Update(v)
}

// innerAddress chooses the IPv4 address of the port that is meant.
func innerAddress(p cloud.Port, fixed netip.Addr) (cloud.FixedIP, error) {
	if fixed.IsValid() && !fixed.Is4() {
		return cloud.FixedIP{}, badRequest("floatingip", "Cannot process floating IP association with %s, since that is not an IPv4 address", fixed)
	}
	var four []cloud.FixedIP
	for _, f := range p.FixedIPs {
		if f.IP == fixed {
			return f, nil
		}
		if f.IP.Is4() {
			four = append(four, f)
		}
	}
	switch {
	case fixed.IsValid():
		return cloud.FixedIP{}, badRequest("floatingip", "Port %s does not have fixed ip %s", p.ID, fixed)
	case len(four) == 0:
		return cloud.FixedIP{}, badRequest("floatingip", "Cannot add floating IP to port %s that has no fixed IPv4 addresses", p.ID)
	case len(four) > 1:
		return cloud.FixedIP{}, badRequest("floatingip", "Port %s has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP", p.ID)
	}
	return four[0], nil
}

// pathTo finds the router with an interface on the address's subnet and its
// gateway on the floating IP's network; rather the one that is the subnet's own
// gateway.
func pathTo(tx *store.Tx, f cloud.FloatingIP, p cloud.Port, inner cloud.FixedIP) (string, error) {
	sub, err := tx.Subnets.Get(inner.SubnetID)
	if err != nil {
		return "", err
	}
	ports, err := tx.Ports.List(byAge([]store.Cond{store.Eq("network_id", p.NetworkID), store.Eq("device_owner", cloud.OwnerRouterInterface)}))
	if err != nil {
		return "", err
	}
	first := ""
	for _, rp := range ports {
		for _, ip := range rp.FixedIPs {
			if ip.SubnetID != sub.ID {
				continue
			}
			r, err := tx.Routers.Get(rp.DeviceID)
			if err != nil && !cloud.Is(err, cloud.NotFound) {
				return "", err
			}
			if err != nil || r.GatewayNetworkID != f.NetworkID {
				continue
			}
			if ip.IP == sub.Gateway {
				return r.ID, nil
			}
			if first == "" {
				first = r.ID
			}
		}
	}
	if first == "" {
		return "", refuse(cloud.NotFound, "ExternalGatewayForFloatingIPNotFound", "External network %s is not reachable from subnet %s.  Therefore, cannot associate Port %s with a Floating IP.", f.NetworkID, sub.ID, p.ID)
	}
	return first, nil
}
