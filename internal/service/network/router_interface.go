package network

import (
	"context"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Interface says which subnet, which port, or for removal both.
type Interface struct{ SubnetID, PortID string }

// InterfaceView is what an interface came to be.
type InterfaceView struct {
	Router    cloud.Router
	Port      cloud.Port
	SubnetID  string
	SubnetIDs []string
}

// AddInterface connects a router with a subnet, by a port of its own with the
// subnet's gateway address, or by a port that was made before.
func (s *Service) AddInterface(ctx context.Context, c cloud.Caller, routerID string, i Interface) (InterfaceView, error) {
	return update(ctx, s, func(tx *store.Tx) (InterfaceView, error) {
		r, err := ownRouter(tx, c, routerID)
		if err != nil {
			return InterfaceView{}, err
		}
		var v InterfaceView
		switch {
		case i.SubnetID == "" && i.PortID == "":
			err = badRequest("router", "Either subnet_id or port_id must be specified")
		case i.SubnetID != "" && i.PortID != "":
			err = badRequest("router", "Cannot specify both subnet-id and port-id")
		case i.PortID != "":
			v, err = s.addByPort(tx, c, r, i.PortID)
		default:
			v, err = s.addBySubnet(tx, c, r, i.SubnetID)
		}
		if err != nil {
			return v, err
		}
		v.Router = r
		return v, s.saveRouter(tx, r)
	})
}

func (s *Service) addByPort(tx *store.Tx, c cloud.Caller, r cloud.Router, portID string) (InterfaceView, error) {
	p, err := seePort(tx, c, portID)
	if err != nil {
		return InterfaceView{}, err
	}
	if p.DeviceID != "" && p.DeviceID != r.ID || p.DeviceOwner == cloud.OwnerRouterInterface {
		return InterfaceView{}, conflict("PortInUse", "Unable to complete operation on port %s for network %s. Port already has an attached device %s.", p.ID, p.NetworkID, p.DeviceID)
	}
	if len(p.FixedIPs) == 0 {
		return InterfaceView{}, badRequest("router", "Router port must have at least one fixed IP")
	}
	v, four := InterfaceView{}, 0
	for _, f := range p.FixedIPs {
		sub, err := tx.Subnets.Get(f.SubnetID)
		if err != nil {
			return v, err
		}
		if sub.IPVersion == 4 {
			four++
		}
		if err := checkRouterOverlap(tx, r, sub, cloud.OwnerRouterInterface); err != nil {
			return v, err
		}
		v.SubnetIDs = append(v.SubnetIDs, sub.ID)
	}
	if four > 1 {
		return v, badRequest("router", "Cannot have multiple IPv4 subnets on router port")
	}
	p.DeviceID, p.DeviceOwner = r.ID, cloud.OwnerRouterInterface
	p.PortSecurity, p.SecurityGroups, p.AllowedPairs = false, nil, nil
	v.Port, v.SubnetID = p, v.SubnetIDs[0]
	return v, s.savePort(tx, p)
}

func (s *Service) addBySubnet(tx *store.Tx, c cloud.Caller, r cloud.Router, subnetID string) (InterfaceView, error) {
	sub, err := seeSubnet(tx, c, subnetID)
	if err != nil {
		return InterfaceView{}, err
	}
	if !sub.Gateway.IsValid() {
		return InterfaceView{}, badRequest("router", "Subnet for router interface must have a gateway IP")
	}
	if sub.IPVersion == 6 && sub.AddressMode != "" && sub.RAMode == "" {
		return InterfaceView{}, badRequest("router", "IPv6 subnet %s configured to receive RAs from an external router cannot be added to Neutron Router.", sub.ID)
	}
	if err := checkRouterOverlap(tx, r, sub, cloud.OwnerRouterInterface); err != nil {
		return InterfaceView{}, err
	}
	p, err := s.interfacePort(tx, r, sub)
	v := InterfaceView{Port: p, SubnetID: sub.ID, SubnetIDs: []string{sub.ID}}
	return v, err
}

// interfacePort makes the port, or for a further IPv6 subnet of a network takes
// the one that carries IPv6 there already.
func (s *Service) interfacePort(tx *store.Tx, r cloud.Router, sub cloud.Subnet) (cloud.Port, error) {
	ask := IPRequest{SubnetID: sub.ID, IP: sub.Gateway}
	if sub.IPVersion == 6 {
		ports, err := routerPorts(tx, r.ID)
		if err != nil {
			return cloud.Port{}, err
		}
		for _, p := range ports {
			if p.NetworkID == sub.NetworkID && p.DeviceOwner == cloud.OwnerRouterInterface && carries6(p) {
				if err := s.allotOne(tx, &p, []cloud.Subnet{sub}, ask); err != nil {
					return p, err
				}
				return p, s.savePort(tx, p)
			}
		}
	}
	if err := checkQuota(tx, r.ProjectID, "port", 1); err != nil {
		return cloud.Port{}, err
	}
	return s.insertPort(tx, cloud.Port{
		NetworkID: sub.NetworkID, ProjectID: r.ProjectID, AdminStateUp: true, DeviceID: r.ID, DeviceOwner: cloud.OwnerRouterInterface,
	}, &[]IPRequest{ask})
}

func carries6(p cloud.Port) bool {
	for _, f := range p.FixedIPs {
		if f.IP.Is6() {
			return true
		}
	}
	return false
}

// checkRouterOverlap refuses a subnet that the router is on already, or whose
// addresses it would find twice.
func checkRouterOverlap(tx *store.Tx, r cloud.Router, sub cloud.Subnet, owner string) error {
	ports, err := routerPorts(tx, r.ID)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if owner == cloud.OwnerRouterGateway && p.DeviceOwner == owner {
			continue // to be replaced
		}
		for _, f := range p.FixedIPs {
			if f.SubnetID == sub.ID {
				return badRequest("router", "Router already has a port on subnet %s", sub.ID)
			}
			other, err := tx.Subnets.Get(f.SubnetID)
			if err != nil {
				return err
			}
			if other.CIDR.Overlaps(sub.CIDR) {
				return badRequest("router", "Cidr %s of subnet %s overlaps with cidr %s of subnet %s", sub.CIDR, sub.ID, other.CIDR, other.ID)
			}
		}
	}
	return nil
}

