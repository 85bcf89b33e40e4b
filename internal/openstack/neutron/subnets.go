package neutron

import (
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/openstack/wire"
	"hearth/internal/service/network"
)

// sharedSubnet is a subnet and whether its network is shared, to filter by.
type sharedSubnet struct {
	cloud.Subnet
	shared bool
}

func (a *api) subnets() crud[sharedSubnet] {
	return crud[sharedSubnet]{
		kind: subnetKind, render: renderSubnet,
		create: func(r *wire.Request, bodies []*body) ([]sharedSubnet, error) {
			reqs, err := requests(bodies, readSubnet)
			if err != nil {
				return nil, err
			}
			made, err := a.svc.CreateSubnets(r.Context(), r.Caller, reqs...)
			return shareAll(made, nil), err
		},
		list: func(r *wire.Request, f network.Filter) ([]sharedSubnet, error) {
			rows, shared, err := a.svc.ListSubnets(r.Context(), r.Caller, f)
			return shareAll(rows, shared), err
		},
		get: func(r *wire.Request, id string) (sharedSubnet, error) {
			sub, err := a.svc.GetSubnet(r.Context(), r.Caller, id)
			return sharedSubnet{Subnet: sub}, err
		},
		update: func(r *wire.Request, id string, b *body) (sharedSubnet, error) {
			req := readSubnetUpdate(b)
			if b.err != nil {
				return sharedSubnet{}, b.err
			}
			sub, err := a.svc.UpdateSubnet(r.Context(), r.Caller, id, req)
			return sharedSubnet{Subnet: sub}, err
		},
		remove: func(r *wire.Request, id string) error { return a.svc.DeleteSubnet(r.Context(), r.Caller, id) },
	}
}

func shareAll(rows []cloud.Subnet, shared map[string]bool) []sharedSubnet {
	out := make([]sharedSubnet, len(rows))
	for i, sub := range rows {
		out[i] = sharedSubnet{sub, shared[sub.NetworkID]}
	}
	return out
}

func readSubnet(b *body) network.SubnetCreate {
	req := network.SubnetCreate{
		ProjectID: b.word("project_id"), NetworkID: value(b.id("network_id")), Name: value(b.text("name")),
		Description: value(b.text("description")), IPVersion: value(b.whole("ip_version")), Gateway: b.addr("gateway_ip"),
		EnableDHCP: b.flag("enable_dhcp"), Pools: readPools(b), DNS: value(readServers(b)), HostRoutes: value(readRoutes(b, "host_routes")),
		RAMode: readMode(b, "ipv6_ra_mode"), AddressMode: readMode(b, "ipv6_address_mode"), ServiceTypes: value(b.words("service_types")),
	}
	if req.IPVersion != 4 && req.IPVersion != 6 {
		b.fail("ip_version", "'%v' is not in [4, 6]", b.members["ip_version"])
	}
	if v, ok := b.get("cidr"); ok {
		req.CIDR = b.prefix("cidr", v)
	}
	req.SubnetPoolID, req.UseDefaultPool, req.PrefixLength = value(b.id("subnetpool_id")), value(b.flag("use_default_subnetpool")), b.whole("prefixlen")
	if req.CIDR.IsValid() && req.PrefixLength != nil && b.err == nil {
		b.err = badRequest("Bad subnets request: cidr and prefixlen must not be supplied together.")
	}
	return req
}

func readSubnetUpdate(b *body) network.SubnetUpdate {
	return network.SubnetUpdate{
		Name: b.text("name"), Description: b.text("description"), Gateway: b.addr("gateway_ip"), EnableDHCP: b.flag("enable_dhcp"),
		Pools: readPools(b), DNS: readServers(b), HostRoutes: readRoutes(b, "host_routes"), ServiceTypes: b.words("service_types"),
	}
}

func readMode(b *body, name string) string {
	mode := b.word(name)
	if mode != "" && !slices.Contains([]string{"dhcpv6-stateful", "dhcpv6-stateless", "slaac"}, mode) {
		b.fail(name, "'%s' is not in ['dhcpv6-stateful', 'dhcpv6-stateless', 'slaac']", mode)
	}
	return mode
}

func readPools(b *body) *[]cloud.AddressRange {
	const name = "allocation_pools"
	list := b.list(name)
	if list == nil {
		return nil
	}
	out := []cloud.AddressRange{}
	for _, v := range *list {
		o := b.object(name, v, "start", "end")
		out = append(out, cloud.AddressRange{Start: b.parseAddr(name, o.members["start"]), End: b.parseAddr(name, o.members["end"])})
	}
	return &out
}

func readServers(b *body) *[]netip.Addr {
	const name = "dns_nameservers"
	list := b.list(name)
	if list == nil {
		return nil
	}
	out := []netip.Addr{}
	for _, v := range *list {
		ip := b.parseAddr(name, v)
		if slices.Contains(out, ip) {
			b.fail(name, "Duplicate nameserver '%s'", ip)
		}
		out = append(out, ip)
	}
	return &out
}

func readRoutes(b *body, name string) *[]cloud.Route {
	list := b.list(name)
	if list == nil {
		return nil
	}
	out := []cloud.Route{}
	for _, v := range *list {
		o := b.object(name, v, "destination", "nexthop")
		route := cloud.Route{Destination: b.prefix(name, o.members["destination"]), NextHop: b.parseAddr(name, o.members["nexthop"])}
		if slices.Contains(out, route) {
			b.fail(name, "Duplicate hostroute '%s'", route.Destination)
		}
		out = append(out, route)
	}
	return &out
}

func renderRoutes(routes []cloud.Route) []wire.M {
	out := make([]wire.M, len(routes))
	for i, route := range routes {
		out[i] = wire.M{"destination": route.Destination.String(), "nexthop": route.NextHop.String()}
	}
	return out
}

func renderAddr(a netip.Addr) any {
	if !a.IsValid() {
		return nil
	}
	return a.String()
}

func renderSubnet(_ *wire.Request, sub sharedSubnet) wire.M {
	pools := make([]wire.M, len(sub.Pools))
	for i, p := range sub.Pools {
		pools[i] = wire.M{"start": p.Start.String(), "end": p.End.String()}
	}
	dns := make([]string, len(sub.DNS))
	for i, ip := range sub.DNS {
		dns[i] = ip.String()
	}
	m := wire.M{
		"id": sub.ID, "name": sub.Name, "tenant_id": sub.ProjectID, "project_id": sub.ProjectID, "network_id": sub.NetworkID,
		"ip_version": sub.IPVersion, "subnetpool_id": null(sub.SubnetPoolID), "enable_dhcp": sub.EnableDHCP,
		"ipv6_ra_mode": null(sub.RAMode), "ipv6_address_mode": null(sub.AddressMode), "gateway_ip": renderAddr(sub.Gateway),
		"cidr": sub.CIDR.String(), "allocation_pools": pools, "host_routes": renderRoutes(sub.HostRoutes), "dns_nameservers": dns,
		"service_types": words(sub.ServiceTypes), "shared": sub.shared,
	}
	return stamp(m, sub.Description, sub.Tags, sub.CreatedAt, sub.UpdatedAt, sub.Revision)
}
