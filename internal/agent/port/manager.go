// Package port is the network side of a node's agent. It keeps the specs of
// networks and routers in files of its own, has the driver build them, and runs
// their servers: DHCP, DNS, metadata and router advertisements. It needs no
// head: after a restart Recover resumes from the files.
package port

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"

	"hearth/internal/agent/dhcp"
	"hearth/internal/agent/dns"
	"hearth/internal/agent/metadata"
	"hearth/internal/cloud"
	"hearth/internal/driver/network"
)

// Instances finds an instance of this node, for its metadata. It must be quick
// and safe for concurrent use.
type Instances func(id string) (cloud.InstanceSpec, bool)

// Options are what a Manager may be given.
type Options struct {
	Clock    cloud.Clock  // nil for the machine's
	Log      *slog.Logger // nil for none
	DHCP     dhcp.Options
	Resolver dns.Resolver // where other names are asked; nil for nowhere
}

// Manager serves the networks of a node. It is safe for concurrent use; calls
// about one network or router wait for each other.
type Manager struct {
	files     files
	driver    network.Driver
	instances Instances
	options   Options
	log       *slog.Logger
	metadata  *metadata.Server

	locks sync.Map // of *sync.Mutex by id

	mu       sync.RWMutex
	networks map[string]*netService
	routers  map[string]*routerService
	plugged  map[string]bool // by port
}

