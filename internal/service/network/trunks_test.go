package network_test

import (
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/network"
	"hearth/internal/store"
)

// trunkHouse is a house with a trunk: a parent port, and ports to be sub-ports.
type trunkHouse struct {
	*house
	trunk  network.TrunkView
	parent cloud.Port
	ports  []cloud.Port
}

func newTrunkHouse(t *testing.T) *trunkHouse {
	t.Helper()
	h := &trunkHouse{house: newHouse(t)}
	for range 3 {
		n := must(h.CreateNetworks(h.ctx, alice, network.NetworkCreate{Name: "n"}))(t)[0]
		h.ports = append(h.ports, must(h.CreatePorts(h.ctx, alice, network.PortCreate{NetworkID: n.ID}))(t)[0])
	}
	h.parent, h.ports = h.ports[0], h.ports[1:]
	h.trunk = must(h.CreateTrunks(h.ctx, alice, network.TrunkCreate{PortID: h.parent.ID}))(t)[0]
	return h
}

func vlan(port cloud.Port, id int) network.SubPortRequest {
	kind := "vlan"
	return network.SubPortRequest{PortID: port.ID, Type: &kind, VLAN: &id}
}

func (h *trunkHouse) add(subs ...network.SubPortRequest) error {
	_, err := h.AddSubPorts(h.ctx, alice, h.trunk.ID, subs)
	return err
}

func TestTrunkTakesAndFreesPorts(t *testing.T) {
	h := newTrunkHouse(t)
	v := must(h.AddSubPorts(h.ctx, alice, h.trunk.ID, []network.SubPortRequest{vlan(h.ports[0], 100), vlan(h.ports[1], 200)}))(t)
	if len(v.SubPorts) != 2 || v.Revision != 2 || v.Status != cloud.TrunkDown {
		t.Errorf("the trunk is %+v", v)
	}
	p := must(h.GetPort(h.ctx, alice, h.ports[0].ID))(t)
	if p.DeviceID != h.trunk.ID || p.DeviceOwner != cloud.OwnerSubPort {
		t.Errorf("the sub-port is %q's, %q", p.DeviceID, p.DeviceOwner)
	}
	details := must(h.TrunkDetails(h.ctx, h.parent.ID))(t)[h.parent.ID]
	if len(details.SubPorts) != 2 || details.SubPorts[0].MAC != h.ports[0].MAC || details.TrunkID != h.trunk.ID {
		t.Errorf("details %+v", details)
	}
	refused(t, h.DeletePort(h.ctx, alice, h.ports[0].ID), cloud.Conflict, "PortInUseAsSubPort")
	refused(t, h.DeletePort(h.ctx, alice, h.parent.ID), cloud.Conflict, "PortInUseAsTrunkParent")
	v = must(h.RemoveSubPorts(h.ctx, alice, h.trunk.ID, []string{h.ports[0].ID}))(t)
	if len(v.SubPorts) != 1 || v.SubPorts[0].VLAN != 200 {
		t.Errorf("left are %+v", v.SubPorts)
	}
	if err := h.DeleteTrunk(h.ctx, alice, h.trunk.ID); err != nil {
		t.Fatal(err)
	}
	for _, p := range h.ports {
		if p = must(h.GetPort(h.ctx, alice, p.ID))(t); p.DeviceID != "" || p.DeviceOwner != "" {
			t.Errorf("a freed port is %q's, %q", p.DeviceID, p.DeviceOwner)
		}
	}
}

func TestTrunkRefusals(t *testing.T) {
	h := newTrunkHouse(t)
	if err := h.add(vlan(h.ports[0], 100)); err != nil {
		t.Fatal(err)
	}
	kind := "vxlan"
	for _, c := range []struct {
		sub  network.SubPortRequest
		kind cloud.Kind
		name string
	}{
		{vlan(h.ports[1], 100), cloud.Conflict, "DuplicateSubPort"},
		{vlan(h.ports[0], 101), cloud.Conflict, "TrunkPortInUse"},
		{vlan(h.parent, 101), cloud.Conflict, "ParentPortInUse"},
		{vlan(cloud.Port{ID: cloud.NewID()}, 101), cloud.NotFound, "PortNotFound"},
		{vlan(h.ports[1], 0), cloud.Invalid, "InvalidInput"},
		{vlan(h.ports[1], 4095), cloud.Invalid, "InvalidInput"},
		{network.SubPortRequest{PortID: h.ports[1].ID}, cloud.Invalid, "InvalidInput"},
		{network.SubPortRequest{PortID: h.ports[1].ID, Type: &kind, VLAN: new(int)}, cloud.Invalid, "InvalidInput"},
	} {
		refused(t, h.add(c.sub), c.kind, c.name)
	}
	small := 1400
	if _, err := h.UpdateNetwork(h.ctx, alice, h.parent.NetworkID, network.NetworkUpdate{MTU: &small}); err != nil {
		t.Fatal(err)
	}
	refused(t, h.add(vlan(h.ports[1], 7)), cloud.Conflict, "SubPortMtuGreaterThanTrunkPortMtu")
	_, err := h.CreateTrunks(h.ctx, alice, network.TrunkCreate{PortID: h.parent.ID})
	refused(t, err, cloud.Conflict, "ParentPortInUse")
	_, err = h.CreateTrunks(h.ctx, alice, network.TrunkCreate{PortID: h.ports[0].ID})
	refused(t, err, cloud.Conflict, "TrunkPortInUse")
	_, err = h.GetTrunk(h.ctx, bob, h.trunk.ID)
	refused(t, err, cloud.NotFound, "TrunkNotFound")
	down := false
	must(h.UpdateTrunk(h.ctx, alice, h.trunk.ID, network.TrunkUpdate{AdminStateUp: &down}))(t)
	refused(t, h.DeleteTrunk(h.ctx, alice, h.trunk.ID), cloud.Conflict, "TrunkDisabled")
	refused(t, h.add(vlan(h.ports[1], 7)), cloud.Conflict, "TrunkDisabled")
}

// TestTrunkEndsWithItsParent removes the parent as a server's end does.
func TestTrunkEndsWithItsParent(t *testing.T) {
	h := newTrunkHouse(t)
	if err := h.add(vlan(h.ports[0], 100)); err != nil {
		t.Fatal(err)
	}
	if err := h.store.Update(h.ctx, func(tx *store.Tx) error { return h.DeletePortTx(tx, h.parent) }); err != nil {
		t.Fatal(err)
	}
	_, err := h.GetTrunk(h.ctx, alice, h.trunk.ID)
	refused(t, err, cloud.NotFound, "TrunkNotFound")
	if p := must(h.GetPort(h.ctx, alice, h.ports[0].ID))(t); p.DeviceID != "" {
		t.Errorf("the sub-port is still %s's", p.DeviceID)
	}
}

func TestTrunkStatus(t *testing.T) {
	guest := cloud.Port{Host: "n", Up: true}
	for want, got := range map[string]string{
		cloud.TrunkDown:   cloud.Trunk{}.Status(cloud.Port{}, nil),
		cloud.TrunkActive: cloud.Trunk{}.Status(guest, []cloud.Port{{Up: true}}),
		cloud.TrunkBuild:  cloud.Trunk{}.Status(guest, []cloud.Port{{Up: true}, {}}),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
