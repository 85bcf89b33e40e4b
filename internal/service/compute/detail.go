package compute

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/schedule"
	"hearth/internal/service/placement"
	"hearth/internal/store"
)

// Detail is a server with what belongs to it in other tables.
type Detail struct {
	cloud.Server
	Ports    []Interface              // in the order of the guest's NICs
	Groups   []string                 // names of the security groups that the ports wear, sorted
	Zone     string                   // of its host; before it is placed the one asked for
	HostSeen string                   // UP, DOWN, MAINTENANCE; "" while it has none
	Volumes  []cloud.VolumeAttachment // the boot volume's first, then as they were made

	ServerGroup string // id of the server group that it is in; "" for none
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
func (s *Service) detailsTx(tx *store.Tx, servers []*cloud.Server) ([]Detail, error) {
	if len(servers) == 0 {
		return nil, nil
	}
	b, err := readBelongings(tx, servers)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	out := make([]Detail, len(servers))
	for i := range servers { // by their places: a server is a kilobyte
		out[i].Server = *servers[i]
		b.complete(&out[i], now)
	}
	return out, nil
}

// belongings are the rows of other tables that belong to some servers.
type belongings struct {
	ports    map[string][]*cloud.Port // by server id
	networks map[string]string        // id to name
	groups   map[string]string        // id to name
	floating map[string][]FloatingAddress
	hosts    map[string]cloud.Host
	volumes  map[string][]cloud.VolumeAttachment // by server id
	together map[string]bool                     // ids of the server groups that there are
}

// manyServers is from how many on it may be cheaper to read all ports of a project
// than those of a list of servers.
const manyServers = 50

// scope says how to find what belongs to servers: by the project, when they are
// most of it, or by their ids.
type scope struct {
	project string // "" for by the ids
	ids     []string
}

// scopeOf looks at how many other servers their project has.
func scopeOf(tx *store.Tx, servers []*cloud.Server) (s scope, err error) {
	all := 0
	if len(servers) >= manyServers && !slices.ContainsFunc(servers, func(v *cloud.Server) bool { return v.ProjectID != servers[0].ProjectID }) {
		if all, err = tx.Servers.Count(store.Eq("project_id", servers[0].ProjectID)); err != nil {
			return s, err
		}
	}
	if all > 0 && all <= 3*len(servers) {
		return scope{project: servers[0].ProjectID}, nil
	}
	for _, v := range servers {
		s.ids = append(s.ids, v.ID)
	}
	return s, nil
}

// of is the query for the rows with a column of servers' ids.
func (s scope) of(column string) store.Cond {
	if s.project != "" {
		return store.Eq("project_id", s.project)
	}
	return store.In(column, s.ids...)
}

// ports is the query for the ports of the servers, and floating that for the
// floating IPs of those ports.
func (s scope) ports() []store.Cond {
	if s.project != "" {
		return []store.Cond{s.of(""), {Column: "device_owner", Op: store.OpPrefix, Value: cloud.OwnerComputePrefix}}
	}
	return []store.Cond{s.of("device_id")}
}

func (s scope) floating(ports []string) []store.Cond {
	if s.project != "" {
		return []store.Cond{s.of(""), store.Ne("port_id", "")}
	}
	return []store.Cond{store.In("port_id", ports...)}
}

func readBelongings(tx *store.Tx, servers []*cloud.Server) (*belongings, error) {
	b := &belongings{
		ports: map[string][]*cloud.Port{}, networks: map[string]string{}, groups: map[string]string{},
		floating: map[string][]FloatingAddress{}, hosts: map[string]cloud.Host{},
		volumes: map[string][]cloud.VolumeAttachment{},
	}
	within, err := scopeOf(tx, servers)
	if err != nil {
		return nil, err
	}
	ports, err := tx.Ports.Shared(store.Where(within.ports()...))
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
		err = b.readNetwork(tx, within.floating(portIDs))
	}
	if err != nil {
		return nil, err
	}
	if err := b.readVolumes(tx, within); err != nil {
		return nil, err
	}
	if b.together, err = groupsOf(tx, servers); err != nil {
		return nil, err
	}
	hosts, err := placement.HostsTx(tx)
	for _, h := range hosts {
		b.hosts[h.Name] = h
	}
	return b, err
}

// readVolumes reads the attachments of servers.
func (b *belongings) readVolumes(tx *store.Tx, within scope) error {
	list, err := tx.VolumeAttachments.Shared(store.Where(within.of("server_id")))
	for _, a := range list {
		b.volumes[a.ServerID] = append(b.volumes[a.ServerID], *a)
	}
	return err
}

// groupsOf tells which of the server groups that servers were made in are there
// still.
func groupsOf(tx *store.Tx, servers []*cloud.Server) (map[string]bool, error) {
	ids := map[string]string{}
	for _, v := range servers {
		if g := schedule.GroupOf(*v); g != "" {
			ids[g] = ""
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	groups, err := tx.ServerGroups.Shared(store.Where(store.In("id", keys(ids)...)))
	there := map[string]bool{}
	for _, g := range groups {
		there[g.ID] = true
	}
	return there, err
}

// readNetwork reads the names and floating IPs that ports lead to.
func (b *belongings) readNetwork(tx *store.Tx, floatingConds []store.Cond) error {
	networks, err := tx.Networks.Shared(store.Where(store.In("id", keys(b.networks)...)))
	if err != nil {
		return err
	}
	for _, n := range networks {
		b.networks[n.ID] = n.Name
	}
	groups, err := tx.SecurityGroups.Shared(store.Where(store.In("id", keys(b.groups)...)))
	if err != nil {
		return err
	}
	for _, g := range groups {
		b.groups[g.ID] = g.Name
	}
	floating, err := tx.FloatingIPs.Shared(store.Where(floatingConds...))
	for _, f := range floating {
		b.floating[f.PortID] = append(b.floating[f.PortID], FloatingAddress{f.IP, f.FixedIP})
	}
	return err
}

// complete puts a server together with what belongs to it.
func (b *belongings) complete(d *Detail, now time.Time) {
	d.Zone, d.Volumes = d.AvailabilityZone, serverVolumes(b.volumes[d.ID])
	if g := schedule.GroupOf(d.Server); b.together[g] {
		d.ServerGroup = g
	}
	for _, p := range b.ports[d.ID] {
		d.Ports = append(d.Ports, Interface{Port: *p, Network: b.networks[p.NetworkID], Floating: b.floating[p.ID]})
		for _, g := range p.SecurityGroups {
			if name := b.groups[g]; name != "" && !slices.Contains(d.Groups, name) {
				d.Groups = append(d.Groups, name)
			}
		}
	}
	if len(d.Ports) > 1 { // as they were asked for; those plugged in later, by age
		slices.SortStableFunc(d.Ports, func(x, y Interface) int {
			return cmp.Or(place(d.PortOrder, x.ID)-place(d.PortOrder, y.ID), x.CreatedAt.Compare(y.CreatedAt))
		})
	}
	slices.Sort(d.Groups)
	if h, ok := b.hosts[d.Node]; ok {
		d.Zone, d.HostSeen = h.AvailabilityZone, hostSeen(h, now)
	}
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
	case !h.Up(now):
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
