package reconcile

import (
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// withTrunk makes a server's port the parent of a trunk, with a sub-port on a network
// of its own, which is stateless.
func withTrunk(t *testing.T) *world {
	w := newWorld(t)
	w.want("a", 512)
	w.write(func(tx *store.Tx) error {
		return firstError(
			tx.Networks.Insert(cloud.Network{ID: "red", MTU: 1400, Type: cloud.NetworkVXLAN}),
			tx.SecurityGroups.Insert(cloud.SecurityGroup{ID: "loose"}),
			tx.Ports.Insert(cloud.Port{ID: "sub", NetworkID: "red", MAC: "fa:16:3e:00:02:01", AdminStateUp: true, PortSecurity: true, SecurityGroups: []string{"loose"}, DeviceID: "t", DeviceOwner: cloud.OwnerSubPort}),
			tx.Trunks.Insert(cloud.Trunk{ID: "t", PortID: "port-a", AdminStateUp: true}),
			tx.SubPorts.Insert(cloud.SubPort{PortID: "sub", TrunkID: "t", VLAN: 100}),
		)
	})
	return w
}

func (w *world) port(id string) (p cloud.Port) {
	w.t.Helper()
	w.write(func(tx *store.Tx) (err error) {
		p, err = tx.Ports.Get(id)
		return err
	})
	return p
}

func (w *world) latest(network string) (spec cloud.NetworkSpec) {
	for _, n := range w.node.networks {
		if n.ID == network {
			spec = n
		}
	}
	return spec
}

func TestSubPortsAreWhereTheirParentIs(t *testing.T) {
	w := withTrunk(t)
	w.step()
	if p := w.port("sub"); p.Host != "node-1" || p.Up {
		t.Fatalf("the sub-port is on %q, up %t", p.Host, p.Up)
	}
	parent := w.latest("net").Ports[0]
	if want := []cloud.SubPortSpec{{PortID: "sub", NetworkID: "red", VLAN: 100, MTU: 1400}}; !slices.Equal(parent.SubPorts, want) {
		t.Errorf("the node has sub-ports %+v", parent.SubPorts)
	}
	red := w.latest("red")
	if len(red.Ports) != 1 || red.Ports[0].InstanceID != "a" || !red.Ports[0].Stateless {
		t.Errorf("the sub-port's network has ports %+v", red.Ports)
	}
	w.set("port-a", true)
	if p := w.port("sub"); !p.Up {
		t.Error("the sub-port of a guest that runs is down")
	}
	w.set("port-a", false)
	if p := w.port("sub"); p.Up {
		t.Error("the sub-port of a guest that is gone is up")
	}
	w.write(func(tx *store.Tx) error {
		p, err := tx.Ports.Get("port-a")
		p.Host = ""
		return firstError(err, tx.Ports.Update(p))
	})
	w.sync()
	if p := w.port("sub"); p.Host != "" || !slices.Contains(w.node.removed, "network red") {
		t.Errorf("the sub-port is on %q; removed %v", p.Host, w.node.removed)
	}
}

// set makes a port up or down, as a node reports it.
func (w *world) set(id string, up bool) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		p, err := tx.Ports.Get(id)
		p.Up = up
		return firstError(err, tx.Ports.Update(p))
	})
	w.sync()
}

func (w *world) sync() {
	w.t.Helper()
	if err := w.SyncNodes(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestRoutersCountByTheirProjectsLabels(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.write(func(tx *store.Tx) error {
		return firstError(
			tx.Routers.Insert(cloud.Router{ID: "r", ProjectID: "p", AdminStateUp: true}),
			tx.Ports.Insert(cloud.Port{ID: "if", NetworkID: "net", MAC: "fa:16:3e:00:01:02", DeviceID: "r", DeviceOwner: cloud.OwnerRouterInterface}),
			tx.MeteringLabels.Insert(cloud.MeteringLabel{ID: "own", ProjectID: "p"}),
			tx.MeteringLabels.Insert(cloud.MeteringLabel{ID: "other", ProjectID: "q"}),
			tx.MeteringLabels.Insert(cloud.MeteringLabel{ID: "shared", ProjectID: "q", Shared: true}),
			tx.MeteringRules.Insert(cloud.MeteringRule{ID: "rule", LabelID: "own", Direction: cloud.Ingress}),
		)
	})
	w.step()
	var ids []string
	for _, m := range w.node.routers[0].Meters {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	if !slices.Equal(ids, []string{"own", "shared"}) {
		t.Errorf("it counts under %v", ids)
	}
}
