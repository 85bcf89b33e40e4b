package compute

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

// Network is what compute needs of the network service, inside transactions of
// its own; *network.Service is one.
type Network interface {
	// NetworkTx gives a network that the caller sees; NotFound.
	NetworkTx(tx *store.Tx, c cloud.Caller, id string) (cloud.Network, error)
	// NetworksForServerTx gives the network of a request that names none: one or
	// none; Conflict for several.
	NetworksForServerTx(tx *store.Tx, c cloud.Caller) ([]cloud.Network, error)
	// GroupsTx gives the ids of security groups by their names or ids; NotFound,
	// Conflict for a name that several have.
	GroupsTx(tx *store.Tx, c cloud.Caller, names []string) ([]string, error)
	// PortTx gives a port that the caller sees; NotFound.
	PortTx(tx *store.Tx, c cloud.Caller, id string) (cloud.Port, error)
	// CreatePortTx makes a port within the quota; Conflict for an address in use,
	// Invalid for one outside of the subnets.
	CreatePortTx(tx *store.Tx, c cloud.Caller, r network.PortCreate) (cloud.Port, error)
	// BindPortTx gives a port to the device that p names; Conflict when another
	// has it.
	BindPortTx(tx *store.Tx, p cloud.Port) (cloud.Port, error)
	// UnbindPortTx takes a port off its device and keeps it; DeletePortTx removes it.
	UnbindPortTx(tx *store.Tx, p cloud.Port) error
	DeletePortTx(tx *store.Tx, p cloud.Port) error
	// PortsOfDeviceTx gives a device's ports, the oldest first.
	PortsOfDeviceTx(tx *store.Tx, deviceID string) ([]cloud.Port, error)
	// SetPortIPsTx gives a port other addresses; those that it has and that are
	// asked for again stay.
	SetPortIPsTx(tx *store.Tx, p cloud.Port, ips []network.IPRequest) error

	// What nova passes on for clients that know no neutron.
	NetworkProxy
	ListGroups(ctx context.Context, c cloud.Caller, f network.Filter, projectID string) ([]network.GroupView, error)
	CreateGroups(ctx context.Context, c cloud.Caller, reqs ...network.GroupCreate) ([]network.GroupView, error)
	UpdateGroup(ctx context.Context, c cloud.Caller, id string, r network.GroupUpdate) (network.GroupView, error)
	DeleteGroup(ctx context.Context, c cloud.Caller, id string) error
	CreateRules(ctx context.Context, c cloud.Caller, reqs ...network.RuleCreate) ([]cloud.SecurityRule, error)
	DeleteRule(ctx context.Context, c cloud.Caller, id string) error
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
	asks, err := s.asked(tx, op, c, r.Networks)
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
			p.port, err = s.freePort(tx, op, c, ask.PortID)
		} else {
			p.network, err = s.usableNetwork(tx, op, c, ask.NetworkID)
			if err == nil && !ask.FixedIP.IsValid() && r.Max <= 1 {
				p.port, err = keptPort(tx, c, ask.NetworkID, r.Name, plugs)
			}
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
func (s *Service) asked(tx *store.Tx, op string, c cloud.Caller, n Networks) ([]NetworkAsk, error) {
	if n.Mode == "none" {
		return nil, nil
	}
	if len(n.List) > 0 {
		return n.List, nil
	}
	usable, err := s.network.NetworksForServerTx(tx, c)
	if err != nil {
		return nil, err
	}
	if len(usable) == 0 && n.Mode == "auto" {
		return nil, cloud.E(op, cloud.Invalid, "Unable to automatically allocate a network for project %s", c.ProjectID)
	}
	var asks []NetworkAsk
	for _, w := range usable {
		asks = append(asks, NetworkAsk{NetworkID: w.ID})
	}
	return asks, nil
}

// usableNetwork gives a network that the caller may have a server on.
func (s *Service) usableNetwork(tx *store.Tx, op string, c cloud.Caller, id string) (cloud.Network, error) {
	w, err := s.network.NetworkTx(tx, c, id)
	switch {
	case cloud.Is(err, cloud.NotFound):
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
func (s *Service) freePort(tx *store.Tx, op string, c cloud.Caller, id string) (*cloud.Port, error) {
	p, err := s.network.PortTx(tx, c, id)
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

// KeptPortTag marks a port that waits for a server of its own name: such a server,
// asked for on the port's network, gets the port and with it the address and the
// MAC. To a port without the tag its name means nothing, as in neutron.
const KeptPortTag = "hearth-for-name"

// keptPort is the port of a network that the project keeps for a server of a name,
// nil for none, or if another NIC of the server has it.
func keptPort(tx *store.Tx, c cloud.Caller, network, name string, others []plug) (*cloud.Port, error) {
	ports, err := tx.Ports.List(store.Where(store.Eq("network_id", network), store.Eq("project_id", c.ProjectID), store.Eq("name", name), store.Eq("device_id", "")))
	for _, p := range ports {
		taken := slices.ContainsFunc(others, func(o plug) bool { return o.port != nil && o.port.ID == p.ID })
		if p.DeviceOwner == "" && len(p.FixedIPs) > 0 && slices.Contains(p.Tags, KeptPortTag) && !taken {
			return &p, err
		}
	}
	return nil, err
}

// groups gives the ids of security groups by their names or ids; none is the
// project's default group.
func (s *Service) groups(tx *store.Tx, op string, c cloud.Caller, names []string) ([]string, error) {
	if len(names) == 0 {
		names = []string{"default"}
	}
	ids, err := s.network.GroupsTx(tx, c, names)
	slices.Sort(ids)
	return slices.Compact(ids), asInvalid(op, err)
}

// plugIn makes or takes the ports of a server.
func (s *Service) plugIn(tx *store.Tx, op string, c cloud.Caller, v *cloud.Server, plugs []plug) error {
	v.PortOrder, v.NICTags = nil, nil
	for _, p := range plugs {
		port, err := s.plugOne(tx, c, v, p)
		if k := cloud.KindOf(err); err != nil && p.port == nil && (k == cloud.Conflict || k == cloud.NotFound) {
			err = cloud.E(op, cloud.Invalid, "%s", cloud.Message(err)) // of the request's networks
		}
		if err != nil {
			return err
		}
		v.PortOrder = append(v.PortOrder, port.ID)
		tagNIC(v, port.ID, p.tag)
	}
	return nil
}

// tagNIC notes the tag of a NIC; "" for none.
func tagNIC(v *cloud.Server, port, tag string) {
	if tag == "" {
		return
	}
	tags := maps.Clone(v.NICTags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags[port] = tag
	v.NICTags = tags
}

func untagNIC(v *cloud.Server, port string) {
	v.NICTags = maps.Clone(v.NICTags)
	delete(v.NICTags, port)
}

// plugOne makes or takes one port.
func (s *Service) plugOne(tx *store.Tx, c cloud.Caller, v *cloud.Server, p plug) (cloud.Port, error) {
	owner := cloud.OwnerComputePrefix + DefaultZone // the zone is set when the server is placed
	if p.port != nil {
		port := *p.port
		port.DeviceID, port.DeviceOwner = v.ID, owner
		if port.DNSName == "" {
			port.DNSName = dnsName(v.Hostname)
		}
		return s.network.BindPortTx(tx, port)
	}
	want := network.PortCreate{NetworkID: p.network.ID, ProjectID: v.ProjectID, DeviceID: v.ID, DeviceOwner: owner, DNSName: dnsName(v.Hostname)}
	if p.network.PortSecurity {
		want.SecurityGroups = &p.groups
		v.SecurityGroups = p.groups
	}
	if p.ip.IsValid() {
		want.FixedIPs = &[]network.IPRequest{{IP: p.ip}}
	}
	return s.network.CreatePortTx(tx, c, want)
}
