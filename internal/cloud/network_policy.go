package cloud

import (
	"net/netip"
	"slices"
	"time"
)

// AddressScope is a plan of addresses in which none is twice. Routers route
// between subnets of one scope only.
type AddressScope struct {
	ID, ProjectID, Name  string
	IPVersion            int
	Shared               bool
	CreatedAt, UpdatedAt time.Time
}

// SubnetPool is a block of addresses that subnets are cut from.
type SubnetPool struct {
	ID, ProjectID, Name, Description    string
	IPVersion                           int
	Prefixes                            []netip.Prefix
	DefaultPrefix, MinPrefix, MaxPrefix int // lengths in bits; a longer one is a smaller subnet
	DefaultQuota                        int // of a project: IPv4 addresses, or /64s; 0 for none
	AddressScopeID                      string
	Shared, IsDefault                   bool
	Tags                                []string
	CreatedAt, UpdatedAt                time.Time
	Revision                            int
}

// The actions that an RBACPolicy allows.
const (
	AccessShared   = "access_as_shared"
	AccessExternal = "access_as_external"
)

// EveryProject is the target of a policy for all projects.
const EveryProject = "*"

// RBACPolicy lets a project use another's object.
type RBACPolicy struct {
	ID, ProjectID        string
	ObjectType, ObjectID string // network, qos_policy, security_group, subnetpool, address_scope
	Action, Target       string // Target is a project or EveryProject
	CreatedAt            time.Time
}

// The directions of a bandwidth limit, seen from the port's guest.
const (
	Egress  = "egress"
	Ingress = "ingress"
)

// QoSPolicy bounds what the ports that have it send and receive.
type QoSPolicy struct {
	ID, ProjectID, Name, Description string
	Shared, IsDefault                bool
	Limits                           []BandwidthLimit
	Marks                            []DSCPMark // one at most
	Tags                             []string
	CreatedAt, UpdatedAt             time.Time
	Revision                         int
}

// BandwidthLimit bounds one direction of a port.
type BandwidthLimit struct {
	ID        string
	Direction string // Egress or Ingress
	Kbps      int    // 1000 bits a second each
	BurstKb   int    // kilobits that may go at once; 0 for a part of Kbps
}

// DSCPMark is the differentiated services code point (RFC 2474) that what a port
// sends is marked with.
type DSCPMark struct {
	ID   string
	Mark int // 0 to 63
}

// Limit gives the policy's limit of a direction.
func (p QoSPolicy) Limit(direction string) (BandwidthLimit, bool) {
	i := slices.IndexFunc(p.Limits, func(l BandwidthLimit) bool { return l.Direction == direction })
	if i < 0 {
		return BandwidthLimit{}, false
	}
	return p.Limits[i], true
}

// AddressGroup is addresses that security group rules can name as one.
type AddressGroup struct {
	ID, ProjectID, Name, Description string
	Addresses                        []netip.Prefix
	Shared                           bool
	CreatedAt, UpdatedAt             time.Time
	Revision                         int
}

// PortForwarding maps a port of a floating IP to one of an inner address.
type PortForwarding struct {
	ID, Description        string
	FloatingIPID, RouterID string
	Protocol               string // tcp or udp
	External               int    // the floating IP's port
	ExternalEnd            int    // the last, of several; 0 for one
	PortID                 string // neutron's port with the inner address
	Inner                  netip.Addr
	InnerPort              int
	InnerEnd               int // the last, of as many as the floating IP's; 0 for one, which all go to
	CreatedAt              time.Time
}

// MaxForwardRange is how many ports one forwarding may have: each is a rule of its
// router's.
const MaxForwardRange = 1000

// Ports are the pairs of ports that are forwarded, the floating IP's and the inner one.
func (f PortForwarding) Ports() (pairs [][2]int) {
	for i := range max(f.ExternalEnd-f.External, 0) + 1 {
		inner := f.InnerPort
		if f.InnerEnd > f.InnerPort {
			inner += i
		}
		pairs = append(pairs, [2]int{f.External + i, inner})
	}
	return pairs
}

// The parts of a node's data plane, by the names of their programs.
const (
	AgentL2       = "hearth-l2-agent"
	AgentDHCP     = "hearth-dhcp-agent"
	AgentL3       = "hearth-l3-agent"
	AgentMetadata = "hearth-metadata-agent"
)

// NetworkAgent is what an operator said of a node's network agent. Without a
// row an agent is wanted and has no description.
type NetworkAgent struct {
	ID, Host, Binary string
	Off              bool // its admin_state_up is false
	Description      string
}
