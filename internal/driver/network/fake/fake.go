// Package fake is a data plane in memory: it checks and remembers what a real
// one would build, so that everything above it runs without root. Taps are
// pipes; sockets are on the loopback, at a port that the kernel chooses,
// whatever address was asked for.
package fake

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"

	"hearth/internal/cloud"
	"hearth/internal/driver/network"
)

// Driver is a network.Driver. It is safe for concurrent use.
type Driver struct {
	mu       sync.Mutex
	networks map[string]cloud.NetworkSpec
	routers  map[string]cloud.RouterSpec
	taps     map[string]*tap   // by port
	sockets  map[string]string // by what was asked for
}

// tap is a pipe: the guest has one end, the driver the other.
type tap struct {
	networkID   string
	mine, guest *os.File
}

var _ network.Driver = (*Driver)(nil)

// New makes a driver with nothing built.
func New() *Driver {
	return &Driver{networks: map[string]cloud.NetworkSpec{}, routers: map[string]cloud.RouterSpec{}, taps: map[string]*tap{}, sockets: map[string]string{}}
}

// Probe implements network.Driver.
func (d *Driver) Probe(context.Context) (network.Capabilities, error) {
	return network.Capabilities{Filter: "fake", Notes: []string{"Networks are in memory: guests cannot talk."}}, nil
}

func checkID(op, what, id string) error {
	if !cloud.IsID(id) {
		return cloud.E(op, cloud.Invalid, "%q is no id of a %s: it must be a UUID", id, what)
	}
	return nil
}

func checkMAC(op, what, mac string) error {
	if hw, err := net.ParseMAC(mac); err != nil || len(hw) != 6 || hw[0]&1 != 0 {
		return cloud.E(op, cloud.Invalid, "%s has the hardware address %q, which is no unicast Ethernet address", what, mac)
	}
	return nil
}

