package compute

import (
	"net/netip"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Detail is a server with what belongs to it in other tables.
type Detail struct {
	cloud.Server
	Ports    []Interface // in the order of the guest's NICs
	Groups   []string    // names of the security groups that the ports wear, sorted
	Zone     string      // of its host; before it is placed the one asked for
	HostSeen string      // UP, DOWN, MAINTENANCE; "" while it has none
}

// Interface is a NIC of a server.
type Interface struct {
	cloud.Port
	Network  string // its network's name
	Floating []FloatingAddress
}

// FloatingAddress is a floating IP mapped to one of a port's addresses.
type FloatingAddress struct{ IP, Fixed netip.Addr }

// detailsTx reads what belongs to servers: one query a table, however many
// servers there are.
func (s *Service) detailsTx(tx *store.Tx, servers []cloud.Server) ([]Detail, error) {
	if len(servers) == 0 {
		return nil, nil
	}
	ids := make([]string, len(servers))
	for i := range servers {
		ids[i] = servers[i].ID
	}
	b, err := readBelongings(tx, ids)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	out := make([]Detail, len(servers))
	for i, v := range servers {
		out[i] = b.detail(v, now)
	}
	return out, nil
}

// belongings are the rows of other tables that belong to some servers.
type belongings struct {
	ports    map[string][]cloud.Port // by server id
	networks map[string]string       // id to name
	groups   map[string]string       // id to name
	floating map[string][]FloatingAddress
	hosts    map[string]cloud.Host
}

func readBelongings(tx *store.Tx, servers []string) (*belongings, error) {
	b := &belongings{
		ports: map[string][]cloud.Port{}, networks: map[string]string{}, groups: map[string]string{},
		floating: map[string][]FloatingAddress{}, hosts: map[string]cloud.Host{},
	}
	ports, err := tx.Ports.List(store.Query{Where: []store.Cond{store.In("device_id", servers...)}, Order: []store.Order{{Column: "created_at"}}})
	if err != nil {
		return nil, err
	}
	var portIDs []string
	for _, p := range ports {
		b.ports[p.DeviceID] = append(b.ports[p.DeviceID], p)
		portIDs = append(portIDs, p.ID)
		b.networks[p.NetworkID] = ""
		for _, g := range p.SecurityGroups {
			b.groups[g] = ""
		}
	}
	if len(ports) > 0 {
		err = b.readNetwork(tx, portIDs)
	}
	if err != nil {
		return nil, err
	}
	hosts, err := tx.Hosts.List(store.Query{})
	for _, h := range hosts {
		b.hosts[h.Name] = h
	}
	return b, err
}

// readNetwork reads the names and floating IPs that ports lead to.
func (b *belongings) readNetwork(tx *store.Tx, ports []string) error {
	networks, err := tx.Networks.List(store.Where(store.In("id", keys(b.networks)...)))
	if err != nil {
		return err
	}
	for _, n := range networks {
		b.networks[n.ID] = n.Name
	}
	groups, err := tx.SecurityGroups.List(store.Where(store.In("id", keys(b.groups)...)))
	if err != nil {
		return err
	}
	for _, g := range groups {
		b.groups[g.ID] = g.Name
	}
	floating, err := tx.FloatingIPs.List(store.Where(store.In("port_id", ports...)))
	for _, f := range floating {
		b.floating[f.PortID] = append(b.floating[f.PortID], FloatingAddress{f.IP, f.FixedIP})
	}
	return err
}

// detail puts one server together with what belongs to it.
func (b *belongings) detail(v cloud.Server, now time.Time) Detail {
	d := Detail{Server: v, Zone: v.AvailabilityZone}
	for _, p := range b.ports[v.ID] {
		d.Ports = append(d.Ports, Interface{Port: p, Network: b.networks[p.NetworkID], Floating: b.floating[p.ID]})
		for _, g := range p.SecurityGroups {
			if name := b.groups[g]; name != "" && !slices.Contains(d.Groups, name) {
				d.Groups = append(d.Groups, name)
			}
		}
	}
	if len(v.PortOrder) > 1 {
		slices.SortStableFunc(d.Ports, func(x, y Interface) int {
			return place(v.PortOrder, x.ID) - place(v.PortOrder, y.ID)
		})
	}
	slices.Sort(d.Groups)
	if h, ok := b.hosts[v.Node]; ok {
		d.Zone, d.HostSeen = h.AvailabilityZone, hostSeen(h, now)
	}
	return d
}

// place is where a port stands in the order; the unknown come last.
func place(order []string, id string) int {
	if i := slices.Index(order, id); i >= 0 {
		return i
	}
	return len(order)
}

// hostSeen is nova's host_status.
func hostSeen(h cloud.Host, now time.Time) string {
	switch {
	case h.Disabled || h.Draining:
		return "MAINTENANCE"
	case !h.Alive(now):
		return "DOWN"
	}
	return "UP"
}

func keys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}
