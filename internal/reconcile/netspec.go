package reconcile

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// composer reads the store for one node's data plane, each row once, and what
// every port needs in one query for all of them: a node may have a thousand.
type composer struct {
	tx      *store.Tx
	node    string
	subnets map[string]cloud.Subnet
	routed  map[string]bool            // subnets with a router's interface
	names   map[string]string          // hostnames by server
	trunked map[string]string          // trunks by their sub-ports
	trunks  map[string][]cloud.SubPort // sub-ports by the parent port
	wears   map[string]cloud.SecurityGroup
	domain  string // of networks that have none of their own
}

// composePlane is what a node must serve: every network that an instance or a
// router on it has a port on, and its routers.
func composePlane(tx *store.Tx, node, domain string) (plane, error) {
	c := composer{
		tx: tx, node: node, domain: domain, subnets: map[string]cloud.Subnet{}, routed: map[string]bool{}, names: map[string]string{},
		wears: map[string]cloud.SecurityGroup{},
	}
	if err := c.readTrunks(); err != nil {
		return plane{}, err
	}
	routers, err := tx.Routers.List(store.Where(store.Eq("node", node)))
	if err != nil {
		return plane{}, err
	}
	local, err := tx.Ports.List(store.Where(store.Eq("host", node)))
	if err != nil {
		return plane{}, err
	}
	var p plane
	wanted := map[string]bool{}
	for _, r := range routers {
		spec, err := c.router(r)
		if err != nil {
			return plane{}, err
		}
		if len(spec.Interfaces) == 0 && spec.Gateway == nil {
			continue
		}
		p.routers = append(p.routers, spec)
		for _, i := range spec.Interfaces {
			wanted[i.NetworkID] = true
		}
		if spec.Gateway != nil {
			wanted[spec.Gateway.NetworkID] = true
		}
	}
	byNetwork := map[string][]cloud.Port{}
	for _, port := range local {
		wanted[port.NetworkID] = true
		byNetwork[port.NetworkID] = append(byNetwork[port.NetworkID], port)
	}
	ids := make([]string, 0, len(wanted))
	for id := range wanted {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		spec, err := c.network(id, byNetwork[id])
		if err != nil {
			return plane{}, err
		}
		p.networks = append(p.networks, spec)
	}
	return p, nil
}

// network composes one network's spec with the node's own ports on it.
func (c *composer) network(id string, local []cloud.Port) (cloud.NetworkSpec, error) {
	n, err := c.tx.Networks.Get(id)
	if err != nil {
		return cloud.NetworkSpec{}, err
	}
	spec := cloud.NetworkSpec{
		ID: n.ID, Name: n.Name, Type: n.Type, PhysicalNetwork: n.PhysicalNetwork, SegmentationID: n.SegmentationID,
		MTU: n.MTU, Generation: int64(n.Revision), DNSDomain: strings.TrimSuffix(cmp.Or(n.DNSDomain, c.domain), "."),
	}
	if err := c.addSubnets(&spec); err != nil {
		return spec, err
	}
	if n.AdminStateUp { // a network that is down has no DHCP, DNS and metadata of its own
		if err := c.addServicePort(&spec); err != nil {
			return spec, err
		}
	}
	named, err := c.namedPorts(spec.ID)
	if err != nil {
		return spec, err
	}
	if err := c.readNames(local, named); err != nil {
		return spec, err
	}
	groups := map[string]bool{}
	for _, port := range local {
		if !c.guests(port) {
			continue
		}
		out, err := c.port(port)
		if err != nil {
			return spec, err
		}
		if err := c.limits(&out, port, n); err != nil {
			return spec, err
		}
		spec.Ports = append(spec.Ports, out)
		for _, g := range port.SecurityGroups {
			groups[g] = true
		}
	}
	spec.Groups, err = c.groups(groups)
	if err != nil {
		return spec, err
	}
	if spec.AddressGroups, err = c.addressGroups(spec.Groups); err != nil {
		return spec, err
	}
	c.addNames(&spec, named)
	return spec, nil
}

// addSubnets adds the network's subnets, in the order of their ids.
func (c *composer) addSubnets(spec *cloud.NetworkSpec) error {
	subnets, err := c.tx.Subnets.List(store.Where(store.Eq("network_id", spec.ID)))
	if err != nil {
		return err
	}
	interfaces, err := c.tx.Ports.List(store.Where(store.Eq("network_id", spec.ID), store.Eq("device_owner", cloud.OwnerRouterInterface)))
	if err != nil {
		return err
	}
	for _, port := range interfaces {
		for _, f := range port.FixedIPs {
			c.routed[f.SubnetID] = true
		}
	}
	for _, s := range subnets {
		c.subnets[s.ID] = s
		spec.Subnets = append(spec.Subnets, cloud.SubnetSpec{
			ID: s.ID, CIDR: s.CIDR, Gateway: s.Gateway, DHCP: s.EnableDHCP, DNS: s.DNS, Routes: s.HostRoutes,
			RAMode: s.RAMode, AddressMode: s.AddressMode, Routed: c.routed[s.ID],
		})
	}
	return nil
}

