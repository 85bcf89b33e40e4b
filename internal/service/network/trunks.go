package network

import (
	"cmp"
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// TrunkCreate asks for a trunk.
type TrunkCreate struct {
	ProjectID, PortID, Name, Description string
	AdminStateUp                         *bool
	SubPorts                             []SubPortRequest
}

// TrunkUpdate changes what is not nil.
type TrunkUpdate struct {
	Name, Description *string
	AdminStateUp      *bool
}

// TrunkView is a trunk with what a reader of it wants to know.
type TrunkView struct {
	cloud.Trunk
	Status   string
	SubPorts []cloud.SubPort
}

func noTrunk(id string) error {
	return refuse(cloud.NotFound, "TrunkNotFound", "Trunk %s could not be found.", id)
}

func ownTrunk(tx *store.Tx, c cloud.Caller, id string) (cloud.Trunk, error) {
	t, err := tx.Trunks.Get(id)
	if err == nil && !c.Owns(t.ProjectID) {
		err = noTrunk(id)
	}
	return got(t, err, noTrunk(id))
}

// manageable gives a trunk of the caller's that may be changed.
func manageable(tx *store.Tx, c cloud.Caller, id string) (cloud.Trunk, error) {
	t, err := ownTrunk(tx, c, id)
	if err == nil && !t.AdminStateUp {
		err = conflict("TrunkDisabled", "Trunk %s is currently disabled.", id)
	}
	return t, err
}

// describeTrunk completes a trunk with its status and its sub-ports.
func describeTrunk(tx *store.Tx, t cloud.Trunk) (TrunkView, error) {
	v := TrunkView{Trunk: t}
	var err error
	if v.SubPorts, err = subPortsOf(tx, t.ID); err != nil {
		return v, err
	}
	parent, err := tx.Ports.Get(t.PortID)
	if err != nil {
		return v, err
	}
	ports := make([]cloud.Port, len(v.SubPorts))
	for i, s := range v.SubPorts {
		if ports[i], err = tx.Ports.Get(s.PortID); err != nil {
			return v, err
		}
	}
	v.Status = t.Status(parent, ports)
	return v, nil
}

// subPortsOf gives a trunk's sub-ports by their VLANs.
func subPortsOf(tx *store.Tx, trunkID string) ([]cloud.SubPort, error) {
	return tx.SubPorts.List(store.Query{Where: []store.Cond{store.Eq("trunk_id", trunkID)}, Order: []store.Order{{Column: "vlan"}}})
}

// CreateTrunks makes trunks, all or none.
func (s *Service) CreateTrunks(ctx context.Context, c cloud.Caller, reqs ...TrunkCreate) ([]TrunkView, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r TrunkCreate) (TrunkView, error) {
		owner, err := project(c, r.ProjectID)
		if err != nil {
			return TrunkView{}, err
		}
		parent, err := s.freeParent(tx, c, r.PortID)
		if err != nil {
			return TrunkView{}, err
		}
		if err := checkQuota(tx, owner, "trunk", 1); err != nil {
			return TrunkView{}, err
		}
		now := s.clock.Now()
		t := cloud.Trunk{
			ID: cloud.NewID(), ProjectID: owner, Name: r.Name, Description: r.Description, PortID: parent.ID,
			AdminStateUp: or(r.AdminStateUp, true), CreatedAt: now, UpdatedAt: now, Revision: 1,
		}
		if err := tx.Trunks.Insert(t); err != nil {
			return TrunkView{}, err
		}
		if err := s.joinSubPorts(tx, c, t, parent, r.SubPorts); err != nil {
			return TrunkView{}, err
		}
		return describeTrunk(tx, t)
	})
}

// freeParent gives a port that can be the parent of a trunk: one that is in none.
// Nodes take on a trunk under a running guest, so a bound port will do.
func (s *Service) freeParent(tx *store.Tx, c cloud.Caller, id string) (cloud.Port, error) {
	p, err := seePort(tx, c, id)
	if err != nil {
		return p, err
	}
	if routerOwner(p.DeviceOwner) || serviceOwner(p.DeviceOwner) {
		return p, parentInUse(id)
	}
	return p, checkUntrunked(tx, id)
}

// checkUntrunked refuses a port that is in a trunk, as its parent or a sub-port.
func checkUntrunked(tx *store.Tx, id string) error {
	if _, err := tx.SubPorts.Get(id); !cloud.Is(err, cloud.NotFound) {
		return cmp.Or(err, conflict("TrunkPortInUse", "Port %s is in use by another trunk.", id))
	}
	n, err := tx.Trunks.Count(store.Eq("port_id", id))
	if err == nil && n > 0 {
		err = parentInUse(id)
	}
	return err
}

func parentInUse(id string) error {
	return conflict("ParentPortInUse", "Port %s is currently in use and is not eligible for use as a parent port.", id)
}

// GetTrunk gives a trunk of the caller's.
func (s *Service) GetTrunk(ctx context.Context, c cloud.Caller, id string) (TrunkView, error) {
	return view(ctx, s, func(tx *store.Tx) (TrunkView, error) {
		t, err := ownTrunk(tx, c, id)
		if err != nil {
			return TrunkView{}, err
		}
		return describeTrunk(tx, t)
	})
}

// ListTrunks lists the caller's trunks.
func (s *Service) ListTrunks(ctx context.Context, c cloud.Caller, f Filter) ([]TrunkView, error) {
	return view(ctx, s, func(tx *store.Tx) ([]TrunkView, error) {
		rows, err := tx.Trunks.List(byAge(mine(in(in(nil, "id", f.IDs), "port_id", f.PortIDs), c)))
		if err != nil {
			return nil, err
		}
		out := make([]TrunkView, len(rows))
		for i, t := range rows {
			if out[i], err = describeTrunk(tx, t); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// UpdateTrunk changes a trunk of the caller's.
func (s *Service) UpdateTrunk(ctx context.Context, c cloud.Caller, id string, r TrunkUpdate) (TrunkView, error) {
	return update(ctx, s, func(tx *store.Tx) (TrunkView, error) {
		t, err := ownTrunk(tx, c, id)
		if err != nil {
			return TrunkView{}, err
		}
		set(&t.Name, r.Name)
		set(&t.Description, r.Description)
		set(&t.AdminStateUp, r.AdminStateUp)
		return s.touchTrunk(tx, t)
	})
}

// touchTrunk writes a trunk that was changed.
func (s *Service) touchTrunk(tx *store.Tx, t cloud.Trunk) (TrunkView, error) {
	t.UpdatedAt, t.Revision = s.clock.Now(), t.Revision+1
	if err := tx.Trunks.Update(t); err != nil {
		return TrunkView{}, err
	}
	return describeTrunk(tx, t)
}

// DeleteTrunk removes a trunk; its sub-ports are free then.
func (s *Service) DeleteTrunk(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		t, err := manageable(tx, c, id)
		if err != nil {
			return err
		}
		return s.dropTrunk(tx, t)
	})
}

func (s *Service) dropTrunk(tx *store.Tx, t cloud.Trunk) error {
	subs, err := subPortsOf(tx, t.ID)
	if err != nil {
		return err
	}
	for _, sub := range subs {
		if err := s.releaseSubPort(tx, sub); err != nil {
			return err
		}
	}
	return tx.Trunks.Delete(t.ID)
}
