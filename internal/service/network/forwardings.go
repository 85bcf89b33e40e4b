package network

import (
	"context"
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// ForwardingCreate asks for a port forwarding of a floating IP.
type ForwardingCreate struct {
	Description, Protocol string
	External, InnerPort   int
	ExternalEnd, InnerEnd int // the last of a range; 0 for one port
	PortID                string
	Inner                 netip.Addr // of the port; zero for its only one
}

// ForwardingUpdate changes what is not nil.
type ForwardingUpdate struct {
	Description, Protocol *string
	External, InnerPort   *int
	ExternalEnd, InnerEnd *int // go with those
	PortID                *string
	Inner                 *netip.Addr
}

// CreateForwardings forwards ports of a floating IP, all or none. The floating IP
// must be mapped to no port as a whole.
func (s *Service) CreateForwardings(ctx context.Context, c cloud.Caller, floatingID string, reqs ...ForwardingCreate) ([]cloud.PortForwarding, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r ForwardingCreate) (cloud.PortForwarding, error) {
		f := cloud.PortForwarding{
			ID: cloud.NewID(), FloatingIPID: floatingID, Description: r.Description, Protocol: r.Protocol, External: r.External,
			PortID: r.PortID, Inner: r.Inner, InnerPort: r.InnerPort, ExternalEnd: r.ExternalEnd, InnerEnd: r.InnerEnd, CreatedAt: s.clock.Now(),
		}
		if err := s.placeForwarding(tx, c, &f); err != nil {
			return f, err
		}
		return f, tx.PortForwardings.Insert(f)
	})
}

// placeForwarding judges a forwarding and finds the router that does it.
func (s *Service) placeForwarding(tx *store.Tx, c cloud.Caller, f *cloud.PortForwarding) error {
	ip, err := ownFloatingIP(tx, c, f.FloatingIPID)
	if err != nil {
		return err
	}
	if ip.PortID != "" {
		return conflict("FloatingIPPortAlreadyAssociated", "Cannot forward ports of floating IP %s (%s): all of it is mapped to port %s.", ip.IP, ip.ID, ip.PortID)
	}
	p, err := seePort(tx, c, f.PortID)
	if err != nil {
		return err
	}
	if p.ProjectID != ip.ProjectID && !c.IsAdmin() {
		return badRequest("port_forwarding", "Port %s is owned by a different tenant", p.ID)
	}
	inner, err := innerAddress(p, f.Inner)
	if err != nil {
		return err
	}
	f.Inner = inner.IP
	if f.RouterID, err = pathTo(tx, ip, p, inner); err != nil {
		return err
	}
	if err := checkForwarding(tx, ip, *f); err != nil {
		return err
	}
	ip.RouterID, ip.UpdatedAt, ip.Revision = f.RouterID, s.clock.Now(), ip.Revision+1
	return tx.FloatingIPs.Update(ip)
}

// checkRanges refuses ranges that do not fit each other.
func checkRanges(f cloud.PortForwarding) error {
	outer, inner := max(f.ExternalEnd-f.External, 0), max(f.InnerEnd-f.InnerPort, 0)
	switch {
	case f.External == 0 || f.InnerPort == 0:
		return badRequest("port_forwarding", "A port forwarding has an external_port or an external_port_range, and an internal_port or an internal_port_range.")
	case inner > 0 && inner != outer:
		return badRequest("port_forwarding", "Invalid ranges of internal and/or external ports. The relation between internal and external ports must be N-N or 1-N")
	case outer >= cloud.MaxForwardRange:
		return badRequest("port_forwarding", "A range of %d ports is more than the %d that one port forwarding may have here.", outer+1, cloud.MaxForwardRange)
	}
	return nil
}

func collide(a, aEnd, b, bEnd int) bool { return max(a, b) <= min(max(a, aEnd), max(b, bEnd)) }

func collision(what string, a, aEnd, b, bEnd int) error {
	return badRequest("port_forwarding", "There is a port collision with the %s. The following ranges collides: %d:%d and %d:%d", what, a, max(a, aEnd), b, max(b, bEnd))
}

// checkForwarding refuses a forwarding that another one is in the way of.
func checkForwarding(tx *store.Tx, ip cloud.FloatingIP, f cloud.PortForwarding) error {
	if err := checkRanges(f); err != nil {
		return err
	}
	others, err := forwardingsOf(tx, ip.ID)
	if err != nil {
		return err
	}
	for _, o := range others {
		switch {
		case o.ID == f.ID:
		case o.Protocol == f.Protocol && collide(o.External, o.ExternalEnd, f.External, f.ExternalEnd):
			return collision("external_port_range", o.External, o.ExternalEnd, f.External, f.ExternalEnd)
		case o.Protocol == f.Protocol && o.Inner == f.Inner && o.PortID == f.PortID && collide(o.InnerPort, o.InnerEnd, f.InnerPort, f.InnerEnd):
			return collision("internal_port_range", o.InnerPort, o.InnerEnd, f.InnerPort, f.InnerEnd)
		case o.RouterID != f.RouterID:
			return badRequest("port_forwarding", "Port %s is behind router %s, and other ports of floating IP %s are forwarded by router %s", f.PortID, f.RouterID, ip.IP, o.RouterID)
		}
	}
	mapped, err := tx.FloatingIPs.Count(store.Eq("port_id", f.PortID), store.Eq("fixed_ip", f.Inner.String()))
	if err == nil && mapped > 0 {
		err = conflict("PortHasBindingFloatingIP", "Cannot create port forwarding to floating IP %s (%s) with port %s using fixed IP %s, as that port already has a binding floating IP.", ip.IP, ip.ID, f.PortID, f.Inner)
	}
	return err
}

