// Package linux builds a node's data plane with netlink and nftables, in network
// namespaces of its own:
//
//	hearth-NODE-n-NETWORK  the switch of a network: bridge br0, taps, filters
//	hearth-NODE-s-NETWORK  its services: DHCP, DNS and metadata answer here on net0
//	hearth-NODE-r-ROUTER   a router: its interfaces, routes and NAT
//
// A namespace for each switch keeps tenants with equal addresses apart without
// connection tracking zones, keeps the filters of one network out of the path
// of the others, and makes removing one a matter of one name. They are pinned
// under /run/netns, so that ip-netns(8) shows them.
//
// Nothing in the host's own namespace is touched, except one veth for each
// physical network whose uplink is of kind UplinkHost.
package linux

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"regexp"
	"sync"

	"github.com/vishvananda/netns"

	"hearth/internal/cloud"
	"hearth/internal/driver/network"
)

// The kinds of Uplink.
const (
	UplinkHost      = "host"      // a veth into the host's namespace with the subnet's gateway addresses
	UplinkInterface = "interface" // an interface of the host, moved into the switch
	UplinkNone      = "none"      // nothing: the external network ends in its bridge
)

// Uplink is how a physical network leaves this node.
type Uplink struct {
	Kind string
	// HostIfName is the interface in the host's namespace: the one to make for
	// UplinkHost, the one to take for UplinkInterface.
	HostIfName string
}

// Config is what a driver is given.
type Config struct {
	// Node keeps the names of several nodes on one machine apart: lower case
	// letters, digits, dots and dashes, at most 32 of them.
	Node string
	// Physical maps the name of a physical network to its way out.
	Physical map[string]Uplink
	Log      *slog.Logger // nil for none
}

// Driver is a network.Driver. It is safe for concurrent use; calls about one
// network or router wait for each other.
type Driver struct {
	prefix string
	config Config
	log    *slog.Logger
	host   netns.NsHandle // where the process was when the driver was made
	owner  *os.File       // the lock of [Driver.Own]; nil without one
	locks  keyLocks

	trunks sync.Mutex // held while cables are laid between switches; taken after a lock of locks

	mu     sync.Mutex
	caps   *network.Capabilities
	states map[string]*netState // by network
}

// netState is what is remembered of an applied network. None of it is needed
// to go on after a restart: it makes updates smooth.
type netState struct {
	spec    cloud.NetworkSpec
	indexes map[string]uint16 // port to the number it has in packet marks
	next    uint16
	judged  [sha256.Size]byte // of the ports and groups that connections were last judged by
}

var _ network.Driver = (*Driver)(nil)

var nodeName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,31}$`)

// New makes a driver. Invalid when a name in the configuration cannot be used.
func New(config Config) (*Driver, error) {
	const op = "network.New"
	if !nodeName.MatchString(config.Node) {
		return nil, cloud.E(op, cloud.Invalid, "the node name %q cannot name network namespaces: use at most 32 of a-z, 0-9, dot and dash", config.Node)
	}
	for physical, up := range config.Physical {
		switch up.Kind {
		case UplinkNone:
		case UplinkHost, UplinkInterface:
			if up.HostIfName == "" || len(up.HostIfName) > maxLinkName {
				return nil, cloud.E(op, cloud.Invalid, "the uplink of physical network %q needs an interface name of 1 to %d bytes", physical, maxLinkName)
			}
		default:
			return nil, cloud.E(op, cloud.Invalid, "the uplink of physical network %q is of the unknown kind %q: use host, interface or none", physical, up.Kind)
		}
	}
	log := config.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	host, err := netns.Get()
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "the host's network namespace cannot be opened: %w", err)
	}
	return &Driver{prefix: "hearth-" + config.Node + "-", config: config, log: log, host: host, states: map[string]*netState{}}, nil
}

// Close lets go of what the driver holds in this process. Sockets that it gave
// away are their owners' to close.
func (d *Driver) Close() error {
	if d.owner != nil {
		_ = d.owner.Close()
		d.owner = nil
	}
	if !d.host.IsOpen() {
		return nil
	}
	return d.host.Close()
}

func (d *Driver) state(networkID string) *netState {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.states[networkID]
	if s == nil {
		s = &netState{indexes: map[string]uint16{}}
		d.states[networkID] = s
	}
	return s
}

func (d *Driver) forget(networkID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.states, networkID)
}

// keyLocks is a lock for each name.
type keyLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// lock waits until no one else holds the name, or ctx ends.
func (k *keyLocks) lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		k.mu.Lock()
		if k.held == nil {
			k.held = map[string]chan struct{}{}
		}
		wait, busy := k.held[name]
		if !busy {
			done := make(chan struct{})
			k.held[name] = done
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, name)
				k.mu.Unlock()
				close(done)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, cloud.E("network.lock", cloud.Unavailable, "waited for another change of %s: %w", name, ctx.Err())
		}
	}
}
