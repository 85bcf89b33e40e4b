package cloud

import (
	"net/netip"
	"time"
)

// OwnerSubPort is the device owner of a port that is a trunk's.
const OwnerSubPort = "trunk:subport"

// Statuses of a Trunk.
const (
	TrunkActive = "ACTIVE" // the guest is there, and all its sub-ports are wired
	TrunkBuild  = "BUILD"  // the guest is there, and some of its sub-ports are not wired yet
	TrunkDown   = "DOWN"   // there is no guest
)

// Trunk carries several networks over one port: what the guest sends without a
// VLAN tag is its parent port's, what it sends with one is a sub-port's.
type Trunk struct {
	ID, ProjectID, Name, Description string
	PortID                           string // the parent's
	AdminStateUp                     bool   // while it is not, the trunk cannot be changed
	Tags                             []string
	CreatedAt, UpdatedAt             time.Time
	Revision                         int
}

// Status follows from what the nodes say of the parent port and of the sub-ports.
func (t Trunk) Status(parent Port, subs []Port) string {
	if parent.Host == "" || !parent.Up {
		return TrunkDown
	}
	for _, p := range subs {
		if !p.Up {
			return TrunkBuild
		}
	}
	return TrunkActive
}

// SubPort is a port that is reached by a trunk, with a VLAN tag. A port is one
// trunk's at most: its id is the key.
type SubPort struct {
	PortID, TrunkID string
	VLAN            int // 1 to 4094
	CreatedAt       time.Time
}

// MeteringLabel is a name under which routers count what they forward to and
// from their external networks.
type MeteringLabel struct {
	ID, ProjectID, Name, Description string
	Shared                           bool // counted on every project's routers
	CreatedAt                        time.Time
}

// MeteringRule says what counts under a label, or with Excluded what does not. The
// zero prefix is any address.
type MeteringRule struct {
	ID, LabelID         string
	Direction           string // Ingress: from the external network; Egress: to it
	Excluded            bool
	Remote              netip.Prefix // the inner address, whatever its name says: neutron has it so
	Source, Destination netip.Prefix
	CreatedAt           time.Time
}
