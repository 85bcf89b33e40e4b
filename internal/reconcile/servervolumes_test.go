package reconcile

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// attach inserts an attachment as the compute service does, of a volume that is
// there, and tells the server.
func (w *world) attach(server, volume string, change func(*cloud.VolumeAttachment)) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		if _, err := tx.Volumes.Get(volume); err != nil {
			v := cloud.Volume{ID: volume, SizeGB: 1, Node: "node-1", Seen: cloud.VolumeSeen{Ready: true, SizeBytes: cloud.GiB}}
			if err := tx.Volumes.Insert(v); err != nil {
				return err
			}
		}
		a := cloud.VolumeAttachment{ID: "at-" + volume, VolumeID: volume, ServerID: server, State: cloud.AttachmentAttaching, Plug: true, CreatedAt: w.clock.Now()}
		if change != nil {
			change(&a)
		}
		return tx.VolumeAttachments.Insert(a)
	})
	w.renew(server)
}

// renew bumps what is wanted of a server, if it is there.
func (w *world) renew(id string) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get(id)
		if err != nil {
			return unlessGone(err)
		}
		s.Intent.Generation++
		s.NextAttemptAt = w.clock.Now()
		return tx.Servers.Update(s)
	})
}

func (w *world) detach(server, volume string) {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		a, err := tx.VolumeAttachments.Get("at-" + volume)
		if err != nil {
			return err
		}
		a.Detaching = true
		v, err := tx.Volumes.Get(volume)
		if err != nil {
			return err
		}
		v.Detaching = true
		return firstError(tx.VolumeAttachments.Update(a), tx.Volumes.Update(v))
	})
	w.renew(server)
}

