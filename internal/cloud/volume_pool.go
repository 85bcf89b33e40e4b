package cloud

import (
	"cmp"
	"strings"
)

// The words of the pool that every node has unless it is given others: a directory
// of its own.
const (
	VolumeVendor = "Open Source"
	VolumePool   = "file"
)

// PoolStatus is what a node reports of a place where it keeps volumes. Cinder would
// call it a backend that has one pool, both of that name: host@name#name.
type PoolStatus struct {
	Name, Protocol  string // Protocol is file, lvm, nfs …
	Thin            bool   // volumes take what was written to them
	TotalGB, FreeGB int
	Fault           string // why it cannot be used at present; "" for none
}

// Pools are where a host keeps volumes; of one that does not tell, its own disk.
func (h Host) Pools() []PoolStatus {
	if len(h.Seen.Pools) > 0 {
		return h.Seen.Pools
	}
	return []PoolStatus{{Name: VolumePool, Protocol: "file", Thin: true, TotalGB: h.Seen.DiskGB, FreeGB: h.Seen.DiskFreeGB}}
}

// Pool finds a pool of a host by its name; "" is VolumePool.
func (h Host) Pool(name string) (PoolStatus, bool) {
	for _, p := range h.Pools() {
		if p.Name == cmp.Or(name, VolumePool) {
			return p, true
		}
	}
	return PoolStatus{}, false
}

// PoolDisabled tells whether an operator wants no new volumes in a pool, and why.
func (h Host) PoolDisabled(name string) (disabled bool, reason string) {
	if name == VolumePool {
		return h.VolumesDisabled, h.VolumesReason
	}
	reason, disabled = h.PoolsDisabled[name]
	return disabled, reason
}

// VolumeBackend is the name of a node's backend, as cinder writes it.
func VolumeBackend(node, pool string) string { return node + "@" + cmp.Or(pool, VolumePool) }

// VolumeHost is the name of a node's pool, as cinder writes it.
func VolumeHost(node, pool string) string {
	return VolumeBackend(node, pool) + "#" + cmp.Or(pool, VolumePool)
}

// ParseVolumeHost takes a name such as host@backend#pool apart; pool is "" where
// the name has none.
func ParseVolumeHost(name string) (node, pool string) {
	node, rest, _ := strings.Cut(name, "@")
	backend, pool, _ := strings.Cut(rest, "#")
	return node, cmp.Or(pool, backend)
}

// Capabilities are the words that volume types' extra specs are held against.
func (p PoolStatus) Capabilities() map[string]string {
	said := map[bool]string{true: "True", false: "False"}
	return map[string]string{
		"volume_backend_name": p.Name, "storage_protocol": p.Protocol, "vendor_name": VolumeVendor, "pool_name": p.Name,
		"thin_provisioning_support": said[p.Thin], "thick_provisioning_support": said[!p.Thin], "multiattach": "True",
		"consistent_group_snapshot_enabled": "True", "QoS_support": "False", "replication_enabled": "False",
	}
}

// VolumeMove is the way of a volume to another pool of its node.
type VolumeMove struct {
	Pool   string
	TypeID string // the type that it is given with that; "" for its own
}

// The statuses of volumes on their way, and how it went.
const (
	VolumeRetyping         = "retyping"
	VolumeMigrationRunning = "migrating"
	VolumeMigrationSuccess = "success"
	VolumeMigrationError   = "error"
)

// status is that of a volume on its way: nobody may use it until it is there.
func (m VolumeMove) status() string {
	if m.TypeID != "" {
		return VolumeRetyping
	}
	return VolumeMaintenance
}

// DiskIn is the name of a volume's or snapshot's disk in a pool of its node.
func DiskIn(disk, pool string) string {
	if pool == "" || pool == VolumePool {
		return disk
	}
	return disk + "@" + pool
}

// DiskPool takes the name of a disk apart; pool is "" for the node's own disk.
func DiskPool(disk string) (name, pool string) {
	name, pool, _ = strings.Cut(disk, "@")
	return name, pool
}

// VolumeOf is the id of the volume that a disk is of; false for another disk.
func VolumeOf(disk string) (id string, ok bool) {
	name, _ := DiskPool(disk)
	return strings.CutPrefix(name, VolumeDisk(""))
}

// Disk is the name of the volume's disk on its node.
func (v Volume) Disk() string { return DiskIn(VolumeDisk(v.ID), v.Pool) }

// Disk is the name of the snapshot's disk on its node.
func (s Snapshot) Disk() string { return DiskIn(SnapshotDisk(s.ID), s.Pool) }

// Disks are all that the volume may have on its node: one more while it moves.
func (v Volume) Disks() []string {
	disks := []string{v.Disk()}
	if v.Move != nil {
		disks = append(disks, DiskIn(VolumeDisk(v.ID), v.Move.Pool))
	}
	if v.Stale != "" {
		disks = append(disks, DiskIn(VolumeDisk(v.ID), v.Stale))
	}
	return disks
}
