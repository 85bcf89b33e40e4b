package schedule

import (
	"sort"
	"time"

	"hearth/internal/cloud"
)

// Ratios say how far a resource may be promised beyond what there is. Zero
// values are 1.
type Ratios struct{ CPU, Memory, Disk float64 }

// DefaultRatios are nova's initial allocation ratios: 4 virtual CPUs to a real
// one (nova.conf initial_cpu_allocation_ratio), memory and disk as they are.
func DefaultRatios() Ratios { return Ratios{CPU: 4, Memory: 1, Disk: 1} }

// Usage is what servers take of a host.
type Usage struct{ VCPUs, MemoryMB, DiskGB, Servers int }

// add counts one server of a size.
func (u *Usage) add(s Size) {
	u.VCPUs += s.VCPUs
	u.MemoryMB += s.MemoryMB
	u.DiskGB += s.DiskGB
	u.Servers++
}

// Size is what one server takes of its host.
type Size struct{ VCPUs, MemoryMB, DiskGB int }

// SizeOf is what a server takes: its flavor, and where that leaves the root disk
// to the image (root 0), the image's size rounded up. One that boots from a volume
// has no root disk.
func SizeOf(s cloud.Server) Size {
	const gib = 1 << 30
	root := s.Flavor.RootGB
	if root == 0 {
		root = int((max(s.Image.VirtualSize, s.Image.Size, 0) + gib - 1) / gib)
	}
	if s.VolumeBoot {
		root = 0
	}
	return Size{
		VCPUs: s.Flavor.VCPUs, MemoryMB: s.Flavor.MemoryMB,
		DiskGB: root + s.Flavor.EphemeralGB + (s.Flavor.SwapMB+1023)/1024,
	}
}

// Host is a host in the snapshot with what is placed on it.
type Host struct {
	cloud.Host
	Up   bool // it reported lately
	Used Usage
}

// Fleet is a snapshot of all hosts, sorted by name, and of where servers are.
type Fleet struct {
	Hosts  []Host
	Where  map[string]string // server id to host name
	Ratios Ratios
}

// Snapshot counts the placed servers into their hosts. A server takes its place
// until its row is gone, also when it is stopped or being deleted.
func Snapshot(hosts []cloud.Host, servers []cloud.Server, ratios Ratios, now time.Time) Fleet {
	f := Fleet{Where: make(map[string]string, len(servers)), Ratios: ratios}
	for _, h := range hosts {
		f.Hosts = append(f.Hosts, Host{Host: h, Up: h.Alive(now)})
	}
	sort.Slice(f.Hosts, func(i, j int) bool { return f.Hosts[i].Name < f.Hosts[j].Name })
	for _, s := range servers {
		if s.Node != "" {
			f.Place(s.ID, s.Node, SizeOf(s))
		}
	}
	return f
}

// Place counts a server into a host of the snapshot, so that the next plan from
// it knows of this one.
func (f *Fleet) Place(serverID, host string, size Size) {
	f.Where[serverID] = host
	for i := range f.Hosts {
		if f.Hosts[i].Name == host {
			f.Hosts[i].Used.add(size)
		}
	}
}

// Capacity is what may be promised of a host in all.
func (f Fleet) Capacity(h Host) Size {
	times := func(n int, ratio float64) int {
		if ratio == 0 {
			ratio = 1
		}
		return int(float64(n) * ratio)
	}
	return Size{
		VCPUs:    times(h.Seen.VCPUs, f.Ratios.CPU),
		MemoryMB: times(max(0, h.Seen.MemoryMB-h.Seen.ReservedMB), f.Ratios.Memory),
		DiskGB:   times(h.Seen.DiskGB, f.Ratios.Disk),
	}
}

// free is what is still to be promised of a host; negative when too much is.
func (f Fleet) free(h Host) Size {
	c := f.Capacity(h)
	return Size{c.VCPUs - h.Used.VCPUs, c.MemoryMB - h.Used.MemoryMB, c.DiskGB - h.Used.DiskGB}
}