// useOf reads a volume's status, its attachment's state ("" for none), and how
// many messages there are.
func (w *world) useOf(id string) (status, state string, messages int) {
	w.t.Helper()
	err := w.Store.View(w.t.Context(), func(tx *store.Tx) error {
		v, err := tx.Volumes.Get(id)
		if err != nil {
			return err
		}
		list, err := tx.VolumeAttachments.List(store.Where(store.Eq("volume_id", id)))
		if err != nil {
			return err
		}
		status = v.Status(list)
		for _, a := range list {
			state = a.State
		}
		messages, err = tx.VolumeMessages.Count()
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return status, state, messages
}

func (w *world) wantVolume(id, status, state string) {
	w.t.Helper()
	if gotStatus, gotState, _ := w.useOf(id); gotStatus != status || gotState != state {
		w.t.Errorf("volume %s is %s, its attachment %q; want %s, %q", id, gotStatus, gotState, status, state)
	}
}

// says has the node report what a test makes of the truth.
func (w *world) says(id string, change func(*cloud.InstanceStatus)) {
	w.t.Helper()
	status := w.node.instances[id]
	change(&status)
	w.node.instances[id] = status
	if err := w.Observe(w.t.Context(), "node-1", status); err != nil {
		w.t.Fatal(err)
	}
}

func TestVolumeIsAttachedAndDetached(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.attach("a", "v2", func(a *cloud.VolumeAttachment) { a.Device, a.Tag, a.Bus, a.ReadOnly = "/dev/vdb", "data", "scsi", true })
	w.attach("a", "record", func(a *cloud.VolumeAttachment) { a.Plug, a.State = false, cloud.AttachmentAttached }) // by cinder's own API
	w.wantVolume("v2", cloud.VolumeAttaching, cloud.AttachmentAttaching)
	w.step()
	spec := w.node.specs[len(w.node.specs)-1]
	want := cloud.InstanceVolume{AttachmentID: "at-v2", VolumeID: "v2", Disk: "volume-v2", Device: "/dev/vdb", Tag: "data", Bus: "scsi", ReadOnly: true, SizeGB: 1}
	if !slices.Equal(spec.Volumes, []cloud.InstanceVolume{want}) || spec.Intent.Generation != w.server("a").Intent.Generation {
		t.Fatalf("%+v, %+v", spec.Volumes, spec.Intent)
	}
	w.says("a", func(*cloud.InstanceStatus) {}) // an older observation, still on its way
	w.wantVolume("v2", cloud.VolumeAttaching, cloud.AttachmentAttaching)
	w.report("a", cloud.InstanceRunning, "")
	w.wantVolume("v2", cloud.VolumeInUse, cloud.AttachmentAttached)
	if s := w.server("a"); s.Status() != "ACTIVE" || s.TaskState() != "" {
		t.Errorf("%s, %s", s.Status(), s.TaskState())
	}

	w.detach("a", "v2")
	w.wantVolume("v2", cloud.VolumeDetaching, cloud.AttachmentAttached)
	w.says("a", func(*cloud.InstanceStatus) {}) // it still has it, of the older intent
	w.wantVolume("v2", cloud.VolumeDetaching, cloud.AttachmentAttached)
	w.step()
	if spec := w.node.specs[len(w.node.specs)-1]; len(spec.Volumes) > 0 {
		t.Fatalf("%+v", spec.Volumes)
	}
	w.report("a", cloud.InstanceRunning, "")
	w.wantVolume("v2", cloud.VolumeAvailable, "")
	w.wantVolume("record", cloud.VolumeInUse, cloud.AttachmentAttached)
	if due := w.step(); len(due) > 0 {
		t.Errorf("still due: %v", due)
	}
}

func TestVolumeThatTheGuestKeepsStaysAttached(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.attach("a", "v1", nil)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.detach("a", "v1")
	w.step()
	w.says("a", func(st *cloud.InstanceStatus) {
		st.Generation, st.Refused = w.server("a").Intent.Generation, map[string]string{"v1": "the guest uses it"}
	})
	w.wantVolume("v1", cloud.VolumeInUse, cloud.AttachmentAttached)
	if _, _, messages := w.useOf("v1"); messages != 1 {
		t.Errorf("%d messages", messages)
	}
	if due := w.step(); !slices.Equal(due, []string{"a"}) || len(w.node.specs[len(w.node.specs)-1].Volumes) != 1 {
		t.Errorf("the node was not told: %v", due)
	}
}

func TestVolumeThatCannotBePluggedIsFree(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.attach("a", "v1", nil)
	w.step()
	w.says("a", func(st *cloud.InstanceStatus) {
		st.Generation, st.Refused = w.server("a").Intent.Generation, map[string]string{"v1": "there is no slot free"}
	})
	w.wantVolume("v1", cloud.VolumeAvailable, "")
	if _, _, messages := w.useOf("v1"); messages != 1 {
		t.Errorf("%d messages", messages)
	}
	if due := w.step(); !slices.Equal(due, []string{"a"}) || len(w.node.specs[len(w.node.specs)-1].Volumes) != 0 {
		t.Errorf("the node was not told: %v", due)
	}
}

// TestServerWaitsForItsBootVolume makes a server whose boot volume is yet to be
// made: it is placed where the volume is, once that is there.
func TestServerWaitsForItsBootVolume(t *testing.T) {
	w := newWorld(t)
	w.join("node-2")
	w.write(func(tx *store.Tx) error {
		return tx.Volumes.Insert(cloud.Volume{ID: "v1", SizeGB: 1, Node: "node-2", NextAttemptAt: w.clock.Now()})
	})
	w.want("a", 512)
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.VolumeBoot = true
		return firstError(err, tx.Servers.Update(s))
	})
	w.attach("a", "v0", func(a *cloud.VolumeAttachment) { a.Plug = false }) // on another node, but a record only
	w.attach("a", "v1", func(a *cloud.VolumeAttachment) { a.Boot = true })
	w.step()
	if s := w.server("a"); s.Node != "" || s.Status() != "BUILD" || s.Fault != nil {
		t.Fatalf("%+v", s)
	}
	w.ProcessVolume(t.Context(), "v1")
	if due := w.step(); !slices.Equal(due, []string{"a"}) {
		t.Fatalf("not woken: %v", due)
	}
	if s := w.server("a"); s.Node != "node-2" {
		t.Fatalf("on %q: %+v", s.Node, s.Fault)
	}

	w.want("bb", 512)
	w.attach("bb", "v2", nil) // on node-1
	w.attach("bb", "v3", nil)
	w.write(func(tx *store.Tx) error {
		v, err := tx.Volumes.Get("v3")
		v.Node = "node-2"
		return firstError(err, tx.Volumes.Update(v))
	})
	w.step()
	if s := w.server("bb"); s.Fault == nil || !strings.Contains(s.Fault.Message, "which is on node-2") {
		t.Errorf("%+v", s.Fault)
	}
}

