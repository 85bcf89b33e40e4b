package reconcile

import (
	"cmp"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// router composes one router's spec from its ports and floating IPs.
func (c *composer) router(r cloud.Router) (cloud.RouterSpec, error) {
	spec := cloud.RouterSpec{
		ID: r.ID, Name: r.Name, Generation: int64(r.Revision), AdminUp: r.AdminStateUp, SNAT: r.EnableSNAT, Routes: r.Routes,
	}
	ports, err := c.tx.Ports.List(store.Where(store.Eq("device_id", r.ID)))
	if err != nil {
		return spec, err
	}
	for _, p := range ports {
		face, err := c.routerPort(p)
		if err != nil {
			return spec, err
		}
		switch p.DeviceOwner {
		case cloud.OwnerRouterInterface:
			spec.Interfaces = append(spec.Interfaces, face)
		case cloud.OwnerRouterGateway:
			if err := c.gateway(&spec, p, face); err != nil {
				return spec, err
			}
		}
	}
	if err := c.floating(&spec); err != nil {
		return spec, err
	}
	if err := c.meters(&spec, r.ProjectID); err != nil {
		return spec, err
	}
	return spec, c.forwards(&spec)
}

// routerPort composes an interface, with the prefixes that it announces.
func (c *composer) routerPort(p cloud.Port) (cloud.RouterPort, error) {
	network, err := c.tx.Networks.Get(p.NetworkID)
	if err != nil {
		return cloud.RouterPort{}, err
	}
	face := cloud.RouterPort{PortID: p.ID, NetworkID: p.NetworkID, MAC: p.MAC, MTU: network.MTU}
	if face.Addresses, err = c.prefixes(p.FixedIPs); err != nil {
		return face, err
	}
	for _, f := range p.FixedIPs {
		s, err := c.subnet(f.SubnetID)
		if err != nil {
			return face, err
		}
		if err := c.addScope(&face, s); err != nil {
			return face, err
		}
		if s.IPVersion == 6 && s.RAMode != "" && p.DeviceOwner == cloud.OwnerRouterInterface {
			face.Advertise = append(face.Advertise, cloud.AdvertisedPrefix{Prefix: s.CIDR, Mode: s.RAMode, DNS: s.DNS})
		}
	}
	return face, nil
}

// addScope says in what address scope an interface is: that of the pool which its
// subnet was cut from.
func (c *composer) addScope(face *cloud.RouterPort, s cloud.Subnet) error {
	if s.SubnetPoolID == "" {
		return nil
	}
	pool, err := c.tx.SubnetPools.Get(s.SubnetPoolID)
	if err != nil {
		return err
	}
	if s.IPVersion == 4 {
		face.Scope4 = pool.AddressScopeID
	} else {
		face.Scope6 = pool.AddressScopeID
	}
	return nil
}

// gateway adds the way out: the port and the external subnets' own gateways.
func (c *composer) gateway(spec *cloud.RouterSpec, p cloud.Port, face cloud.RouterPort) error {
	if len(p.FixedIPs) == 0 {
		return nil // the external network has no subnet: there is no way out
	}
	spec.Gateway = &face
	for _, f := range p.FixedIPs {
		s, err := c.subnet(f.SubnetID)
		if err != nil {
			return err
		}
		if s.Gateway.IsValid() {
			spec.NextHops = append(spec.NextHops, s.Gateway)
		}
	}
	return nil
}

// floating adds the floating IPs that the router maps.
func (c *composer) floating(spec *cloud.RouterSpec) error {
	ips, err := c.tx.FloatingIPs.List(store.Where(store.Eq("router_id", spec.ID)))
	if err != nil {
		return err
	}
	for _, f := range ips {
		if f.PortID != "" {
			spec.FloatingIPs = append(spec.FloatingIPs, cloud.FloatingSpec{ID: f.ID, Floating: f.IP, Fixed: f.FixedIP})
		}
	}
	slices.SortFunc(spec.FloatingIPs, func(a, b cloud.FloatingSpec) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

// forwards adds the ports of floating IPs that the router forwards.
func (c *composer) forwards(spec *cloud.RouterSpec) error {
	rows, err := c.tx.PortForwardings.List(store.Where(store.Eq("router_id", spec.ID)))
	if err != nil {
		return err
	}
	for _, f := range rows {
		ip, err := c.tx.FloatingIPs.Get(f.FloatingIPID)
		if err != nil {
			return err
		}
		for _, ports := range f.Ports() {
			spec.Forwards = append(spec.Forwards, cloud.ForwardSpec{
				ID: f.ID, Floating: ip.IP, Fixed: f.Inner, Protocol: f.Protocol, External: ports[0], InnerPort: ports[1],
			})
		}
	}
	slices.SortFunc(spec.Forwards, func(a, b cloud.ForwardSpec) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), cmp.Compare(a.External, b.External))
	})
	return nil
}
