package reconcile

import (
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// TestRefusedNICIsTakenBack: a port that was made for the NIC goes, one that its
// owner made is his again, and the action says why; a volume likewise.
func TestRefusedNICIsTakenBack(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	first := slices.Clone(w.server("a").Seen.Ports)
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.PortOrder, s.NICTags = append(slices.Clone(first), "made", "own"), map[string]string{"made": "x"}
		s.Intent.Generation++
		s.NextAttemptAt = w.clock.Now()
		return firstError(err, tx.Servers.Update(s),
			tx.Ports.Insert(cloud.Port{ID: "made", NetworkID: "net", MAC: "fa:16:3e:00:01:01", DeviceID: "a", Host: "node-1", DeviceOwner: "compute:nova"}),
			tx.Ports.Insert(cloud.Port{ID: "own", NetworkID: "net", MAC: "fa:16:3e:00:01:02", DeviceID: "a", Host: "node-1", DeviceOwner: "compute:nova", Preserve: true}),
			tx.Actions.Insert(cloud.ActionRecord{ID: "act", ServerID: "a", Action: "attach_interface", StartedAt: w.clock.Now()}))
	})
	w.step()
	before := w.server("a").Intent.Generation
	w.says("a", func(i *cloud.InstanceStatus) {
		i.Generation, i.Ports, i.Refused = before, first, map[string]string{"made": "no slot is left", "own": "no slot is left"}
	})
	s := w.server("a")
	if !slices.Equal(s.PortOrder, first) || len(s.NICTags) != 0 || s.Intent.Generation == before || s.Status() != "ACTIVE" {
		t.Errorf("the server has %v, %v, generation %d", s.PortOrder, s.NICTags, s.Intent.Generation)
	}
	w.write(func(tx *store.Tx) error {
		if _, err := tx.Ports.Get("made"); !cloud.Is(err, cloud.NotFound) {
			t.Errorf("the port that was made for it stays: %v", err)
		}
		own, err := tx.Ports.Get("own")
		if err == nil && (own.DeviceID != "" || own.Host != "") {
			t.Errorf("its owner's port is still bound: %+v", own)
		}
		act, aerr := tx.Actions.Get("act")
		if aerr == nil && (act.Error == "" || act.FinishedAt == nil) {
			t.Errorf("the action is %+v", act)
		}
		return firstError(err, aerr)
	})
	w.step()
	if spec := w.node.specs[len(w.node.specs)-1]; len(spec.Ports) != len(first) {
		t.Errorf("the node is still told of %+v", spec.Ports)
	}
}

// TestAttachIsOver: an attach that went well is over in the server's history.
func TestAttachIsOver(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.write(func(tx *store.Tx) error {
		return tx.Actions.Insert(cloud.ActionRecord{ID: "act", ServerID: "a", Action: "attach_volume", StartedAt: w.clock.Now()})
	})
	w.attach("a", "v", nil)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.write(func(tx *store.Tx) error {
		act, err := tx.Actions.Get("act")
		if err == nil && (act.Error != "" || act.FinishedAt == nil) {
			t.Errorf("the action is %+v", act)
		}
		return err
	})
}
