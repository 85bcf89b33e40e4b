package schedule

import (
	"slices"
	"strings"

	"hearth/internal/cloud"
)

// Request is what a server needs of a host.
type Request struct {
	Size
	AvailabilityZone string   // "" for any
	Host             string   // a forced host; "" for any
	VolumesOn        []string // hosts that have its volumes
	SameHost         []string // ids of servers it must be beside
	DifferentHost    []string // ids of servers it must not be beside
	Exclude          []string // hosts that have been tried
}

// Placement is where a server goes.
type Placement struct{ Host, AvailabilityZone string }

// RequestOf is what a server asks for: its size, its zone or host, and its
// scheduler hints.
func RequestOf(s cloud.Server) Request {
	return Request{
		Size: SizeOf(s), AvailabilityZone: s.AvailabilityZone, Host: s.ForcedHost,
		SameHost: s.SchedulerHints["same_host"], DifferentHost: s.SchedulerHints["different_host"],
	}
}

// Plan chooses the host with the most free memory, as a share of what it has,
// among those that fit; of equals the one with fewer servers, then the first by
// name. When none fits the error is NoCapacity and says why for each host.
func Plan(f Fleet, r Request) (Placement, error) {
	const op = "schedule.Plan"
	var best *Host
	var reasons []string
	for i := range f.Hosts {
		h := &f.Hosts[i]
		if why := f.refuse(*h, r); why != "" {
			reasons = append(reasons, h.Name+" "+why)
		} else if best == nil || f.better(*h, *best) {
			best = h
		}
	}
	switch {
	case best != nil:
		return Placement{Host: best.Name, AvailabilityZone: best.AvailabilityZone}, nil
	case len(f.Hosts) == 0:
		return Placement{}, cloud.E(op, cloud.NoCapacity, "no host fits: there are no hosts; start a node, or see 'hearth doctor'")
	case r.Host != "" && !slices.ContainsFunc(f.Hosts, func(h Host) bool { return h.Name == r.Host }):
		return Placement{}, cloud.E(op, cloud.NoCapacity, "no host fits: there is no host %s", r.Host)
	}
	return Placement{}, cloud.E(op, cloud.NoCapacity, "no host fits: %s", strings.Join(reasons, ", "))
}

// better spreads servers: a is better than b when more of it stays free.
func (f Fleet) better(a, b Host) bool {
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