func forwardingsOf(tx *store.Tx, floatingID string) ([]cloud.PortForwarding, error) {
	return tx.PortForwardings.List(byAge([]store.Cond{store.Eq("floatingip_id", floatingID)}))
}

// ListForwardings lists the port forwardings of a floating IP of the caller's.
func (s *Service) ListForwardings(ctx context.Context, c cloud.Caller, floatingID string) ([]cloud.PortForwarding, error) {
	return view(ctx, s, func(tx *store.Tx) ([]cloud.PortForwarding, error) {
		if _, err := ownFloatingIP(tx, c, floatingID); err != nil {
			return nil, err
		}
		return forwardingsOf(tx, floatingID)
	})
}

// GetForwarding gives a port forwarding of a floating IP of the caller's.
func (s *Service) GetForwarding(ctx context.Context, c cloud.Caller, floatingID, id string) (cloud.PortForwarding, error) {
	return view(ctx, s, func(tx *store.Tx) (cloud.PortForwarding, error) { return ownForwarding(tx, c, floatingID, id) })
}

func ownForwarding(tx *store.Tx, c cloud.Caller, floatingID, id string) (cloud.PortForwarding, error) {
	missing := refuse(cloud.NotFound, "PortForwardingNotFound", "Port Forwarding %s could not be found.", id)
	if _, err := ownFloatingIP(tx, c, floatingID); err != nil {
		return cloud.PortForwarding{}, err
	}
	f, err := tx.PortForwardings.Get(id)
	if err == nil && f.FloatingIPID != floatingID {
		err = missing
	}
	return got(f, err, missing)
}

// UpdateForwarding changes a port forwarding.
func (s *Service) UpdateForwarding(ctx context.Context, c cloud.Caller, floatingID, id string, r ForwardingUpdate) (cloud.PortForwarding, error) {
	return update(ctx, s, func(tx *store.Tx) (cloud.PortForwarding, error) {
		f, err := ownForwarding(tx, c, floatingID, id)
		if err != nil {
			return f, err
		}
		if r.PortID != nil && *r.PortID != f.PortID {
			f.Inner = netip.Addr{} // the new port's own, unless said
		}
		set(&f.Description, r.Description)
		set(&f.Protocol, r.Protocol)
		set(&f.External, r.External)
		set(&f.InnerPort, r.InnerPort)
		set(&f.ExternalEnd, r.ExternalEnd)
		set(&f.InnerEnd, r.InnerEnd)
		set(&f.PortID, r.PortID)
		set(&f.Inner, r.Inner)
		if err := s.placeForwarding(tx, c, &f); err != nil {
			return f, err
		}
		return f, tx.PortForwardings.Update(f)
	})
}

// DeleteForwarding ends a port forwarding.
func (s *Service) DeleteForwarding(ctx context.Context, c cloud.Caller, floatingID, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		f, err := ownForwarding(tx, c, floatingID, id)
		if err != nil {
			return err
		}
		return s.dropForwarding(tx, f)
	})
}

// dropForwarding removes a forwarding; with the last one, the floating IP is free
// of its router.
func (s *Service) dropForwarding(tx *store.Tx, f cloud.PortForwarding) error {
	if err := tx.PortForwardings.Delete(f.ID); err != nil {
		return err
	}
	left, err := tx.PortForwardings.Count(store.Eq("floatingip_id", f.FloatingIPID))
	if err != nil || left > 0 {
		return err
	}
	ip, err := tx.FloatingIPs.Get(f.FloatingIPID)
	if err != nil {
		return err
	}
	ip.RouterID, ip.UpdatedAt, ip.Revision = "", s.clock.Now(), ip.Revision+1
	return tx.FloatingIPs.Update(ip)
}

// unforwardPort ends the forwardings to a port's addresses that are not among the
// kept ones.
func (s *Service) unforwardPort(tx *store.Tx, portID string, kept map[string]cloud.FixedIP) error {
	rows, err := tx.PortForwardings.List(store.Where(store.Eq("port_id", portID)))
	if err != nil {
		return err
	}
	for _, f := range rows {
		if _, still := kept[f.Inner.String()]; still {
			continue
		}
		if err := s.dropForwarding(tx, f); err != nil {
			return err
		}
	}
	return nil
}

// checkNotForwarding refuses to map a floating IP as a whole while ports of it are
// forwarded.
func checkNotForwarding(tx *store.Tx, floatingID string) error {
	n, err := tx.PortForwardings.Count(store.Eq("floatingip_id", floatingID))
	if err == nil && n > 0 {
		err = conflict("FipInUseByPortForwarding", "Floating IP %s in use by Port Forwarding resources.", floatingID)
	}
	return err
}
