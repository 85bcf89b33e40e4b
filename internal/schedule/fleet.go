package schedule

import (
	"sort"
	"strconv"
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
// has no root disk. The flavor's extra specs "resources:VCPU" and its like say
// otherwise (nova/scheduler/utils.py).
func SizeOf(s cloud.Server) Size {
	const gib = 1 << 30
	root := s.Flavor.RootGB
	if root == 0 {
		root = int((max(s.Image.VirtualSize, s.Image.Size, 0) + gib - 1) / gib)
	}
	if s.VolumeBoot {
		root = 0
	}
	size := Size{
		VCPUs: s.Flavor.VCPUs, MemoryMB: s.Flavor.MemoryMB,
		DiskGB: root + s.Flavor.EphemeralGB + (s.Flavor.SwapMB+1023)/1024,
	}
	for class, n := range map[string]*int{cloud.ClassVCPU: &size.VCPUs, cloud.ClassMemory: &size.MemoryMB, cloud.ClassDisk: &size.DiskGB} {
		if say, err := strconv.Atoi(s.Flavor.ExtraSpecs["resources:"+class]); err == nil && say >= 0 {
			*n = say
		}
	}
	return size
}

// GroupOf is the id of the server group that a server was made in; "" for none.
func GroupOf(s cloud.Server) string {
	if hint := s.SchedulerHints["group"]; len(hint) > 0 {
		return hint[0]
	}
	return ""
}

// Host is a host in the snapshot with what is placed on it.
type Host struct {
	cloud.Host
	Up         bool // it reported lately
	Used       Usage
	Aggregates []cloud.Aggregate      // those it is in
	Claimed    Size                   // what clients of placement claimed of it beside the servers
	Said       cloud.ResourceProvider // what clients of placement said about it
}

// Fleet is a snapshot of all hosts, sorted by name, and of where servers are.
type Fleet struct {
	Hosts      []Host
	Where      map[string]string   // server id to host name
	Members    map[string][]string // server group id to the servers in it that are placed
	Ratios     Ratios
	Groups     map[string]cloud.ServerGroup
	Aggregates []cloud.Aggregate
	Providers  []Provider // every host's own, and those that clients made; by Know
}

// Snapshot counts the placed servers into their hosts. A server takes its place
// until its row is gone, also when it is stopped or being deleted.
func Snapshot(hosts []cloud.Host, servers []cloud.Server, ratios Ratios, now time.Time) Fleet {
	f := Fleet{Where: make(map[string]string, len(servers)), Members: map[string][]string{}, Ratios: ratios}
	for _, h := range hosts {
		f.Hosts = append(f.Hosts, Host{Host: h, Up: h.Up(now)})
	}
	sort.Slice(f.Hosts, func(i, j int) bool { return f.Hosts[i].Name < f.Hosts[j].Name })
	for _, s := range servers {
		if s.Node != "" {
			f.Place(s.ID, s.Node, SizeOf(s))
			if g := GroupOf(s); g != "" {
				f.Members[g] = append(f.Members[g], s.ID)
			}
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
	has := f.inventories(h)
	return Size{
		VCPUs: has[cloud.ClassVCPU].Capacity(), MemoryMB: has[cloud.ClassMemory].Capacity(), DiskGB: has[cloud.ClassDisk].Capacity(),
	}
}

// free is what is still to be promised of a host; negative when too much is.
func (f Fleet) free(h Host) Size {
	c := f.Capacity(h)
	return Size{
		c.VCPUs - h.Used.VCPUs - h.Claimed.VCPUs, c.MemoryMB - h.Used.MemoryMB - h.Claimed.MemoryMB, c.DiskGB - h.Used.DiskGB - h.Claimed.DiskGB,
	}
}
