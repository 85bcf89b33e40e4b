package reconcile

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/node"
	"hearth/internal/store"
)

// scriptedNode writes down what it is told and reports what the test sets.
type scriptedNode struct {
	node.Node // what a test does not expect is a nil call: it panics
	status    cloud.HostStatus
	instances map[string]cloud.InstanceStatus
	specs     []cloud.InstanceSpec
	networks  []cloud.NetworkSpec
	routers   []cloud.RouterSpec
	removed   []string
	cached    []string
	told      []string // the requests that instances were applied for
	posted    string
	fail      error
}

func (n *scriptedNode) Password(context.Context, string) (string, error) { return n.posted, n.fail }

func (n *scriptedNode) Status(context.Context) (cloud.HostStatus, error) { return n.status, n.fail }

func (n *scriptedNode) ApplyInstance(_ context.Context, spec cloud.InstanceSpec) error {
	switch {
	case n.fail != nil:
	case spec.Intent.Deleted:
		n.removed = append(n.removed, spec.ID)
		n.told = append(n.told, spec.Request)
	default:
		n.specs = append(n.specs, spec)
		n.told = append(n.told, spec.Request)
	}
	return n.fail
}

func (n *scriptedNode) RemoveInstance(_ context.Context, id string) error {
	if n.fail == nil {
		n.removed = append(n.removed, id)
	}
	return n.fail
}

func (n *scriptedNode) Instances(context.Context) (all []cloud.InstanceStatus, err error) {
	for _, i := range n.instances {
		all = append(all, i)
	}
	return all, n.fail
}

func (n *scriptedNode) ApplyNetwork(_ context.Context, spec cloud.NetworkSpec) error {
	if n.fail == nil {
		n.networks = append(n.networks, spec)
	}
	return n.fail
}

func (n *scriptedNode) ApplyRouter(_ context.Context, spec cloud.RouterSpec) error {
	if n.fail == nil {
		n.routers = append(n.routers, spec)
	}
	return n.fail
}

func (n *scriptedNode) RemoveNetwork(_ context.Context, id string) error {
	n.removed = append(n.removed, "network "+id)
	return n.fail
}

func (n *scriptedNode) RemoveRouter(_ context.Context, id string) error {
	n.removed = append(n.removed, "router "+id)
	return n.fail
}

func (n *scriptedNode) Networks(context.Context) (cloud.NetworkStatus, error) {
	return cloud.NetworkStatus{}, n.fail
}

// portKeeper deletes a device's ports and their addresses.
type portKeeper struct{}

func (portKeeper) UnbindPortTx(tx *store.Tx, p cloud.Port) error {
	p.DeviceID, p.DeviceOwner, p.Host = "", "", ""
	return tx.Ports.Update(p)
}

func (portKeeper) DeletePortTx(tx *store.Tx, p cloud.Port) error { return tx.Ports.Delete(p.ID) }

func (portKeeper) ReleaseDeviceTx(tx *store.Tx, deviceID string) error {
	ports, err := tx.Ports.List(store.Where(store.Eq("device_id", deviceID)))
	if err != nil {
		return err
	}
	for _, p := range ports {
		if err := tx.Ports.Delete(p.ID); err != nil {
			return err
		}
	}
	return nil
}

// world is a housekeeper with one node, a clock that stands still, and a store
// with one network.
type world struct {
	*Housekeeper
	t     *testing.T
	clock *cloud.FakeClock
	node  *scriptedNode
}

