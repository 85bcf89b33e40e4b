package fake

import (
	"context"
	"maps"
	"os"
	"sync"

	"hearth/internal/cloud"
	"hearth/internal/driver/network"
)

// plane keeps networks without servers: there is nobody to serve.
type plane struct {
	network.Driver
	mu       sync.Mutex
	networks map[string]cloud.NetworkSpec
	routers  map[string]int64
	plugged  map[string]bool
}

func newPlane(d network.Driver) *plane {
	return &plane{Driver: d, networks: map[string]cloud.NetworkSpec{}, routers: map[string]int64{}, plugged: map[string]bool{}}
}

func (p *plane) ApplyNetwork(ctx context.Context, spec cloud.NetworkSpec) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.Driver.ApplyNetwork(ctx, spec); err != nil {
		return err
	}
	p.networks[spec.ID] = spec
	return nil
}

func (p *plane) RemoveNetwork(ctx context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.networks, id)
	return p.Driver.RemoveNetwork(ctx, id)
}

func (p *plane) ApplyRouter(ctx context.Context, spec cloud.RouterSpec) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.Driver.ApplyRouter(ctx, spec); err != nil {
		return err
	}
	p.routers[spec.ID] = spec.Generation
	return nil
}

func (p *plane) RemoveRouter(ctx context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.routers, id)
	return p.Driver.RemoveRouter(ctx, id)
}

func (p *plane) Plug(ctx context.Context, networkID, portID string) (*os.File, error) {
	tap, err := p.Driver.Plug(ctx, networkID, portID)
	if err == nil {
		p.mark(portID, true)
	}
	return tap, err
}

func (p *plane) Unplug(ctx context.Context, networkID, portID string) error {
	p.mark(portID, false)
	return p.Driver.Unplug(ctx, networkID, portID)
}

func (p *plane) mark(portID string, plugged bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if plugged {
		p.plugged[portID] = true
	} else {
		delete(p.plugged, portID)
	}
}

// Recover takes what the driver still has for what is wanted.
func (p *plane) Recover(ctx context.Context) error {
	found, err := p.Inventory(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range found.Networks {
		p.networks[id] = cloud.NetworkSpec{ID: id}
	}
	for _, id := range found.Routers {
		p.routers[id] = 0
	}
	for _, id := range found.Ports {
		p.plugged[id] = true
	}
	return err
}

func (p *plane) Status() cloud.NetworkStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := cloud.NetworkStatus{Networks: map[string]int64{}, Routers: maps.Clone(p.routers), Ports: map[string]bool{}}
	for id, n := range p.networks {
		st.Networks[id] = n.Generation
		for _, port := range n.Ports {
			st.Ports[port.ID] = p.plugged[port.ID]
		}
	}
	return st
}

// Password is none: no guest of the fake posts one.
func (p *plane) Password(string) string { return "" }
func (p *plane) Forget(string) error    { return nil }

// Close leaves the driver, which belongs to the world.
func (p *plane) Close() error { return nil }
