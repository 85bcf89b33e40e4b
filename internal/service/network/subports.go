package network

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// The segmentation types of sub-ports.
const (
	segmentVLAN    = "vlan"
	segmentInherit = "inherit" // as the port's network has it
)

// maxVLAN is the largest VLAN id that frames may have (IEEE 802.1Q).
const maxVLAN = 4094

// SubPortRequest asks for a sub-port. Type and VLAN are nil where nothing was said.
type SubPortRequest struct {
	PortID string
	Type   *string
	VLAN   *int
}

// AddSubPorts gives a trunk of the caller's further sub-ports, all or none.
func (s *Service) AddSubPorts(ctx context.Context, c cloud.Caller, id string, reqs []SubPortRequest) (TrunkView, error) {
	return update(ctx, s, func(tx *store.Tx) (TrunkView, error) {
		t, err := manageable(tx, c, id)
		if err != nil {
			return TrunkView{}, err
		}
		parent, err := tx.Ports.Get(t.PortID)
		if err != nil {
			return TrunkView{}, err
		}
		if err := s.joinSubPorts(tx, c, t, parent, reqs); err != nil {
			return TrunkView{}, err
		}
		return s.touchTrunk(tx, t)
	})
}

// joinSubPorts makes ports sub-ports of a trunk.
func (s *Service) joinSubPorts(tx *store.Tx, c cloud.Caller, t cloud.Trunk, parent cloud.Port, reqs []SubPortRequest) error {
	n, err := tx.Networks.Get(parent.NetworkID)
	if err != nil {
		return err
	}
	for _, r := range reqs {
		if err := s.joinSubPort(tx, c, t, parent, n.MTU, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) joinSubPort(tx *store.Tx, c cloud.Caller, t cloud.Trunk, parent cloud.Port, mtu int, r SubPortRequest) error {
	p, err := freeSubPort(tx, c, parent, r.PortID)
	if err != nil {
		return err
	}
	n, err := tx.Networks.Get(p.NetworkID)
	if err != nil {
		return err
	}
	if n.MTU > mtu {
		return conflict("SubPortMtuGreaterThanTrunkPortMtu", "MTU %d of subport %s cannot be greater than MTU %d of trunk %s.", n.MTU, p.ID, mtu, t.PortID)
	}
	vlan, err := segment(r, n)
	if err != nil {
		return err
	}
	taken, err := tx.SubPorts.Count(store.Eq("trunk_id", t.ID), store.Eq("vlan", vlan))
	if err != nil {
		return err
	}
	if taken > 0 {
		return conflict("DuplicateSubPort", "segmentation_type %s and segmentation_id %d already in use on trunk %s.", segmentVLAN, vlan, t.ID)
	}
	if err := tx.SubPorts.Insert(cloud.SubPort{PortID: p.ID, TrunkID: t.ID, VLAN: vlan, CreatedAt: s.clock.Now()}); err != nil {
		return err
	}
	p.DeviceID, p.DeviceOwner, p.Host, p.Up = t.ID, cloud.OwnerSubPort, parent.Host, false
	return s.savePort(tx, p)
}

// freeSubPort gives a port that nothing uses.
func freeSubPort(tx *store.Tx, c cloud.Caller, parent cloud.Port, id string) (cloud.Port, error) {
	p, err := seePort(tx, c, id)
	if err != nil {
		return p, err
	}
	if p.ID == parent.ID {
		return p, parentInUse(id)
	}
	err = checkUntrunked(tx, id)
	if err == nil && p.DeviceID != "" {
		err = conflict("PortInUse", "Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p.ID, p.NetworkID, p.DeviceID)
	}
	return p, err
}

// segment gives the VLAN that a sub-port is asked for at.
func segment(r SubPortRequest, n cloud.Network) (int, error) {
	if r.Type != nil && *r.Type == segmentInherit {
		return 0, invalid("Unknown segmentation_type '%s'", n.Type) // none of the networks here has a VLAN of its own
	}
	switch {
	case r.Type == nil || r.VLAN == nil:
		return 0, invalid("Invalid subport details '{'port_id': '%s'}': missing segmentation information. Must specify both segmentation_id and segmentation_type", r.PortID)
	case *r.Type != segmentVLAN:
		return 0, invalid("Unknown segmentation_type '%s'", *r.Type)
	case *r.VLAN < 1 || *r.VLAN > maxVLAN:
		return 0, invalid("Segmentation ID '%d' is not in range", *r.VLAN)
	}
	return *r.VLAN, nil
}

// RemoveSubPorts takes sub-ports off a trunk of the caller's, all or none.
func (s *Service) RemoveSubPorts(ctx context.Context, c cloud.Caller, id string, ports []string) (TrunkView, error) {
	return update(ctx, s, func(tx *store.Tx) (TrunkView, error) {
		t, err := manageable(tx, c, id)
		if err != nil {
			return TrunkView{}, err
		}
		for _, portID := range ports {
			sub, err := tx.SubPorts.Get(portID)
			if cloud.Is(err, cloud.NotFound) || err == nil && sub.TrunkID != t.ID {
				err = refuse(cloud.NotFound, "SubPortNotFound", "SubPort %s on trunk %s could not be found.", portID, t.ID)
			}
			if err != nil {
				return TrunkView{}, err
			}
			if err := s.releaseSubPort(tx, sub); err != nil {
				return TrunkView{}, err
			}
		}
		return s.touchTrunk(tx, t)
	})
}

// releaseSubPort makes a sub-port a port of nobody's.
func (s *Service) releaseSubPort(tx *store.Tx, sub cloud.SubPort) error {
	if err := tx.SubPorts.Delete(sub.PortID); err != nil {
		return err
	}
	p, err := tx.Ports.Get(sub.PortID)
	if err != nil {
		return err
	}
	p.DeviceID, p.DeviceOwner, p.Host, p.Up = "", "", "", false
	return s.savePort(tx, p)
}

// checkNoTrunk refuses to remove a port that is a trunk's.
func checkNoTrunk(tx *store.Tx, p cloud.Port) error {
	sub, err := tx.SubPorts.Get(p.ID)
	if err == nil {
		return conflict("PortInUseAsSubPort", "Port %s is currently a subport for trunk %s.", p.ID, sub.TrunkID)
	}
	if !cloud.Is(err, cloud.NotFound) {
		return err
	}
	trunks, err := tx.Trunks.List(store.Where(store.Eq("port_id", p.ID)))
	if err == nil && len(trunks) > 0 {
		err = conflict("PortInUseAsTrunkParent", "Port %s is currently a parent port for trunk %s.", p.ID, trunks[0].ID)
	}
	return err
}

// dropTrunkOf removes the trunk of a port that goes away, and takes a sub-port off
// its trunk.
func (s *Service) dropTrunkOf(tx *store.Tx, p cloud.Port) error {
	if _, err := tx.SubPorts.DeleteWhere(store.Eq("id", p.ID)); err != nil {
		return err
	}
	trunks, err := tx.Trunks.List(store.Where(store.Eq("port_id", p.ID)))
	if err != nil {
		return err
	}
	for _, t := range trunks {
		if err := s.dropTrunk(tx, t); err != nil {
			return err
		}
	}
	return nil
}

// SubPortDetail is a sub-port as the parent port's trunk details tell it.
type SubPortDetail struct {
	cloud.SubPort
	MAC string
}

// TrunkDetail is what a parent port tells of its trunk.
type TrunkDetail struct {
	TrunkID  string
	SubPorts []SubPortDetail
}

// TrunkDetails tells the trunks of the ports among those given that are parents, by
// the port.
func (s *Service) TrunkDetails(ctx context.Context, ports ...string) (map[string]TrunkDetail, error) {
	return view(ctx, s, func(tx *store.Tx) (map[string]TrunkDetail, error) {
		out := map[string]TrunkDetail{}
		trunks, err := tx.Trunks.List(store.Query{Where: in(nil, "port_id", ports)})
		if err != nil {
			return nil, err
		}
		for _, t := range trunks {
			subs, err := subPortsOf(tx, t.ID)
			if err != nil {
				return nil, err
			}
			d := TrunkDetail{TrunkID: t.ID}
			for _, sub := range subs {
				p, err := tx.Ports.Get(sub.PortID)
				if err != nil {
					return nil, err
				}
				d.SubPorts = append(d.SubPorts, SubPortDetail{sub, p.MAC})
			}
			out[t.PortID] = d
		}
		return out, nil
	})
}
