package cloud

import "net/netip"

// VolumeSource is where a node gives a volume's disk to another: by NBD, over TLS with
// the certificates of the nodes.
type VolumeSource struct {
	Node    string         // that keeps the volume, as its certificate names it; "" for none
	Address netip.AddrPort // where it is reached; zero as long as nobody asked the node
	Export  string         // the name of the disk there
}

// ExportSpec is a disk that a node is to give to others.
type ExportSpec struct {
	Disk     string   // VolumeDisk, in its pool
	Nodes    []string // names of those that may open it, sorted
	ReadOnly bool
}

// ExportStatus is what a node tells of such a disk.
type ExportStatus struct {
	ExportSpec
	Source VolumeSource // but for the node's name, which the head knows
	Asked  int64        // how often it was asked for: WithdrawVolume takes back what nobody asked for since
	Error  string       // why it cannot be opened now, though it is tried again; "" when it can
}

// Exports tells whether a volume of one of two hosts can be a disk of a guest of the
// other.
func Exports(a, b Host) bool { return a.Seen.Exports && b.Seen.Exports }