// A volume that grows while a server has it is told in the server's history, once.
func TestExtensionIsInTheHistory(t *testing.T) {
	w := newWorld(t)
	w.join("node-2")
	w.want("a", 512)
	w.attach("a", "v", func(a *cloud.VolumeAttachment) { a.State = cloud.AttachmentAttached })
	w.attach("b", "v2", nil)
	w.write(func(tx *store.Tx) error {
		v, err := tx.Volumes.Get("v")
		v.Node, v.SizeGB, v.NextAttemptAt = "node-2", 2, w.clock.Now()
		return firstError(err, tx.Volumes.Update(v))
	})
	w.ProcessVolume(t.Context(), "v")
	w.ProcessVolume(t.Context(), "v")
	var told []cloud.ActionRecord
	w.write(func(tx *store.Tx) (err error) {
		told, err = tx.Actions.List(store.Where(store.Eq("server_id", "a")))
		return err
	})
	if len(told) != 1 || told[0].Action != "extend_volume" || told[0].FinishedAt == nil || told[0].Error != "" || told[0].RequestID == "" {
		t.Errorf("the history says %+v", told)
	}
}

func TestServerWhoseVolumeFailsFails(t *testing.T) {
	w := newWorld(t)
	w.write(func(tx *store.Tx) error {
		return tx.Volumes.Insert(cloud.Volume{ID: "v1", SizeGB: 1, Fault: "no room"})
	})
	w.want("a", 512)
	w.attach("a", "v1", func(a *cloud.VolumeAttachment) { a.Boot = true })
	w.step()
	if s := w.server("a"); s.Status() != "ERROR" || !strings.Contains(s.Fault.Message, "no room") {
		t.Errorf("%s, %+v", s.Status(), s.Fault)
	}
}

// TestVolumesOfADeletedServer are free again, and those that go with it go; not
// one that has a snapshot.
func TestVolumesOfADeletedServer(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	goes := func(a *cloud.VolumeAttachment) { a.DeleteOnTermination = true }
	w.attach("a", "boot", func(a *cloud.VolumeAttachment) { goes(a); a.Boot = true })
	w.attach("a", "data", nil)
	w.attach("a", "kept", goes)
	w.write(func(tx *store.Tx) error { return tx.Snapshots.Insert(cloud.Snapshot{ID: "s", VolumeID: "kept"}) })
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.detach("a", "data") // meanwhile
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Intent.Deleted, s.NextAttemptAt = true, w.clock.Now()
		return firstError(err, tx.Servers.Update(s))
	})
	w.wantVolume("boot", cloud.VolumeInUse, cloud.AttachmentAttached)
	delete(w.node.instances, "a")
	w.step()
	if !w.gone("a") {
		t.Fatal("the server is still there")
	}
	w.wantVolume("boot", cloud.VolumeDeleting, "")
	w.wantVolume("data", cloud.VolumeAvailable, "")
	w.wantVolume("kept", cloud.VolumeAvailable, "")
}

func TestPortGivenLater(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.write(func(tx *store.Tx) error {
		return tx.Ports.Insert(cloud.Port{ID: "late", NetworkID: "net", MAC: "fa:16:3e:00:01:01", DeviceID: "a", DeviceOwner: cloud.OwnerComputePrefix + "nova",
			CreatedAt: w.clock.Now().Add(time.Second)})
	})
	w.renew("a")
	w.step()
	port := func() (p cloud.Port) {
		_ = w.Store.View(t.Context(), func(tx *store.Tx) (err error) { p, err = tx.Ports.Get("late"); return err })
		return p
	}
	if p := port(); p.Host != "node-1" || p.Up {
		t.Errorf("%+v", p)
	}
	if spec := w.node.networks[len(w.node.networks)-1]; len(spec.Ports) != 2 {
		t.Errorf("the network's spec has %d ports", len(spec.Ports))
	}
	w.report("a", cloud.InstanceRunning, "")
	if !port().Up {
		t.Error("the guest has the NIC, the port is down")
	}
	w.says("a", func(st *cloud.InstanceStatus) { st.Ports = st.Ports[:1] })
	if port().Up {
		t.Error("the guest lost the NIC, the port is up")
	}
}

// join adds a node that makes volumes.
func (w *world) join(name string) {
	w.t.Helper()
	n := &scriptedNode{status: w.node.status, instances: w.node.instances}
	w.Fleet.Join(name, volumeMaker{n})
	if err := w.ObserveHost(w.t.Context(), name, n); err != nil {
		w.t.Fatal(err)
	}
}

// volumeMaker makes every volume at once.
type volumeMaker struct{ *scriptedNode }

func (volumeMaker) ApplyVolume(_ context.Context, spec cloud.VolumeSpec) (cloud.VolumeStatus, error) {
	return cloud.VolumeStatus{ID: spec.ID, SizeBytes: spec.SizeBytes}, nil
}
