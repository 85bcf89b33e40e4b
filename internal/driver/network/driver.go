// Package network is the tool that builds a node's data plane: bridges, taps,
// filters, routers and NAT, all of it in network namespaces of its own. linux
// does it with netlink and nftables, fake in memory; networktest is the suite
// that both pass.
package network

import (
	"context"
	"net"
	"os"

	"hearth/internal/cloud"
)

// Driver builds networks and routers on this host. Each Apply is given the
// whole of what is wanted, makes the difference, and leaves no half: it is
// idempotent, also after a crash in the middle.
type Driver interface {
	// Probe tells what this host's kernel can do, and which way was chosen.
	Probe(ctx context.Context) (Capabilities, error)

	// ApplyNetwork makes the bridge, the service namespace with the DHCP port's
	// addresses and 169.254.169.254, the uplink of a physical network, and the
	// filters of every port in the spec. RemoveNetwork undoes all of it.
	ApplyNetwork(ctx context.Context, spec cloud.NetworkSpec) error
	RemoveNetwork(ctx context.Context, id string) error

	// ApplyRouter makes the router's namespace with its interfaces, routes,
	// source NAT and floating IPs. RemoveRouter undoes it.
	ApplyRouter(ctx context.Context, spec cloud.RouterSpec) error
	RemoveRouter(ctx context.Context, id string) error

	// Plug opens the tap of a port of an applied network, for a guest to be
	// started with. The tap lives as long as somebody holds it open. NotFound
	// when the network or the port is not applied, Conflict while another holds
	// the tap.
	Plug(ctx context.Context, networkID, portID string) (*os.File, error)
	// Unplug removes a port's tap. No error when it is gone. The port's filters
	// stay until the port leaves the network's spec, so that it can be plugged
	// again.
	Unplug(ctx context.Context, networkID, portID string) error

	// ListenPacket and Listen open a socket at a place: in the service namespace
	// of a network ("service:"+network id), there bound to the interface that
	// faces the guests; in a router's ("router:"+router id), bound to no
	// interface; or in a router's, bound to the interface of one of its ports
	// ("router:"+router id+"/"+port id). Network and address are those of
	// net.ListenPacket and net.Listen; with an IPv6 multicast group for address
	// the socket is bound to the port alone and joins the group. NotFound when
	// the place is not built. The socket outlives the place: close it before.
	ListenPacket(ctx context.Context, place, network, address string) (net.PacketConn, error)
	Listen(ctx context.Context, place, network, address string) (net.Listener, error)
	// GuestDevice names the interface that faces the guests at a place; "" when
	// there is no single one.
	GuestDevice(place string) string

	// Inventory lists what of ours exists, whoever made it: for finding leftovers.
	Inventory(ctx context.Context) (Inventory, error)
	// Explain tells where a port's, network's or router's parts are.
	Explain(ctx context.Context, kind, id string) ([]cloud.Fact, error)
	// Down removes everything of this node's data plane, and nothing else.
	Down(ctx context.Context) error
	// Close lets go of sockets and handles; the data plane stays.
	Close() error
}

// Capabilities is what the kernel here can do.
type Capabilities struct {
	Filter string // "bridge-conntrack" or "br-netfilter": how filters are stateful on a bridge
	VXLAN  bool
	Notes  []string // what is missing, and what follows, in sentences
}

// Inventory is what exists of the data plane.
type Inventory struct {
	Networks, Routers []string
	Ports             []string // that have a tap; each list is sorted
}