// addServicePort adds the port where DHCP, DNS and metadata answer.
func (c *composer) addServicePort(spec *cloud.NetworkSpec) error {
	ports, err := c.tx.Ports.List(store.Where(store.Eq("network_id", spec.ID), store.Eq("device_owner", cloud.OwnerDHCP)))
	if err != nil || len(ports) == 0 {
		return err
	}
	addresses, err := c.prefixes(ports[0].FixedIPs)
	if err != nil {
		return err
	}
	spec.DHCP = &cloud.ServicePort{PortID: ports[0].ID, MAC: ports[0].MAC, Addresses: addresses}
	return nil
}

// port composes one instance's port.
func (c *composer) port(p cloud.Port) (cloud.PortSpec, error) {
	instance, err := c.instanceOf(p)
	if err != nil {
		return cloud.PortSpec{}, err
	}
	out := cloud.PortSpec{
		ID: p.ID, InstanceID: instance, MAC: p.MAC, Addresses: p.FixedIPs, AllowedPairs: p.AllowedPairs,
		AdminUp: p.AdminStateUp, Security: p.PortSecurity, Groups: p.SecurityGroups, Hostname: c.hostname(p),
		DHCPOptions: p.DHCPOptions,
	}
	if len(p.SecurityGroups) > 0 { // a port's groups are all of one kind
		id := p.SecurityGroups[0]
		group, known := c.wears[id]
		if !known {
			if group, err = c.tx.SecurityGroups.Get(id); err != nil {
				return out, err
			}
			c.wears[id] = group
		}
		out.Stateless = !group.Stateful
	}
	return out, c.subPorts(&out)
}

// limits adds the bandwidth of a port: by its own QoS policy, else its network's.
func (c *composer) limits(out *cloud.PortSpec, p cloud.Port, n cloud.Network) error {
	id := p.QoSPolicyID
	if id == "" {
		id = n.QoSPolicyID
	}
	if id == "" {
		return nil
	}
	policy, err := c.tx.QoSPolicies.Get(id)
	if err != nil {
		return err
	}
	if len(policy.Marks) > 0 {
		out.DSCP = &policy.Marks[0].Mark
	}
	for direction, b := range map[string]*cloud.Bandwidth{cloud.Egress: &out.Egress, cloud.Ingress: &out.Ingress} {
		if l, ok := policy.Limit(direction); ok {
			*b = cloud.Bandwidth{Kbps: l.Kbps, BurstKb: l.BurstKb}
		}
	}
	return nil
}

// readNames learns the host names of the servers behind ports.
func (c *composer) readNames(local []cloud.Port, named []*cloud.Port) error {
	var ids []string
	note := func(p *cloud.Port) {
		if _, known := c.names[p.DeviceID]; !known && p.DeviceID != "" {
			c.names[p.DeviceID] = "" // of a device that is no server
			ids = append(ids, p.DeviceID)
		}
	}
	for i := range local {
		note(&local[i])
	}
	for _, p := range named {
		note(p)
	}
	const most = 500 // of one query
	for some := range slices.Chunk(ids, most) {
		servers, err := c.tx.Servers.Shared(store.Where(store.In("id", some...)))
		if err != nil {
			return err
		}
		for _, s := range servers {
			c.names[s.ID] = s.Hostname
		}
	}
	return nil
}

// hostname is the name that DHCP and DNS know a port by.
func (c *composer) hostname(p cloud.Port) string { return cmp.Or(p.DNSName, c.names[p.DeviceID]) }

// namedPorts are the ports of every instance on a network, on whatever node it is,
// for reading only.
func (c *composer) namedPorts(network string) ([]*cloud.Port, error) {
	return c.tx.Ports.Shared(store.Where(store.Eq("network_id", network), store.Cond{Column: "device_owner", Op: store.OpPrefix, Value: cloud.OwnerComputePrefix}))
}

// addNames adds the names of those ports.
func (c *composer) addNames(spec *cloud.NetworkSpec, ports []*cloud.Port) {
	for _, p := range ports {
		name := c.hostname(*p)
		if name == "" || len(p.FixedIPs) == 0 {
			continue
		}
		record := cloud.NameRecord{Name: name}
		for _, f := range p.FixedIPs {
			record.IPs = append(record.IPs, f.IP)
		}
		spec.Names = append(spec.Names, record)
		if whole := c.names[p.DeviceID]; strings.Contains(whole, ".") && whole != name {
			record.Name = whole
			spec.Names = append(spec.Names, record)
		}
	}
}

// prefixes gives addresses with the length of their subnets.
func (c *composer) prefixes(fixed []cloud.FixedIP) ([]netip.Prefix, error) {
	out := make([]netip.Prefix, 0, len(fixed))
	for _, f := range fixed {
		s, err := c.subnet(f.SubnetID)
		if err != nil {
			return nil, err
		}
		out = append(out, netip.PrefixFrom(f.IP, s.CIDR.Bits()))
	}
	return out, nil
}

func (c *composer) subnet(id string) (cloud.Subnet, error) {
	if s, ok := c.subnets[id]; ok {
		return s, nil
	}
	s, err := c.tx.Subnets.Get(id)
	if err == nil {
		c.subnets[id] = s
	}
	return s, err
}
