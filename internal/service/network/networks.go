package network

import (
	"context"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Provider is how a network is realised, which only an admin may choose.
type Provider struct {
	Type, PhysicalNetwork *string
	SegmentationID        *int
}

func (p Provider) given() bool {
	return p.Type != nil || p.PhysicalNetwork != nil || p.SegmentationID != nil
}

// NetworkCreate asks for a network. What is nil is left to the defaults.
type NetworkCreate struct {
	ProjectID, Name, Description                            string
	AdminStateUp, Shared, External, IsDefault, PortSecurity *bool
	MTU                                                     *int
	DNSDomain                                               string
	QoSPolicyID                                             *string // "" for none, nil for the project's default
	Provider                                                Provider
}

// NetworkUpdate changes what is not nil.
type NetworkUpdate struct {
	Name, Description, DNSDomain                            *string
	QoSPolicyID                                             *string // "" for none
	AdminStateUp, Shared, External, IsDefault, PortSecurity *bool
	MTU                                                     *int
	Provider                                                Provider
}

// NetworkView is a network with the ids of its subnets and of the address scopes
// that these are in.
type NetworkView struct {
	cloud.Network
	Subnets        []string
	Scope4, Scope6 string
}

// CreateNetworks makes networks, all or none.
func (s *Service) CreateNetworks(ctx context.Context, c cloud.Caller, reqs ...NetworkCreate) ([]NetworkView, error) {
	return each(ctx, s, reqs, func(tx *store.Tx, r NetworkCreate) (NetworkView, error) {
		n, err := s.createNetwork(tx, c, r)
		return NetworkView{Network: n}, err
	})
}

// adminOnlyNetwork refuses what only an admin may say of a network.
func adminOnlyNetwork(c cloud.Caller, verb string, shared, external, isDefault *bool, p Provider) error {
	if c.IsAdmin() {
		return nil
	}
	rule := "rule:" + verb + "_network"
	switch {
	case or(shared, false):
		return forbidden("(" + rule + " and " + rule + ":shared)")
	case or(external, false), verb == "update" && external != nil:
		return forbidden("(" + rule + " and " + rule + ":router:external)")
	case or(isDefault, false):
		return forbidden("(" + rule + " and " + rule + ":is_default)")
	case p.Type != nil:
		return forbidden("(" + rule + " and " + rule + ":provider:network_type)")
	case p.PhysicalNetwork != nil:
		return forbidden("(" + rule + " and " + rule + ":provider:physical_network)")
	case p.SegmentationID != nil:
		return forbidden("(" + rule + " and " + rule + ":provider:segmentation_id)")
	}
	return nil
}

func (s *Service) createNetwork(tx *store.Tx, c cloud.Caller, r NetworkCreate) (cloud.Network, error) {
	owner, err := project(c, r.ProjectID)
	if err != nil {
		return cloud.Network{}, err
	}
	if err := adminOnlyNetwork(c, "create", r.Shared, r.External, r.IsDefault, r.Provider); err != nil {
		return cloud.Network{}, err
	}
	if err := checkQuota(tx, owner, "network", 1); err != nil {
		return cloud.Network{}, err
	}
	now := s.clock.Now()
	n := cloud.Network{
		ID: cloud.NewID(), ProjectID: owner, Name: r.Name, Description: r.Description,
		AdminStateUp: or(r.AdminStateUp, true), Shared: or(r.Shared, false), External: or(r.External, false),
		IsDefault: or(r.IsDefault, false), PortSecurity: or(r.PortSecurity, true), DNSDomain: r.DNSDomain,
		CreatedAt: now, UpdatedAt: now, Revision: 1,
	}
	if err := s.provide(tx, &n, r.Provider); err != nil {
		return n, err
	}
	if r.QoSPolicyID == nil {
		n.QoSPolicyID, err = defaultQoS(tx, owner)
	} else {
		n.QoSPolicyID, err = *r.QoSPolicyID, chooseQoS(tx, c, r.QoSPolicyID)
	}
	if err != nil {
		return n, err
	}
	if n.MTU, err = s.mtu(n.Type, r.MTU); err != nil {
		return n, err
	}
	if _, err := s.DefaultGroupTx(tx, owner); err != nil {
		return n, err
	}
	if err := tx.Networks.Insert(n); err != nil {
		return n, err
	}
	return n, s.publish(tx, n)
}

// publish writes the policies that a network's flags stand for.
func (s *Service) publish(tx *store.Tx, n cloud.Network) error {
	if err := s.shareWithAll(tx, objectNetwork, n.ID, n.ProjectID, cloud.AccessShared, n.Shared); err != nil {
		return err
	}
	return s.shareWithAll(tx, objectNetwork, n.ID, n.ProjectID, cloud.AccessExternal, n.External)
}

// GetNetwork gives a network that the caller may see.
func (s *Service) GetNetwork(ctx context.Context, c cloud.Caller, id string) (NetworkView, error) {
	return view(ctx, s, func(tx *store.Tx) (NetworkView, error) {
		n, err := seeNetwork(tx, c, id)
		if err != nil {
			return NetworkView{}, err
		}
		one := []cloud.Network{n}
		if err := externalBy(tx, c, one...); err != nil {
			return NetworkView{}, err
		}
		return viewNetwork(tx, one[0])
	})
}

func viewNetwork(tx *store.Tx, n cloud.Network) (NetworkView, error) {
	views, err := viewNetworks(tx, []cloud.Network{n})
	if err != nil {
		return NetworkView{}, err
	}
	return views[0], nil
}

func viewNetworks(tx *store.Tx, nets []cloud.Network) ([]NetworkView, error) {
	ids := make([]string, len(nets))
	for i, n := range nets {
		ids[i] = n.ID
	}
	subnets, err := related(tx.Subnets, "network_id", ids, func(sub cloud.Subnet) string { return sub.NetworkID })
	if err != nil {
		return nil, err
	}
	four, six, err := scopesOf(tx, subnets)
	views := make([]NetworkView, len(nets))
	for i, n := range nets {
		views[i].Network, views[i].Scope4, views[i].Scope6 = n, four[n.ID], six[n.ID]
		for _, sub := range subnets[n.ID] {
			views[i].Subnets = append(views[i].Subnets, sub.ID)
		}
	}
	return views, err
}

// ListNetworks lists the networks that the caller may see.
func (s *Service) ListNetworks(ctx context.Context, c cloud.Caller, f Filter) ([]NetworkView, error) {
	return view(ctx, s, func(tx *store.Tx) ([]NetworkView, error) {
		rows, err := listPersonal(tx, c, byAge(in(nil, "id", f.IDs)))
		rows, err = keep(rows, err, func(n cloud.Network) bool { return c.Owns(n.ProjectID) || n.Shared || n.External })
		if err == nil {
			err = externalBy(tx, c, rows...)
		}
		if err != nil {
			return nil, err
		}
		return viewNetworks(tx, rows)
	})
}

// UpdateNetwork changes a network of the caller's.
func (s *Service) UpdateNetwork(ctx context.Context, c cloud.Caller, id string, r NetworkUpdate) (NetworkView, error) {
	return update(ctx, s, func(tx *store.Tx) (NetworkView, error) {
		n, err := ownNetwork(tx, c, id, "update_network")
		if err != nil {
			return NetworkView{}, err
		}
		if err := s.changeNetwork(tx, c, &n, r); err != nil {
			return NetworkView{}, err
		}
		n.UpdatedAt, n.Revision = s.clock.Now(), n.Revision+1
		if err := tx.Networks.Update(n); err != nil {
			return NetworkView{}, err
		}
		if r.Shared != nil || r.External != nil {
			if err := s.publish(tx, n); err != nil {
				return NetworkView{}, err
			}
		}
		return viewNetwork(tx, n)
	})
}

func (s *Service) changeNetwork(tx *store.Tx, c cloud.Caller, n *cloud.Network, r NetworkUpdate) error {
	if err := adminOnlyNetwork(c, "update", r.Shared, r.External, r.IsDefault, r.Provider); err != nil {
		return err
	}
	if r.Provider.given() {
		return invalid("Plugin does not support updating provider attributes")
	}
	if n.Shared && r.Shared != nil && !*r.Shared {
		if err := checkUnshare(tx, *n); err != nil {
			return err
		}
	}
	if n.External && r.External != nil && !*r.External {
		if err := checkUnexternal(tx, n.ID); err != nil {
			return err
		}
	}
	if r.MTU != nil {
		mtu, err := s.mtu(n.Type, r.MTU)
		if err != nil {
			return err
		}
		n.MTU = mtu
	}
	set(&n.Name, r.Name)
	set(&n.Description, r.Description)
	if err := chooseQoS(tx, c, r.QoSPolicyID); err != nil {
		return err
	}
	set(&n.QoSPolicyID, r.QoSPolicyID)
	set(&n.DNSDomain, r.DNSDomain)
	set(&n.AdminStateUp, r.AdminStateUp)
	set(&n.Shared, r.Shared)
	set(&n.External, r.External)
	set(&n.IsDefault, r.IsDefault)
	set(&n.PortSecurity, r.PortSecurity)
	return nil
}

// checkUnshare refuses to withdraw a network from projects that use it.
func checkUnshare(tx *store.Tx, n cloud.Network) error {
	ports, err := tx.Ports.List(store.Where(store.Eq("network_id", n.ID), store.Ne("project_id", n.ProjectID)))
	if err != nil {
		return err
	}
	for _, p := range ports {
		if p.ProjectID != "" && !serviceOwner(p.DeviceOwner) {
			return conflict("InvalidSharedSetting", "Unable to reconfigure sharing settings for network %s. Multiple tenants are using it.", n.ID)
		}
	}
	return nil
}

// checkUnexternal refuses to make a network internal that routers or floating
// IPs are on.
func checkUnexternal(tx *store.Tx, id string) error {
	used, err := tx.Ports.Count(store.Eq("network_id", id), store.In("device_owner", cloud.OwnerRouterGateway, cloud.OwnerFloatingIP))
	if err == nil && used > 0 {
		err = conflict("ExternalNetworkInUse", "External network %s cannot be updated to be made non-external, since it has existing gateway ports.", id)
	}
	return err
}

// DeleteNetwork removes a network with its subnets, unless a port is on it that
// is not DHCP's nor an idle floating IP's.
func (s *Service) DeleteNetwork(ctx context.Context, c cloud.Caller, id string) error {
	return s.change(ctx, func(tx *store.Tx) error {
		if _, err := ownNetwork(tx, c, id, "delete_network"); err != nil {
			return err
		}
		if err := s.dropIdleFloatingIPs(tx, id); err != nil {
			return err
		}
		if err := checkNetworkUnused(tx, id); err != nil {
			return err
		}
		return dropNetwork(tx, id)
	})
}

// checkNetworkUnused refuses when a port is on the network that is not DHCP's.
func checkNetworkUnused(tx *store.Tx, id string) error {
	ports, err := tx.Ports.List(store.Where(store.Eq("network_id", id), store.Ne("device_owner", cloud.OwnerDHCP)))
	if err != nil || len(ports) == 0 {
		return err
	}
	ids := make([]string, len(ports))
	for i, p := range ports {
		ids[i] = p.ID
	}
	return conflict("NetworkInUse", "Unable to complete operation on network %s. There are one or more ports still in use on the network, id for these ports is: %s.", id, strings.Join(ids, ","))
}

// dropIdleFloatingIPs gives the floating IPs of a network back that are mapped
// to no port, as neutron does before it removes the network.
func (s *Service) dropIdleFloatingIPs(tx *store.Tx, id string) error {
	rows, err := tx.FloatingIPs.List(store.Where(store.Eq("network_id", id), store.Eq("router_id", "")))
	if err != nil {
		return err
	}
	for _, f := range rows {
		if err := dropFloatingIP(tx, f); err != nil {
			return err
		}
	}
	return nil
}

// dropNetwork removes the rows of a network.
func dropNetwork(tx *store.Tx, id string) error {
	for _, drop := range []func(...store.Cond) (int, error){tx.Allocations.DeleteWhere, tx.Ports.DeleteWhere, tx.Subnets.DeleteWhere} {
		if _, err := drop(store.Eq("network_id", id)); err != nil {
			return err
		}
	}
	if err := dropGrants(tx, id); err != nil {
		return err
	}
	return tx.Networks.Delete(id)
}
