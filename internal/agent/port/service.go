package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"hearth/internal/agent/dhcp"
	"hearth/internal/agent/dns"
	"hearth/internal/agent/ra"
	"hearth/internal/cloud"
)

// netSpec is a network's spec with what is looked up in it.
type netSpec struct {
	cloud.NetworkSpec
	owners map[netip.Addr]string // address to instance
}

// netService is the servers of one network. Its sockets stay while the service
// port does; new specs are handed to the running servers.
type netService struct {
	manager *Manager
	spec    atomic.Pointer[netSpec]
	dhcp    *dhcp.Server
	dns     *dns.Server

	mu     sync.Mutex
	open   *sockets // nil while stopped
	served cloud.NetworkSpec
	ra     *ra.Server
}

func newNetService(m *Manager) *netService {
	return &netService{manager: m, dhcp: dhcp.NewServer(m.options.Clock, m.log), dns: dns.NewServer(m.options.Resolver, m.log)}
}

// fits tells whether the open sockets serve the spec too.
func (n *netService) fits(spec cloud.NetworkSpec) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		return true
	}
	was := n.served.DHCP
	return spec.DHCP != nil && spec.DHCP.MAC == was.MAC && spec.DHCP.PortID == was.PortID &&
		hasIPv6(spec) == hasIPv6(n.served) && (n.ra != nil) == (len(advertised(spec)) > 0)
}

// apply hands the spec to the servers and starts them when they are not running.
func (n *netService) apply(ctx context.Context, spec cloud.NetworkSpec) error {
	n.spec.Store(&netSpec{spec, owners(spec)})
	n.dns.Update(dns.NewZone(spec))
	if spec.DHCP == nil {
		return nil
	}
	mac, err := net.ParseMAC(spec.DHCP.MAC)
	if err != nil {
		return cloud.E("port.ApplyNetwork", cloud.Invalid, "the DHCP port of network %s has the hardware address %q: %w", spec.ID, spec.DHCP.MAC, err)
	}
	n.dhcp.Update(dhcp.NewTable(spec, n.manager.options.DHCP), mac)
	n.mu.Lock()
	defer n.mu.Unlock()
	config := ra.Config{MAC: mac, MTU: spec.MTU, Prefixes: advertised(spec), Domain: spec.DNSDomain}
	if n.open != nil {
		if n.ra != nil {
			n.ra.Update(config)
		}
		return nil
	}
	open := newSockets(n.manager, "service:"+spec.ID)
	if err := n.start(ctx, open, spec, config); err != nil {
		open.close()
		return cloud.E("port.ApplyNetwork", cloud.Internal, "the servers of network %s: %w", spec.ID, err)
	}
	n.open, n.served = open, spec
	return nil
}

// start opens the sockets that a network's servers have.
func (n *netService) start(ctx context.Context, open *sockets, spec cloud.NetworkSpec, config ra.Config) error {
	web := n.manager.metadata.Site(n.find)
	open.onClose(func() { _ = web.Close() })
	err := errors.Join(
		open.packet(ctx, "udp4", "0.0.0.0:67", n.dhcp.Serve4),
		open.packet(ctx, "udp4", "0.0.0.0:53", n.dns.ServePacket),
		open.stream(ctx, "tcp4", "0.0.0.0:53", n.dns.ServeStream),
		open.stream(ctx, "tcp4", "169.254.169.254:80", web.Serve),
	)
	if err != nil {
		return err
	}
	for _, address := range []string{"[fe80::a9fe:a9fe]:80", "[fd00:ec2::254]:80"} {
		open.optional(open.stream(ctx, "tcp6", address, web.Serve))
	}
	open.optional(open.packet(ctx, "udp6", "[::]:53", n.dns.ServePacket))
	open.optional(open.stream(ctx, "tcp6", "[::]:53", n.dns.ServeStream))
	if hasIPv6(spec) {
		if err := open.packet(ctx, "udp6", "[ff02::1:2]:547", n.dhcp.Serve6); err != nil {
			return err
		}
	}
	n.ra = nil
	if len(config.Prefixes) > 0 {
		n.ra, err = open.advertise(ctx, config)
	}
	return err
}

// stop closes the sockets, as must be before the namespace goes.
func (n *netService) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open != nil {
		n.open.close()
		n.open, n.ra = nil, nil
	}
}

func (n *netService) facts() []cloud.Fact {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		return []cloud.Fact{{Topic: "servers", Value: "none: the network has no service port"}}
	}
	return []cloud.Fact{{Topic: "servers", Value: fmt.Sprintf("in this process, on %d sockets at %s", n.open.count(), n.open.place)}}
}

func hasIPv6(spec cloud.NetworkSpec) bool {
	for _, s := range spec.Subnets {
		if s.DHCP && s.CIDR.Addr().Is6() {
			return true
		}
	}
	return false
}

// advertised are the prefixes that no router tells, so the service port does.
func advertised(spec cloud.NetworkSpec) []cloud.AdvertisedPrefix {
	var list []cloud.AdvertisedPrefix
	if spec.DHCP == nil {
		return nil
	}
	for _, s := range spec.Subnets {
		mode := s.RAMode
		if mode == "" {
			mode = s.AddressMode
		}
		if s.CIDR.Addr().Is6() && s.DHCP && !s.Routed && mode != "" {
			list = append(list, cloud.AdvertisedPrefix{Prefix: s.CIDR, Mode: mode, DNS: s.DNS})
		}
	}
	return list
}

// owners is which instance has an address: its fixed ones, and the link-local
// one of its hardware address.
func owners(spec cloud.NetworkSpec) map[netip.Addr]string {
	found := map[netip.Addr]string{}
	for _, p := range spec.Ports {
		for _, fixed := range p.Addresses {
			found[fixed.IP] = p.InstanceID
		}
		if mac, err := net.ParseMAC(p.MAC); err == nil && len(mac) == 6 {
			found[linkLocal(mac)] = p.InstanceID
		}
	}
	return found
}

// linkLocal is the IPv6 link-local address that a hardware address makes
// (RFC 4291, appendix A).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5]})
}

// find is who on this network has an address.
func (n *netService) find(addr netip.Addr) (cloud.InstanceSpec, bool) {
	spec := n.spec.Load()
	if spec == nil {
		return cloud.InstanceSpec{}, false
	}
	id, ok := spec.owners[addr]
	if !ok {
		return cloud.InstanceSpec{}, false
	}
	return n.manager.instances(id)
}