// New makes a manager that keeps its files in dir, which it makes. Nothing is
// built before Recover or an Apply.
func New(dir string, driver network.Driver, instances Instances, options Options) (*Manager, error) {
	if options.Clock == nil {
		options.Clock = cloud.SystemClock{}
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	f, err := newFiles(dir)
	if err != nil {
		return nil, cloud.E("port.New", cloud.Internal, "the folder for networks cannot be made: %w", err)
	}
	return &Manager{
		files: f, driver: driver, instances: instances, options: options, log: options.Log,
		metadata: metadata.NewServer(options.Clock, f, options.Log),
		networks: map[string]*netService{}, routers: map[string]*routerService{}, plugged: map[string]bool{},
	}, nil
}

// lock waits for other calls about the same id.
func (m *Manager) lock(id string) func() {
	l, _ := m.locks.LoadOrStore(id, new(sync.Mutex))
	mu, _ := l.(*sync.Mutex)
	mu.Lock()
	return mu.Unlock
}

// ApplyNetwork makes the node serve a network as the spec says. When it returns
// nil the filters are in force and the servers answer.
func (m *Manager) ApplyNetwork(ctx context.Context, spec cloud.NetworkSpec) error {
	if err := checkID("port.ApplyNetwork", spec.ID); err != nil {
		return err
	}
	fresh, err := m.applyNetwork(ctx, spec, true)
	if err != nil || !fresh {
		return err
	}
	return m.rejoin(ctx, spec.ID)
}

func (m *Manager) applyNetwork(ctx context.Context, spec cloud.NetworkSpec, keep bool) (fresh bool, err error) {
	defer m.lock(spec.ID)()
	if keep {
		if err := m.files.save(kindNetwork, spec.ID, spec); err != nil {
			return false, cloud.E("port.ApplyNetwork", cloud.Internal, "network %s cannot be written down: %w", spec.ID, err)
		}
	}
	m.mu.RLock()
	service := m.networks[spec.ID]
	m.mu.RUnlock()
	if service != nil && !service.fits(spec) {
		service.stop()
	}
	if err := m.driver.ApplyNetwork(ctx, spec); err != nil {
		return false, err
	}
	fresh = service == nil
	if fresh {
		service = newNetService(m)
	}
	if err := service.apply(ctx, spec); err != nil {
		return false, err
	}
	m.mu.Lock()
	m.networks[spec.ID] = service
	m.mu.Unlock()
	return fresh, nil
}

// rejoin applies the routers again that have a port on a network which was
// built anew: with its switch their cables went.
func (m *Manager) rejoin(ctx context.Context, networkID string) error {
	m.mu.RLock()
	var touched []cloud.RouterSpec
	for _, r := range m.routers {
		if r.on(networkID) {
			touched = append(touched, r.spec.Load().RouterSpec)
		}
	}
	m.mu.RUnlock()
	var failed []error
	for _, spec := range touched {
		failed = append(failed, m.applyRouter(ctx, spec, false))
	}
	return errors.Join(failed...)
}

// RemoveNetwork undoes a network. No error when it is not there.
func (m *Manager) RemoveNetwork(ctx context.Context, id string) error {
	if err := checkID("port.RemoveNetwork", id); err != nil {
		return err
	}
	defer m.lock(id)()
	m.mu.Lock()
	service := m.networks[id]
	delete(m.networks, id)
	m.mu.Unlock()
	if service != nil {
		service.stop()
	}
	if err := m.driver.RemoveNetwork(ctx, id); err != nil {
		return err
	}
	return m.files.remove(kindNetwork, id)
}

// ApplyRouter makes the node run a router as the spec says. NotFound when one
// of its networks is not applied.
func (m *Manager) ApplyRouter(ctx context.Context, spec cloud.RouterSpec) error {
	if err := checkID("port.ApplyRouter", spec.ID); err != nil {
		return err
	}
	return m.applyRouter(ctx, spec, true)
}

func (m *Manager) applyRouter(ctx context.Context, spec cloud.RouterSpec, keep bool) error {
	defer m.lock(spec.ID)()
	if keep {
		if err := m.files.save(kindRouter, spec.ID, spec); err != nil {
			return cloud.E("port.ApplyRouter", cloud.Internal, "router %s cannot be written down: %w", spec.ID, err)
		}
	}
	if err := m.driver.ApplyRouter(ctx, spec); err != nil {
		return err
	}
	m.mu.Lock()
	service := m.routers[spec.ID]
	if service == nil {
		service = newRouterService(m)
		m.routers[spec.ID] = service
	}
	m.mu.Unlock()
	return service.apply(ctx, spec)
}

// RemoveRouter undoes a router. No error when it is not there.
func (m *Manager) RemoveRouter(ctx context.Context, id string) error {
	if err := checkID("port.RemoveRouter", id); err != nil {
		return err
	}
	defer m.lock(id)()
	m.mu.Lock()
	service := m.routers[id]
	delete(m.routers, id)
	m.mu.Unlock()
	if service != nil {
		service.stop(true)
	}
	if err := m.driver.RemoveRouter(ctx, id); err != nil {
		return err
	}
	return m.files.remove(kindRouter, id)
}

// Plug opens the tap of a port for a guest to be started with. The caller
// closes it once the guest has it.
func (m *Manager) Plug(ctx context.Context, networkID, portID string) (*os.File, error) {
	tap, err := m.driver.Plug(ctx, networkID, portID)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	m.plugged[portID] = true
	m.mu.Unlock()
	return tap, nil
}

// Unplug removes the tap of a port. No error when it is gone.
func (m *Manager) Unplug(ctx context.Context, networkID, portID string) error {
	m.mu.Lock()
	delete(m.plugged, portID)
	m.mu.Unlock()
	return m.driver.Unplug(ctx, networkID, portID)
}

// Recover applies every network and router that is written down. One that
// cannot be built does not keep the others from it: all errors are returned,
// and the rest is served.
func (m *Manager) Recover(ctx context.Context) error {
	var networks []cloud.NetworkSpec
	var routers []cloud.RouterSpec
	failed := []error{loadAll(m.files, kindNetwork, &networks), loadAll(m.files, kindRouter, &routers)}
	for _, spec := range networks {
		_, err := m.applyNetwork(ctx, spec, false)
		failed = append(failed, err)
	}
	for _, spec := range routers {
		failed = append(failed, m.applyRouter(ctx, spec, false))
	}
	found, err := m.driver.Inventory(ctx)
	failed = append(failed, err)
	m.mu.Lock()
	for _, id := range found.Ports {
		m.plugged[id] = true
	}
	m.mu.Unlock()
	return errors.Join(failed...)
}

// Status tells what is served, by generation, and which ports have a guest.
func (m *Manager) Status() cloud.NetworkStatus {
	m.mu.RLock()
	defer m.mu.RUnlock()
	status := cloud.NetworkStatus{Networks: map[string]int64{}, Routers: map[string]int64{}, Ports: map[string]bool{}}
	for id, n := range m.networks {
		spec := n.spec.Load()
		if spec == nil {
			continue
		}
		status.Networks[id] = spec.Generation
		for _, p := range spec.Ports {
			status.Ports[p.ID] = m.plugged[p.ID]
		}
	}
	for id, r := range m.routers {
		if spec := r.spec.Load(); spec != nil {
			status.Routers[id] = spec.Generation
		}
	}
	return status
}

// Explain tells where the parts of a network, router or port are.
func (m *Manager) Explain(ctx context.Context, kind, id string) ([]cloud.Fact, error) {
	facts, err := m.driver.Explain(ctx, kind, id)
	if err != nil {
		return nil, err
	}
	if kind == kindNetwork || kind == kindRouter {
		facts = append(facts, cloud.Fact{Topic: "spec", Value: m.files.path(kind, id)})
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if n := m.networks[id]; n != nil && kind == kindNetwork {
		facts = append(facts, n.facts()...)
	}
	return facts, nil
}

// Close stops the servers. What the driver built stays, and so do the guests'
// connections.
func (m *Manager) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.networks {
		n.stop()
	}
	for _, r := range m.routers {
		r.stop(false)
	}
	clear(m.networks)
	clear(m.routers)
	return nil
}

func checkID(op, id string) error {
	if !cloud.IsID(id) {
		return cloud.E(op, cloud.Invalid, "%q is no id: it must be a UUID", id)
	}
	return nil
}