// RemoveInterface disconnects a router from a subnet, or the port of one.
func (s *Service) RemoveInterface(ctx context.Context, c cloud.Caller, routerID string, i Interface) (InterfaceView, error) {
	return update(ctx, s, func(tx *store.Tx) (InterfaceView, error) {
		r, err := ownRouter(tx, c, routerID)
		if err != nil {
			return InterfaceView{}, err
		}
		if i.SubnetID == "" && i.PortID == "" {
			return InterfaceView{}, badRequest("router", "Either subnet_id or port_id must be specified")
		}
		p, err := findInterface(tx, r, i)
		if err != nil {
			return InterfaceView{}, err
		}
		v := InterfaceView{Router: r, Port: p, SubnetID: i.SubnetID}
		for _, f := range p.FixedIPs {
			if i.PortID != "" || f.SubnetID == i.SubnetID {
				v.SubnetIDs = append(v.SubnetIDs, f.SubnetID)
			}
		}
		if v.SubnetID == "" && len(v.SubnetIDs) > 0 {
			v.SubnetID = v.SubnetIDs[0]
		}
		for _, id := range v.SubnetIDs {
			if err := interfaceUnused(tx, r, id); err != nil {
				return v, err
			}
		}
		if err := s.cutInterface(tx, p, v.SubnetIDs); err != nil {
			return v, err
		}
		return v, s.saveRouter(tx, r)
	})
}

// findInterface finds the interface that is meant.
func findInterface(tx *store.Tx, r cloud.Router, i Interface) (cloud.Port, error) {
	ports, err := routerPorts(tx, r.ID)
	if err != nil {
		return cloud.Port{}, err
	}
	for _, p := range ports {
		if p.DeviceOwner != cloud.OwnerRouterInterface || i.PortID != "" && p.ID != i.PortID {
			continue
		}
		if i.SubnetID == "" || hasIPOn(p, i.SubnetID) {
			return p, nil
		}
		if i.PortID != "" {
			return p, refuse(cloud.Invalid, "SubnetMismatchForPort", "Subnet on port %s does not match the requested subnet %s.", p.ID, i.SubnetID)
		}
	}
	if i.PortID != "" {
		return cloud.Port{}, refuse(cloud.NotFound, "RouterInterfaceNotFound", "Router %s does not have an interface with id %s", r.ID, i.PortID)
	}
	return cloud.Port{}, refuse(cloud.NotFound, "RouterInterfaceNotFoundForSubnet", "Router %s has no interface on subnet %s", r.ID, i.SubnetID)
}

// interfaceUnused refuses to cut a subnet off whose floating IPs or whose next
// hops need the router.
func interfaceUnused(tx *store.Tx, r cloud.Router, subnetID string) error {
	fips, err := tx.FloatingIPs.List(store.Where(store.Eq("router_id", r.ID), store.Ne("port_id", "")))
	if err != nil {
		return err
	}
	sub, err := tx.Subnets.Get(subnetID)
	if err != nil {
		return err
	}
	forwards, err := tx.PortForwardings.List(store.Where(store.Eq("router_id", r.ID)))
	if err != nil {
		return err
	}
	for _, f := range forwards {
		fips = append(fips, cloud.FloatingIP{FixedIP: f.Inner})
	}
	for _, f := range fips {
		if sub.CIDR.Contains(f.FixedIP) {
			return conflict("RouterInterfaceInUseByFloatingIP", "Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more floating IPs.", subnetID, r.ID)
		}
	}
	for _, route := range r.Routes {
		if sub.CIDR.Contains(route.NextHop) {
			return conflict("RouterInterfaceInUseByRoute", "Router interface for subnet %s on router %s cannot be deleted, as it is required by one or more routes.", subnetID, r.ID)
		}
	}
	return nil
}

// cutInterface takes the subnets from the port, and the port away with its
// last.
func (s *Service) cutInterface(tx *store.Tx, p cloud.Port, subnetIDs []string) error {
	gone := indexed(subnetIDs, func(id string) string { return id })
	var kept []IPRequest
	for _, f := range p.FixedIPs {
		if _, ok := gone[f.SubnetID]; !ok {
			kept = append(kept, IPRequest(f))
		}
	}
	if len(kept) == 0 {
		return s.DeletePortTx(tx, p)
	}
	if err := s.reallot(tx, &p, kept); err != nil {
		return err
	}
	return s.savePort(tx, p)
}
