package compute

import (
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Network is what compute needs of the network service, inside a transaction of
// its own.
type Network interface {
	// CreatePortTx makes a port as asked for: addresses, a MAC and what else is
	// not given are chosen, the quota of the port's project is counted. Conflict
	// for an address in use, Invalid for one outside of the subnets.
	CreatePortTx(tx *store.Tx, c cloud.Caller, want cloud.Port) (cloud.Port, error)
	// DefaultGroupTx gives the project's default group, made at first use.
	DefaultGroupTx(tx *store.Tx, projectID string) (cloud.SecurityGroup, error)
}

// Networks is what a request says about networks.
type Networks struct {
	Mode string       // "none", "auto", or "" for the list, where an empty one means the one network there is
	List []NetworkAsk // in the order of the NICs
}

// NetworkAsk is one NIC: a port that is there, or one to be made on a network.
type NetworkAsk struct {
	NetworkID, PortID, Tag string
	FixedIP                netip.Addr // zero for any
}

// check refuses what cannot be meant, whatever the cloud has.
func (n Networks) check(op string, count int) error {
	var ports []string
	for _, ask := range n.List {
		switch {
		case ask.PortID == "" && ask.NetworkID == "":
			return cloud.E(op, cloud.Invalid, "Bad network format: missing 'uuid'")
		case ask.PortID == "" && ask.FixedIP.IsValid() && count > 1:
			return cloud.E(op, cloud.Invalid, "Failed to launch instances: Invalid fixed IP request %s for more than one instance.", ask.FixedIP)
		case ask.PortID == "":
			continue
		case count > 1:
			return cloud.E(op, cloud.Invalid, "Failed to launch multiple instances with a port: multiple instances cannot share the port %s.", ask.PortID)
		case slices.Contains(ports, ask.PortID):
			return cloud.E(op, cloud.Invalid, "Port ID '%s' was specified twice: you cannot attach a port multiple times.", ask.PortID)
		case ask.FixedIP.IsValid():
			return cloud.E(op, cloud.Invalid, "Specified Fixed IP '%s' cannot be used with port '%s': the two cannot be specified together.", ask.FixedIP, ask.PortID)
		}
		ports = append(ports, ask.PortID)
	}
	return nil
}

// plug is one NIC, checked: an existing port, or the network for a new one.
type plug struct {
	port    *cloud.Port
	network cloud.Network
	ip      netip.Addr
	groups  []string
	tag     string
}

// plugs checks what a request says about networks and groups.
func (s *Service) plugs(tx *store.Tx, op string, c cloud.Caller, r CreateRequest) ([]plug, error) {
	asks, err := asked(tx, op, c, r.Networks)
	if err != nil {
		return nil, err
	}
	groups, err := s.groups(tx, op, c, r.SecurityGroups)
	if err != nil {
		return nil, err
	}
	plugs := make([]plug, len(asks))
	for i, ask := range asks {
		p := plug{ip: ask.FixedIP, tag: ask.Tag, groups: groups}
		if ask.PortID != "" {
			p.port, err = freePort(tx, op, c, ask.PortID)
		} else {
			p.network, err = usableNetwork(tx, op, c, ask.NetworkID)
		}
		if err != nil {
			return nil, err
		}
		plugs[i] = p
	}
	return plugs, nil
}

// asked is the list of NICs, where the request leaves it to us too: then it is
// the one network that the project can use.
func asked(tx *store.Tx, op string, c cloud.Caller, n Networks) ([]NetworkAsk, error) {
	if n.Mode == "none" {
		return nil, nil
	}
	if len(n.List) > 0 {
		return n.List, nil
	}
	all, err := tx.Networks.List(store.Query{})
	if err != nil {
		return nil, err
	}
	usable := slices.DeleteFunc(all, func(w cloud.Network) bool {
		return w.ProjectID != c.ProjectID && !w.Shared || w.External && !w.Shared
	})
	switch {
	case len(usable) > 1:
		return nil, cloud.E(op, cloud.Conflict, "Multiple possible networks found, use a Network ID to be more specific.")
	case len(usable) == 1:
		return []NetworkAsk{{NetworkID: usable[0].ID}}, nil
	case n.Mode == "auto":
		return nil, cloud.E(op, cloud.Invalid, "Unable to automatically allocate a network for project %s", c.ProjectID)
	}
	return nil, nil
}

// usableNetwork gives a network that the caller may have a server on.
func usableNetwork(tx *store.Tx, op string, c cloud.Caller, id string) (cloud.Network, error) {
	w, err := tx.Networks.Get(id)
	switch {
	case cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(w.ProjectID) && !w.Shared && !w.External:
		return w, cloud.E(op, cloud.Invalid, "Network %s could not be found.", id)
	case err != nil:
		return w, err
	case w.External && !w.Shared && !c.IsAdmin():
		return w, cloud.E(op, cloud.Forbidden, "It is not allowed to create an interface on external network %s", id)
	}
	n, err := tx.Subnets.Count(store.Eq("network_id", id))
	if err == nil && n == 0 {
		err = cloud.E(op, cloud.Invalid, "Network %s requires a subnet in order to boot instances on.", id)
	}
	return w, err
}

// freePort gives a port of the caller's that no device uses.
func freePort(tx *store.Tx, op string, c cloud.Caller, id string) (*cloud.Port, error) {
	p, err := tx.Ports.Get(id)
	switch {
	case cloud.Is(err, cloud.NotFound) || err == nil && !c.Owns(p.ProjectID):
		return nil, cloud.E(op, cloud.Invalid, "Port id %s could not be found.", id)
	case err != nil:
		return nil, err
	case p.DeviceID != "":
		return nil, cloud.E(op, cloud.Conflict, "Port %s is still in use.", id)
	case len(p.FixedIPs) == 0:
		return nil, cloud.E(op, cloud.Invalid, "Port %s requires a FixedIP in order to be used.", id)
	}
	return &p, nil
}

// groups gives the ids of security groups by their names or ids; none is the
// project's default group.
func (s *Service) groups(tx *store.Tx, op string, c cloud.Caller, names []string) ([]string, error) {
	fallback, err := s.network.DefaultGroupTx(tx, c.ProjectID)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return []string{fallback.ID}, nil
	}
	var ids []string
	for _, name := range names {
		id, err := groupTx(tx, op, c, name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// groupTx gives the id of a security group by its name or id.
func groupTx(tx *store.Tx, op string, c cloud.Caller, name string) (string, error) {
	if g, err := tx.SecurityGroups.Get(name); err == nil && c.Owns(g.ProjectID) {
		return g.ID, nil
	}
	found, err := tx.SecurityGroups.List(store.Where(store.Eq("project_id", c.ProjectID), store.Eq("name", name)))
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", cloud.E(op, cloud.Invalid, "Security group %s not found for project %s.", name, c.ProjectID)
	case len(found) > 1:
		return "", cloud.E(op, cloud.Conflict, "Multiple security groups found matching '%s'. Use an ID to be more specific.", name)
	}
	return found[0].ID, nil
}

// plugIn makes or takes the ports of a server.
func (s *Service) plugIn(tx *store.Tx, op string, c cloud.Caller, v *cloud.Server, plugs []plug) error {
	v.PortOrder, v.NICTags = nil, nil
	for _, p := range plugs {
		port, err := s.plugOne(tx, op, c, v, p)
		if err != nil {
			return err
		}
		v.PortOrder = append(v.PortOrder, port.ID)
		if p.tag != "" {
			if v.NICTags == nil {
				v.NICTags = map[string]string{}
			}
			v.NICTags[port.ID] = p.tag
		}
	}
	return nil
}

// plugOne makes or takes one port.
func (s *Service) plugOne(tx *store.Tx, op string, c cloud.Caller, v *cloud.Server, p plug) (cloud.Port, error) {
	owner := cloud.OwnerComputePrefix + DefaultZone // the zone is set when the server is placed
	if p.port != nil {
		port := *p.port
		port.DeviceID, port.DeviceOwner, port.Preserve, port.UpdatedAt = v.ID, owner, true, s.clock.Now()
		port.Revision++
		if port.DNSName == "" {
			port.DNSName = v.Hostname
		}
		return port, tx.Ports.Update(port)
	}
	want := cloud.Port{
		NetworkID: p.network.ID, ProjectID: v.ProjectID, AdminStateUp: true, PortSecurity: p.network.PortSecurity,
		DeviceID: v.ID, DeviceOwner: owner, DNSName: v.Hostname,
	}
	if p.network.PortSecurity {
		want.SecurityGroups = p.groups
	}
	if p.ip.IsValid() {
		want.FixedIPs = []cloud.FixedIP{{IP: p.ip}}
	}
	port, err := s.network.CreatePortTx(tx, c, want)
	if k := cloud.KindOf(err); err != nil && (k == cloud.Conflict || k == cloud.NotFound) {
		err = cloud.E(op, cloud.Invalid, "%s", cloud.Message(err)) // of the request's networks
	}
	if err == nil {
		v.SecurityGroups = p.groups
	}
	return port, err
}
