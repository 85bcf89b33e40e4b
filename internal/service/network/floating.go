package network

import (
	"context"
	"net/netip"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// FloatingCreate asks for a floating IP.
type FloatingCreate struct {
	ProjectID, Description string
	NetworkID, SubnetID    string
	IP                     netip.Addr // zero for any
	PortID                 string     // "" for none yet
	FixedIP                netip.Addr // of the port; zero for its only one
	DNSName, DNSDomain     string
}

// FloatingUpdate changes what is not nil. A PortID of "" takes the address off
// its port; FixedIP alone chooses another address of the port.
type FloatingUpdate struct {
	Description *string
	PortID      *string
	FixedIP     *netip.Addr
}

// FloatingView is a floating IP with the port it is mapped to, or with the port
// forwardings that it has instead.
type FloatingView struct {
	cloud.FloatingIP
	Port     *cloud.Port
	Forwards []cloud.PortForwarding
}

// CreateFloatingIPs makes floating IPs, all or none.
func (s *Service) CreateFloatingIPs(ctx context.Context, c cloud.Caller, reqs ...FloatingCreate) ([]FloatingView, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r FloatingCreate) (FloatingView, error) { return s.createFloatingIP(tx, c, r) })
}

func (s *Service) createFloatingIP(tx *store.Tx, c cloud.Caller, r FloatingCreate) (FloatingView, error) {
	owner, err := project(c, r.ProjectID)
	if err != nil {
		return FloatingView{}, err
	}
	n, err := seeNetwork(tx, c, r.NetworkID)
	if err != nil {
		return FloatingView{}, err
	}
	if r.IP.IsValid() && !c.IsAdmin() {
		return FloatingView{}, forbidden("(rule:create_floatingip and rule:create_floatingip:floating_ip_address)")
	}
	if err := checkQuota(tx, owner, "floatingip", 1); err != nil {
		return FloatingView{}, err
	}
	now := s.clock.Now()
	f := cloud.FloatingIP{
		ID: cloud.NewID(), ProjectID: owner, Description: r.Description, NetworkID: n.ID,
		DNSName: r.DNSName, DNSDomain: r.DNSDomain, CreatedAt: now, UpdatedAt: now, Revision: 1,
	}
	if err := s.reserve(tx, n, &f, r); err != nil {
		return FloatingView{}, err
	}
	if r.PortID == "" && r.FixedIP.IsValid() {
		return FloatingView{}, badRequest("floatingip", "fixed_ip_address cannot be specified without a port_id")
	}
	if r.PortID != "" {
		if err := s.mapPort(tx, c, &f, r.PortID, r.FixedIP); err != nil {
			return FloatingView{}, err
		}
	}
	if err := tx.FloatingIPs.Insert(f); err != nil {
		return FloatingView{}, err
	}
	return viewFloatingIP(tx, f)
}

// reserve makes the port that holds the address on the external network. No
// project owns it.
func (s *Service) reserve(tx *store.Tx, n cloud.Network, f *cloud.FloatingIP, r FloatingCreate) error {
	if !n.External {
		return badRequest("floatingip", "Network %s is not a valid external network", n.ID)
	}
	subnets, err := tx.Subnets.List(byAge([]store.Cond{store.Eq("network_id", n.ID), store.Eq("ip_version", 4)}))
	if err != nil {
		return err
	}
	if len(subnets) == 0 {
		return badRequest("floatingip", "Network %s does not contain any IPv4 subnet", n.ID)
	}
	p := cloud.Port{NetworkID: n.ID, AdminStateUp: true, DeviceID: f.ID, DeviceOwner: cloud.OwnerFloatingIP}
	none := []IPRequest{}
	if p, err = s.insertPort(tx, p, &none); err != nil {
		return err
	}
	if r.SubnetID != "" || r.IP.IsValid() {
		err = s.allotOne(tx, &p, subnets, IPRequest{SubnetID: r.SubnetID, IP: r.IP})
	} else {
		err = s.grabFree(tx, &p, servicing(subnets, cloud.OwnerFloatingIP))
	}
	if err != nil {
		return err
	}
	f.IP, f.SubnetID, f.OwnPortID = p.FixedIPs[0].IP, p.FixedIPs[0].SubnetID, p.ID
	return tx.Ports.Update(p)
}

func viewFloatingIP(tx *store.Tx, f cloud.FloatingIP) (FloatingView, error) {
	forwards, err := forwardingsOf(tx, f.ID)
	v := FloatingView{FloatingIP: f, Forwards: forwards}
	if err != nil || f.PortID == "" {
		return v, err
	}
	p, err := tx.Ports.Get(f.PortID)
	v.Port = &p
	return v, err
}

// GetFloatingIP gives a floating IP of the caller's.
func (s *Service) GetFloatingIP(ctx context.Context, c cloud.Caller, id string) (FloatingView, error) {
	return view(ctx, s, func(tx *store.Tx) (FloatingView, error) {
		f, err := ownFloatingIP(tx, c, id)
		if err != nil {
			return FloatingView{}, err
		}
		return viewFloatingIP(tx, f)
	})
}

// ListFloatingIPs lists the caller's floating IPs.
func (s *Service) ListFloatingIPs(ctx context.Context, c cloud.Caller, f Filter) ([]FloatingView, error) {
	return view(ctx, s, func(tx *store.Tx) ([]FloatingView, error) {
		where := in(in(in(nil, "id", f.IDs), "network_id", f.NetworkIDs), "port_id", f.PortIDs)
		rows, err := tx.FloatingIPs.List(byAge(mine(where, c)))
		if err != nil {
			return nil, err
		}
		out := make([]FloatingView, len(rows))
		for i, row := range rows {
			if out[i], err = viewFloatingIP(tx, row); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// UpdateFloatingIP changes a floating IP: above all, to which port it is mapped.
func (s *Service) UpdateFloatingIP(ctx context.Context, c cloud.Caller, id string, r FloatingUpdate) (FloatingView, error) {
	return update(ctx, s, func(tx *store.Tx) (FloatingView, error) {
		f, err := ownFloatingIP(tx, c, id)
		if err != nil {
			return FloatingView{}, err
		}
		set(&f.Description, r.Description)
		if err := s.remap(tx, c, &f, r); err != nil {
			return FloatingView{}, err
		}
		f.UpdatedAt, f.Revision = s.clock.Now(), f.Revision+1
		if err := tx.FloatingIPs.Update(f); err != nil {
			return FloatingView{}, err
		}
		return viewFloatingIP(tx, f)
	})
}

// DeleteFloatingIP gives a floating IP back.
func (s *Service) DeleteFloatingIP(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		f, err := ownFloatingIP(tx, c, id)
		if err != nil {
			return err
		}
		if err := checkNotForwarding(tx, f.ID); err != nil {
			return err
		}
		if err := s.tellServer(tx, f.PortID); err != nil {
			return err
		}
		return dropFloatingIP(tx, f)
	})
}

// dropFloatingIP removes the rows of a floating IP.
func dropFloatingIP(tx *store.Tx, f cloud.FloatingIP) error {
	if _, err := tx.PortForwardings.DeleteWhere(store.Eq("floatingip_id", f.ID)); err != nil {
		return err
	}
	if err := release(tx, f.OwnPortID); err != nil {
		return err
	}
	if err := tx.Ports.Delete(f.OwnPortID); err != nil {
		return err
	}
	return tx.FloatingIPs.Delete(f.ID)
}
