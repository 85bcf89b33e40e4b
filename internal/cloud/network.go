package cloud

import (
	"net/netip"
	"time"
)

// Device owners that neutron's clients know.
const (
	OwnerRouterInterface = "network:router_interface"
	OwnerRouterGateway   = "network:router_gateway"
	OwnerFloatingIP      = "network:floatingip"
	OwnerDHCP            = "network:dhcp"
	OwnerComputePrefix   = "compute:" // followed by the availability zone
)

// Types of network, as provider:network_type says them.
const (
	NetworkFlat  = "flat"  // on a physical network, untagged
	NetworkVXLAN = "vxlan" // a tunnel between the nodes
	NetworkLocal = "local" // inside one node
)

// Network is a layer-2 segment.
type Network struct {
	ID, ProjectID, Name, Description string
	AdminStateUp, Shared, External   bool
	IsDefault, PortSecurity          bool
	MTU                              int
	Type, PhysicalNetwork            string // see NetworkFlat and its siblings
	SegmentationID                   int
	DNSDomain                        string
	QoSPolicyID                      string // of ports that have none of their own
	Tags                             []string
	CreatedAt, UpdatedAt             time.Time
	Revision                         int
}

// AddressRange is a pool of addresses, both ends included.
type AddressRange struct{ Start, End netip.Addr }

// Route is a static route of a subnet's hosts or of a router.
type Route struct {
	Destination netip.Prefix
	NextHop     netip.Addr
}

// Subnet is a block of addresses of a network.
type Subnet struct {
	ID, NetworkID, ProjectID, Name, Description string
	IPVersion                                   int
	CIDR                                        netip.Prefix
	Gateway                                     netip.Addr // zero for none
	EnableDHCP                                  bool
	Pools                                       []AddressRange
	DNS                                         []netip.Addr
	HostRoutes                                  []Route
	RAMode, AddressMode                         string // slaac, dhcpv6-stateful, dhcpv6-stateless or ""
	SubnetPoolID                                string
	ServiceTypes                                []string
	Tags                                        []string
	CreatedAt, UpdatedAt                        time.Time
	Revision                                    int
}

// FixedIP is an address of a port.
type FixedIP struct {
	SubnetID string
	IP       netip.Addr
}

// AddressPair is a further source address that a port may use.
type AddressPair struct {
	MAC string
	IP  netip.Prefix
}

// DHCPOption is a further DHCP option of a port, by neutron's name or number.
type DHCPOption struct {
	Name, Value string
	IPVersion   int
}

// Port is a connection to a network, with its addresses.
type Port struct {
	ID, NetworkID, ProjectID, Name, Description string
	AdminStateUp, PortSecurity                  bool
	MAC                                         string // lower case, colons
	FixedIPs                                    []FixedIP
	DeviceID, DeviceOwner                       string
	SecurityGroups                              []string // ids
	AllowedPairs                                []AddressPair
	DHCPOptions                                 []DHCPOption
	Host                                        string // binding:host_id
	VNICType                                    string
	Profile                                     map[string]any
	DNSName                                     string
	QoSPolicyID                                 string
	Up                                          bool // as the node reports it: status ACTIVE, else DOWN
	Preserve                                    bool // made by the user, kept when its server is deleted
	Tags                                        []string
	CreatedAt, UpdatedAt                        time.Time
	Revision                                    int
}

// Status is the port's status: N/A is never used here.
func (p Port) Status() string {
	if p.Up {
		return "ACTIVE"
	}
	return "DOWN"
}

// IPAllocation keeps an address from being given twice on a subnet.
type IPAllocation struct {
	SubnetID  string
	IP        netip.Addr
	PortID    string
	NetworkID string
}

// Key is the identity of an allocation.
func (a IPAllocation) Key() string { return a.SubnetID + "/" + a.IP.String() }

// Router connects subnets, and by its gateway port an external network.
type Router struct {
	ID, ProjectID, Name, Description string
	AdminStateUp                     bool
	GatewayNetworkID, GatewayPortID  string // "" for none
	EnableSNAT                       bool
	Routes                           []Route
	Node                             string   // where it runs
	ZoneHints                        []string // availability zones that it may run in; none for all
	Up                               bool
	Tags                             []string
	CreatedAt, UpdatedAt             time.Time
	Revision                         int
}

// FloatingIP is an external address that a router maps to a port's address.
type FloatingIP struct {
	ID, ProjectID, Description string
	NetworkID, SubnetID        string // the external ones
	IP                         netip.Addr
	OwnPortID                  string // the port that holds the address on the external network
	PortID                     string // the mapped port; "" for none
	FixedIP                    netip.Addr
	RouterID                   string
	DNSName, DNSDomain         string
	Tags                       []string
	CreatedAt, UpdatedAt       time.Time
	Revision                   int
}

// Status is ACTIVE when a router serves the address, mapped as a whole or by ports,
// else DOWN.
func (f FloatingIP) Status() string {
	if f.RouterID != "" {
		return "ACTIVE"
	}
	return "DOWN"
}

// SecurityGroup is a set of rules that ports wear. What no rule allows is
// dropped.
type SecurityGroup struct {
	ID, ProjectID, Name, Description string
	Stateful                         bool
	Tags                             []string
	CreatedAt, UpdatedAt             time.Time
	Revision                         int
}

// SecurityRule allows some traffic. Ports are -1 for any; for ICMP they are
// type and code.
type SecurityRule struct {
	ID, ProjectID, GroupID, Description string
	Direction                           string       // ingress, egress
	Ethertype                           string       // IPv4, IPv6
	Protocol                            string       // "" for any; tcp, udp, icmp, ipv6-icmp, …, or a number
	PortMin, PortMax                    int          // -1 for any
	RemotePrefix                        netip.Prefix // zero for any
	RemoteGroupID                       string
	RemoteAddressGroupID                string
	CreatedAt, UpdatedAt                time.Time
	Revision                            int
}