// ApplyNetwork implements network.Driver.
func (d *Driver) ApplyNetwork(_ context.Context, spec cloud.NetworkSpec) error {
	const op = "network.ApplyNetwork"
	if err := checkID(op, "network", spec.ID); err != nil {
		return err
	}
	for _, p := range spec.Ports {
		if err := checkID(op, "port", p.ID); err != nil {
			return err
		}
		if err := checkMAC(op, "port "+p.ID, p.MAC); err != nil {
			return err
		}
	}
	if spec.DHCP != nil {
		if err := checkMAC(op, "the DHCP port of network "+spec.ID, spec.DHCP.MAC); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.networks[spec.ID] = spec
	return nil
}

// RemoveNetwork implements network.Driver.
func (d *Driver) RemoveNetwork(_ context.Context, id string) error {
	if err := checkID("network.RemoveNetwork", "network", id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.networks, id)
	for port, t := range d.taps {
		if t.networkID == id {
			d.unplug(port)
		}
	}
	return nil
}

// ApplyRouter implements network.Driver.
func (d *Driver) ApplyRouter(_ context.Context, spec cloud.RouterSpec) error {
	const op = "network.ApplyRouter"
	if err := checkID(op, "router", spec.ID); err != nil {
		return err
	}
	ports := slices.Clone(spec.Interfaces)
	if spec.Gateway != nil {
		ports = append(ports, *spec.Gateway)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range ports {
		if err := checkMAC(op, "router port "+p.PortID, p.MAC); err != nil {
			return err
		}
		if _, ok := d.networks[p.NetworkID]; !ok {
			return cloud.E(op, cloud.NotFound, "router %s has port %s on network %s, which is not built on this node: apply the network first", spec.ID, p.PortID, p.NetworkID)
		}
	}
	d.routers[spec.ID] = spec
	return nil
}

// RemoveRouter implements network.Driver.
func (d *Driver) RemoveRouter(_ context.Context, id string) error {
	if err := checkID("network.RemoveRouter", "router", id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.routers, id)
	return nil
}

// Plug implements network.Driver. A tap that was given away counts as held
// until it is closed by its holder.
func (d *Driver) Plug(_ context.Context, networkID, portID string) (*os.File, error) {
	const op = "network.Plug"
	d.mu.Lock()
	defer d.mu.Unlock()
	spec, ok := d.networks[networkID]
	if !ok {
		return nil, cloud.E(op, cloud.NotFound, "network %s is not known on this node: apply it first", networkID)
	}
	if !slices.ContainsFunc(spec.Ports, func(p cloud.PortSpec) bool { return p.ID == portID }) {
		return nil, cloud.E(op, cloud.NotFound, "network %s has no port %s on this node: apply the network with it first", networkID, portID)
	}
	if d.held(portID) {
		return nil, cloud.E(op, cloud.Conflict, "the tap of port %s is held by a running guest: stop it first", portID)
	}
	mine, guest, err := os.Pipe()
	if err != nil {
		return nil, cloud.E(op, cloud.Internal, "tap of port %s: %w", portID, err)
	}
	d.taps[portID] = &tap{networkID: networkID, mine: mine, guest: guest}
	return guest, nil
}

// held tells whether the tap's holder still has it open; when it has not, the
// tap is gone, as a real one would be.
func (d *Driver) held(portID string) bool {
	t := d.taps[portID]
	if t == nil {
		return false
	}
	if _, err := t.guest.Stat(); err == nil {
		return true
	}
	d.unplug(portID)
	return false
}

func (d *Driver) unplug(portID string) {
	if t := d.taps[portID]; t != nil {
		_ = t.mine.Close()
		delete(d.taps, portID)
	}
}

// Unplug implements network.Driver.
func (d *Driver) Unplug(_ context.Context, _, portID string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unplug(portID)
	return nil
}

// check tells whether a place is built.
func (d *Driver) check(place string) error {
	const op = "network.Listen"
	d.mu.Lock()
	defer d.mu.Unlock()
	kind, id, _ := strings.Cut(place, ":")
	id, _, _ = strings.Cut(id, "/")
	switch kind {
	case "service":
		if spec, ok := d.networks[id]; ok && spec.DHCP != nil {
			return nil
		}
	case "router":
		if _, ok := d.routers[id]; ok {
			return nil
		}
	default:
		return cloud.E(op, cloud.Invalid, "%q is no place to listen at: use service:NETWORK, router:ROUTER or router:ROUTER/PORT", place)
	}
	return cloud.E(op, cloud.NotFound, "%s is not built on this node: apply it first", place)
}

// loopback is where a socket is opened in place of an address: on the loopback
// of its family. The zero port lets the kernel choose.
func loopback(address string) string {
	if ap, err := netip.ParseAddrPort(address); err == nil && ap.Addr().Is6() {
		return "[::1]:0"
	}
	return "127.0.0.1:0"
}

// ListenPacket implements network.Driver; see the package comment. Networks
// other than UDP get a UDP socket, which nothing is ever sent to.
func (d *Driver) ListenPacket(ctx context.Context, place, network, address string) (net.PacketConn, error) {
	if err := d.check(place); err != nil {
		return nil, err
	}
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", loopback(address))
	if err == nil {
		d.note(place, network, address, conn.LocalAddr())
	}
	return conn, err
}

func (d *Driver) note(place, network, address string, got net.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sockets[place+" "+network+" "+address] = got.String()
}

// Address tells where on the loopback the socket is that was last opened for an
// address at a place; "" when none was.
func (d *Driver) Address(place, network, address string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sockets[place+" "+network+" "+address]
}

// Listen implements network.Driver; see the package comment.
func (d *Driver) Listen(ctx context.Context, place, network, address string) (net.Listener, error) {
	if err := d.check(place); err != nil {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, loopback(address))
	if err == nil {
		d.note(place, network, address, l.Addr())
	}
	return l, err
}

// GuestDevice implements network.Driver.
func (d *Driver) GuestDevice(place string) string {
	if strings.HasPrefix(place, "service:") {
		return "net0"
	}
	return ""
}

// Inventory implements network.Driver.
func (d *Driver) Inventory(context.Context) (network.Inventory, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found network.Inventory
	for id := range d.networks {
		found.Networks = append(found.Networks, id)
	}
	for id := range d.routers {
		found.Routers = append(found.Routers, id)
	}
	for id := range d.taps {
		if d.held(id) {
			found.Ports = append(found.Ports, id)
		}
	}
	sort.Strings(found.Networks)
	sort.Strings(found.Routers)
	sort.Strings(found.Ports)
	return found, nil
}

// Explain implements network.Driver.
func (d *Driver) Explain(_ context.Context, kind, id string) ([]cloud.Fact, error) {
	const op = "network.Explain"
	if err := checkID(op, kind, id); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch kind {
	case "network":
		if spec, ok := d.networks[id]; ok {
			return []cloud.Fact{{Topic: "switch", Value: fmt.Sprintf("in memory, %d ports", len(spec.Ports))}}, nil
		}
	case "router":
		if spec, ok := d.routers[id]; ok {
			return []cloud.Fact{{Topic: "router", Value: fmt.Sprintf("in memory, %d interfaces", len(spec.Interfaces))}}, nil
		}
	case "port":
		for _, spec := range d.networks {
			if slices.ContainsFunc(spec.Ports, func(p cloud.PortSpec) bool { return p.ID == id }) {
				return []cloud.Fact{{Topic: "tap", Value: fmt.Sprintf("a pipe, plugged: %t", d.held(id))}}, nil
			}
		}
	default:
		return nil, cloud.E(op, cloud.Invalid, "%q cannot be explained here: ask for a network, router or port", kind)
	}
	return nil, cloud.E(op, cloud.NotFound, "%s %s is not built on this node", kind, id)
}

// Down implements network.Driver.
func (d *Driver) Down(context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.taps {
		d.unplug(id)
	}
	clear(d.networks)
	clear(d.routers)
	return nil
}

// Close implements network.Driver.
func (d *Driver) Close() error { return nil }
