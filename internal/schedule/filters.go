package schedule

import (
	"fmt"
	"slices"

	"hearth/internal/cloud"
)

// A filter says why a host does not do, or "" when it does.
type filter func(f Fleet, h Host, r Request) string

// filters are asked in order; the first refusal is a host's reason. What an
// operator asked for comes before what is free.
var filters = []filter{forced, volumes, excluded, enabled, up, zone, tenancy, beside, group, near, query, specs, cpus, memory, disk, resources}

// refuse is the first filter's reason against a host.
func (f Fleet) refuse(h Host, r Request) string {
	for _, filter := range filters {
		if why := filter(f, h, r); why != "" {
			return why
		}
	}
	return ""
}

func forced(_ Fleet, h Host, r Request) string {
	if r.Host != "" && r.Host != h.Name {
		return "is not the host asked for"
	}
	return ""
}

// A volume is where its node keeps it: the guest goes there, or where that node gives
// it to.
func volumes(f Fleet, h Host, r Request) string {
	for _, host := range r.VolumesOn {
		given := slices.ContainsFunc(f.Hosts, func(o Host) bool { return o.Name == host && cloud.Exports(o.Host, h.Host) })
		if host != h.Name && (!given || slices.Contains(r.VolumesStay, host)) {
			return "does not have its volume (which is on " + host + ")"
		}
	}
	return ""
}

func excluded(_ Fleet, h Host, r Request) string {
	if slices.Contains(r.Exclude, h.Name) {
		return "was tried and failed"
	}
	return ""
}

func enabled(_ Fleet, h Host, _ Request) string {
	switch {
	case h.Draining:
		return "is draining"
	case h.Disabled && h.DisabledReason != "":
		return "is disabled (" + h.DisabledReason + ")"
	case h.Disabled:
		return "is disabled"
	}
	return ""
}

func up(_ Fleet, h Host, _ Request) string {
	switch {
	case h.ForcedDown:
		return "is forced down"
	case !h.Up:
		return "has not reported for more than a minute"
	}
	return ""
}

func zone(_ Fleet, h Host, r Request) string {
	if r.AvailabilityZone != "" && r.AvailabilityZone != h.AvailabilityZone {
		return fmt.Sprintf("is in availability zone %s, not %s", h.AvailabilityZone, r.AvailabilityZone)
	}
	return ""
}

func beside(f Fleet, h Host, r Request) string {
	for _, id := range r.DifferentHost {
		if f.Where[id] == h.Name {
			return "has server " + id + ", which it must not be beside"
		}
	}
	if len(r.SameHost) == 0 {
		return ""
	}
	for _, id := range r.SameHost {
		if f.Where[id] == h.Name {
			return ""
		}
	}
	return "has none of the servers it must be beside"
}

// A flavor that asks for more virtual CPUs than a host has real ones would run
// badly on any: the ratio is for several servers together.
func cpus(f Fleet, h Host, r Request) string {
	if r.VCPUs > h.Seen.VCPUs {
		return fmt.Sprintf("lacks %d CPUs (has %d)", r.VCPUs, h.Seen.VCPUs)
	}
	return lacks(r.VCPUs, f.free(h).VCPUs, "virtual CPUs")
}

func memory(f Fleet, h Host, r Request) string {
	return lacks(r.MemoryMB, f.free(h).MemoryMB, "MB of memory")
}

func disk(f Fleet, h Host, r Request) string { return lacks(r.DiskGB, f.free(h).DiskGB, "GB of disk") }

// lacks compares a need with what is free.
func lacks(need, free int, what string) string {
	if need <= free {
		return ""
	}
	return fmt.Sprintf("lacks %d %s (has %d)", need, what, max(0, free))
}
