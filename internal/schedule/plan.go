package schedule

import (
	"slices"
	"strings"

	"hearth/internal/cloud"
)

// Request is what a server needs of a host.
type Request struct {
	Size
	ServerID         string // its own, which does not count among the members of its group
	ProjectID        string
	Group            string            // id of the server group it is in; "" for none
	Specs            map[string]string // the flavor's extra specs
	NearIP, NearBits string            // an address that the host's is to be near, and how near: "10.0.0.5", "/24"
	Query            string            // a condition on the host, in nova's JSON
	AvailabilityZone string            // "" for any
	Host             string            // a forced host; "" for any
	VolumesOn        []string          // hosts that have its volumes
	VolumesStay      []string          // those of them that have one which they give to no other host
	SameHost         []string          // ids of servers it must be beside
	DifferentHost    []string          // ids of servers it must not be beside
	Exclude          []string          // hosts that have been tried
}

// Placement is where a server goes, and what it claims beside processors, memory
// and disk of the host.
type Placement struct {
	Host, AvailabilityZone string
	Claims                 []cloud.Claim
}

// Put writes the placement into the server.
func (p Placement) Put(s *cloud.Server) { s.Node, s.Claims = p.Host, p.Claims }

// RequestOf is what a server asks for: its size, its zone or host, and its
// scheduler hints.
func RequestOf(s cloud.Server) Request {
	first := func(hint string) string {
		if v := s.SchedulerHints[hint]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	return Request{
		Size: SizeOf(s), ServerID: s.ID, ProjectID: s.ProjectID, Group: GroupOf(s), Specs: s.Flavor.ExtraSpecs,
		AvailabilityZone: s.AvailabilityZone, Host: s.ForcedHost,
		SameHost: s.SchedulerHints["same_host"], DifferentHost: s.SchedulerHints["different_host"],
		NearIP: first("build_near_host_ip"), NearBits: first("cidr"), Query: first("query"),
	}
}

// Plan chooses the host with the most free memory, as a share of what it has,
// among those that fit; of equals the one with fewer servers, then the first by
// name. Before that come the hosts that have a volume of the server's, and a soft
// policy of its group. When none fits the
// error is NoCapacity and says why for each host.
func Plan(f Fleet, r Request) (Placement, error) {
	const op = "schedule.Plan"
	var best *Host
	var reasons []string
	for i := range f.Hosts {
		h := &f.Hosts[i]
		if why := f.refuse(*h, r); why != "" {
			reasons = append(reasons, h.Name+" "+why)
		} else if best == nil || f.better(*h, *best, r) {
			best = h
		}
	}
	switch {
	case best != nil:
		claims, _ := f.claims(*best, r) // it was not refused for them
		return Placement{Host: best.Name, AvailabilityZone: best.AvailabilityZone, Claims: claims}, nil
	case len(f.Hosts) == 0:
		return Placement{}, cloud.E(op, cloud.NoCapacity, "no host fits: there are no hosts; start a node, or see 'hearth doctor'")
	case r.Host != "" && !slices.ContainsFunc(f.Hosts, func(h Host) bool { return h.Name == r.Host }):
		return Placement{}, cloud.E(op, cloud.NoCapacity, "no host fits: there is no host %s", r.Host)
	}
	return Placement{}, cloud.E(op, cloud.NoCapacity, "no host fits: %s", strings.Join(reasons, ", "))
}

// better spreads servers: a is better than b when more of it stays free.
func (f Fleet) better(a, b Host, r Request) bool {
	if la, lb := slices.Contains(r.VolumesOn, a.Name), slices.Contains(r.VolumesOn, b.Name); la != lb {
		return la
	}
	if soft := f.softly(a, b, r); soft != 0 {
		return soft > 0
	}
	fa, fb := f.free(a), f.free(b)
	ca, cb := f.Capacity(a), f.Capacity(b)
	// Compare shares by cross-multiplying: exact, and safe for an empty host.
	left, right := int64(fa.MemoryMB)*int64(cb.MemoryMB), int64(fb.MemoryMB)*int64(ca.MemoryMB)
	if left != right {
		return left > right
	}
	if a.Used.Servers != b.Used.Servers {
		return a.Used.Servers < b.Used.Servers
	}
	return a.Name < b.Name
}

// MaxFits is where Fits stops counting.
const MaxFits = 1000

// Fits counts how many servers that ask for the same could be placed one after
// the other, and says why there is no room for one more: "" at MaxFits.
func Fits(f Fleet, r Request) (n int, reason string) {
	f.Hosts, f.Where = slices.Clone(f.Hosts), map[string]string{}
	for ; n < MaxFits; n++ {
		p, err := Plan(f, r)
		if err != nil {
			return n, cloud.Message(err)
		}
		f.Place("", p.Host, r.Size)
	}
	return n, ""
}
