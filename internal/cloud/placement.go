package cloud

import "time"

// The resource classes that servers take of their hosts.
const (
	ClassVCPU   = "VCPU"
	ClassMemory = "MEMORY_MB"
	ClassDisk   = "DISK_GB"
)

// Inventory is how much of a class of resource a provider has, in placement's
// terms: (Total - Reserved) × Ratio may be claimed, by no less than MinUnit, no
// more than MaxUnit, in steps of StepSize.
type Inventory struct {
	Total, Reserved            int
	MinUnit, MaxUnit, StepSize int
	Ratio                      float64
}

// Capacity is what may be claimed in all.
func (i Inventory) Capacity() int { return int(float64(max(0, i.Total-i.Reserved)) * i.Ratio) }

// ResourceProvider is something resources are claimed from. Every host is one
// without a row of its own until a client says something about it: then the row,
// under the host's id, has what the client said.
type ResourceProvider struct {
	ID, Name, ParentID   string
	Generation           int64 // counts the changes that clients made
	Inventories          map[string]Inventory
	Traits, Aggregates   []string
	CreatedAt, UpdatedAt time.Time
}

// Claim is an amount of a class of resource of one provider.
type Claim struct {
	ProviderID, Class string
	Amount            int
}

// Consumer is one that clients of placement wrote claims for. What servers take
// of their hosts is not among these: it is counted from the servers.
type Consumer struct {
	ID, ProjectID, UserID, Type string
	Generation                  int64
	Claims                      []Claim
	CreatedAt, UpdatedAt        time.Time
}

// PlacementName is a resource class or a trait that a client made: its name
// begins with CUSTOM_.
type PlacementName struct {
	Kind, Name string // Kind is class or trait
	CreatedAt  time.Time
}

// Key is the identity of a name.
func (n PlacementName) Key() string { return n.Kind + "/" + n.Name }
