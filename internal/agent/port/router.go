package port

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"hearth/internal/agent/ra"
	"hearth/internal/cloud"
)

type routerSpec struct{ cloud.RouterSpec }

// routerService is the servers of a router: metadata for guests that ask by
// their default route, and router advertisements on each interface.
type routerService struct {
	manager *Manager
	spec    atomic.Pointer[routerSpec]

	mu      sync.Mutex
	web     *sockets
	adverts []*sockets
	servers []*ra.Server
}

func newRouterService(m *Manager) *routerService { return &routerService{manager: m} }

// on tells whether the router has a port on a network.
func (r *routerService) on(networkID string) bool {
	spec := r.spec.Load()
	if spec == nil {
		return false
	}
	if spec.Gateway != nil && spec.Gateway.NetworkID == networkID {
		return true
	}
	for _, p := range spec.Interfaces {
		if p.NetworkID == networkID {
			return true
		}
	}
	return false
}

// apply starts what the spec needs. The sockets for advertisements are opened
// anew each time: the driver may have laid an interface anew.
func (r *routerService) apply(ctx context.Context, spec cloud.RouterSpec) error {
	r.spec.Store(&routerSpec{spec})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.web == nil {
		if err := r.startWeb(ctx, spec); err != nil {
			return err
		}
	}
	r.stopAdverts()
	if !spec.AdminUp {
		return nil
	}
	for _, p := range spec.Interfaces {
		if len(p.Advertise) == 0 {
			continue
		}
		mac, err := net.ParseMAC(p.MAC)
		if err != nil {
			return cloud.E("port.ApplyRouter", cloud.Invalid, "port %s of router %s: %w", p.PortID, spec.ID, err)
		}
		open := newSockets(r.manager, "router:"+spec.ID+"/"+p.PortID)
		server, err := open.advertise(ctx, ra.Config{MAC: mac, MTU: p.MTU, Router: true, Prefixes: p.Advertise})
		if err != nil {
			open.close()
			return cloud.E("port.ApplyRouter", cloud.Internal, "router advertisements on port %s: %w", p.PortID, err)
		}
		r.adverts, r.servers = append(r.adverts, open), append(r.servers, server)
	}
	return nil
}

func (r *routerService) startWeb(ctx context.Context, spec cloud.RouterSpec) error {
	open := newSockets(r.manager, "router:"+spec.ID)
	web := r.manager.metadata.Site(r.find)
	open.onClose(func() { _ = web.Close() })
	if err := open.stream(ctx, "tcp4", "169.254.169.254:80", web.Serve); err != nil {
		open.close()
		return cloud.E("port.ApplyRouter", cloud.Internal, "metadata at router %s: %w", spec.ID, err)
	}
	open.optional(open.stream(ctx, "tcp6", "[fd00:ec2::254]:80", web.Serve))
	r.web = open
	return nil
}

func (r *routerService) stopAdverts() {
	for _, open := range r.adverts {
		open.close()
	}
	r.adverts, r.servers = nil, nil
}

// stop ends the servers; with farewell, guests are told that the router goes.
func (r *routerService) stop(farewell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if farewell {
		for _, server := range r.servers {
			server.Farewell()
		}
	}
	r.stopAdverts()
	if r.web != nil {
		r.web.close()
		r.web = nil
	}
}

// find is who behind the router has an address: the instance on the network
// of the interface that faces it. Networks of one router do not overlap.
func (r *routerService) find(addr netip.Addr) (cloud.InstanceSpec, bool) {
	spec := r.spec.Load()
	if spec == nil {
		return cloud.InstanceSpec{}, false
	}
	for _, p := range spec.Interfaces {
		for _, own := range p.Addresses {
			if !own.Masked().Contains(addr) {
				continue
			}
			r.manager.mu.RLock()
			n := r.manager.networks[p.NetworkID]
			r.manager.mu.RUnlock()
			if n != nil {
				return n.find(addr)
			}
		}
	}
	return cloud.InstanceSpec{}, false
}