func newWorld(t *testing.T) *world {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	w := &world{t: t, clock: cloud.NewFakeClock(), node: &scriptedNode{
		status: cloud.HostStatus{VCPUs: 4, MemoryMB: 8192, DiskGB: 100, DiskFreeGB: 100}, instances: map[string]cloud.InstanceStatus{},
	}}
	fleet := node.NewFleet()
	fleet.Join("node-1", w.node)
	w.Housekeeper = New(Config{Store: st, Clock: w.clock, Fleet: fleet, Ports: portKeeper{}, Log: slog.New(slog.DiscardHandler), CPURatio: 4, MemoryRatio: 1, DiskRatio: 1})
	if err := w.ObserveHost(t.Context(), "node-1", w.node); err != nil {
		t.Fatal(err)
	}
	if err := w.loadSeed(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write(func(tx *store.Tx) error {
		return firstError(
			tx.Networks.Insert(cloud.Network{ID: "net", Name: "private", MTU: 1450, AdminStateUp: true}),
			tx.Subnets.Insert(cloud.Subnet{
				ID: "sub", NetworkID: "net", IPVersion: 4, CIDR: netip.MustParsePrefix("10.0.0.0/24"),
				Gateway: netip.MustParseAddr("10.0.0.1"), EnableDHCP: true,
			}),
			tx.Ports.Insert(cloud.Port{
				ID: "dhcp", NetworkID: "net", MAC: "fa:16:3e:00:00:02", DeviceOwner: cloud.OwnerDHCP,
				FixedIPs: []cloud.FixedIP{{SubnetID: "sub", IP: netip.MustParseAddr("10.0.0.2")}},
			}),
		)
	})
	return w
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) write(fn func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.Store.Update(w.t.Context(), fn); err != nil {
		w.t.Fatal(err)
	}
}

// want adds a server that is wanted, with one port.
func (w *world) want(id string, memory int) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		last := byte(10 + len(id))
		return firstError(
			tx.Servers.Insert(cloud.Server{
				ID: id, Name: id, Hostname: id, Flavor: cloud.Flavor{ID: "1", VCPUs: 1, MemoryMB: memory, RootGB: 1},
				Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOn}, NextAttemptAt: w.clock.Now(), CreatedAt: w.clock.Now(),
			}),
			tx.Ports.Insert(cloud.Port{
				ID: "port-" + id, NetworkID: "net", MAC: "fa:16:3e:00:00:" + string("0123456789abcdef"[last>>4]) + string("0123456789abcdef"[last&15]),
				DeviceID: id, DeviceOwner: cloud.OwnerComputePrefix, AdminStateUp: true, PortSecurity: true,
				FixedIPs: []cloud.FixedIP{{SubnetID: "sub", IP: netip.AddrFrom4([4]byte{10, 0, 0, last})}},
			}),
		)
	})
}

// server reads a server back.
func (w *world) server(id string) (s cloud.Server) {
	w.t.Helper()
	err := w.Store.View(w.t.Context(), func(tx *store.Tx) (err error) {
		s, err = tx.Servers.Get(id)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// gone tells whether a server's row is no more.
func (w *world) gone(id string) bool {
	w.t.Helper()
	err := w.Store.View(w.t.Context(), func(tx *store.Tx) error { _, err := tx.Servers.Get(id); return err })
	return cloud.Is(err, cloud.NotFound)
}

// step processes everything that is due, once, and gives what it was.
func (w *world) step() []string {
	w.t.Helper()
	ids, err := w.DueServers(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range ids {
		w.ProcessServer(w.t.Context(), id)
	}
	slices.Sort(ids)
	return ids
}

// holds is what a node with the spec has of volumes and ports.
func holds(spec cloud.InstanceSpec) (volumes, ports []string) {
	for _, v := range spec.Volumes {
		volumes = append(volumes, v.VolumeID)
	}
	for _, p := range spec.Ports {
		ports = append(ports, p.ID)
	}
	return volumes, ports
}

// report has the node report a state that answers the present intent.
func (w *world) report(id string, state cloud.InstanceState, problem string) {
	w.t.Helper()
	s := w.server(id)
	status := cloud.InstanceStatus{ID: id, Observation: cloud.Observation{
		Generation: s.Intent.Generation, State: state, Reboots: s.Intent.Reboots, Error: problem, At: w.clock.Now(),
	}}
	if len(w.node.specs) > 0 {
		status.Volumes, status.Ports = holds(w.node.specs[len(w.node.specs)-1])
	}
	w.node.instances[id] = status
	if err := w.Observe(w.t.Context(), "node-1", status); err != nil {
		w.t.Fatal(err)
	}
}
