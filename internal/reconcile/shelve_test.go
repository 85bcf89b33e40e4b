package reconcile

import (
	"context"
	"slices"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// dropped notes which images were deleted.
type dropped struct {
	imageShelf
	gone []string
}

func (d *dropped) Delete(_ context.Context, _ cloud.Caller, id string) error {
	d.gone = append(d.gone, id)
	return nil
}

// shelving is a server that runs and is wanted on the shelf, with its image.
func shelving(t *testing.T) (*world, *dropped) {
	w := newWorld(t)
	images := &dropped{imageShelf: imageShelf{bytes: map[string][]byte{}}}
	w.Images = images
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Shelf, s.Snapshots = &cloud.Shelf{Image: cloud.ImageRef{ID: "i1"}}, []string{"i1"}
		s.Intent.Shelved, s.Intent.Power = true, cloud.PowerOff
		s.Intent.Generation++
		s.NextAttemptAt = w.clock.Now()
		return firstError(err, tx.Servers.Update(s), tx.Images.Insert(cloud.Image{ID: "i1", Status: cloud.ImageQueued}))
	})
	return w, images
}

// imaged has the image get its bytes: what Upload and the observation after it do.
func (w *world) imaged() {
	w.t.Helper()
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Snapshots = nil
		return firstError(err, tx.Servers.Update(s), tx.Images.Put(cloud.Image{ID: "i1", Status: cloud.ImageActive, Digest: "sha512:i1", DiskFormat: "qcow2", Size: 5, VirtualSize: 9}))
	})
}

func TestShelveAndUnshelve(t *testing.T) {
	w, images := shelving(t)
	w.step()
	if s := w.server("a"); s.TaskState() != cloud.TaskShelving {
		t.Fatalf("task %q", s.TaskState())
	}
	w.imaged()
	w.report("a", cloud.InstanceStopped, "")
	delete(w.node.instances, "a") // the node is quick
	w.step()
	s := w.server("a")
	if s.Status() != "SHELVED_OFFLOADED" || s.Node != "" || !slices.Equal(w.node.removed, []string{"a"}) || !s.Settled() || s.Shelf.Image.Digest != "sha512:i1" {
		t.Fatalf("%s on %q, removed %v, task %q, %+v", s.Status(), s.Node, w.node.removed, s.TaskState(), s.Shelf)
	}
	w.write(func(tx *store.Tx) error {
		p, err := tx.Ports.Get("port-a")
		if p.Host != "" || len(p.FixedIPs) != 1 {
			t.Errorf("the port: %+v", p)
		}
		return err
	})
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Intent.Shelved, s.Intent.Offload, s.Intent.Power = false, false, cloud.PowerOn
		s.Intent.Generation++
		s.NextAttemptAt = w.clock.Now()
		return firstError(err, tx.Servers.Update(s))
	})
	if task := w.server("a").TaskState(); task != cloud.TaskUnshelving {
		t.Errorf("task %q", task)
	}
	w.step()
	if spec := w.node.specs[len(w.node.specs)-1]; spec.Image.Digest != "sha512:i1" || w.server("a").Status() != "SHELVED_OFFLOADED" {
		t.Errorf("made anew of %+v, %s", spec.Image, w.server("a").Status())
	}
	w.report("a", cloud.InstanceRunning, "")
	w.step()
	if s := w.server("a"); s.Status() != "ACTIVE" || s.Shelf != nil || len(s.Drop) > 0 || !slices.Equal(images.gone, []string{"i1"}) {
		t.Errorf("%s, %+v, images deleted %v", s.Status(), s.Shelf, images.gone)
	}
}

// A server stays on its host, shelved, for as long as the operator wants.
func TestOffloadLater(t *testing.T) {
	w, _ := shelving(t)
	w.ShelvedOffload = time.Hour
	w.step()
	w.imaged()
	w.report("a", cloud.InstanceStopped, "")
	delete(w.node.instances, "a")
	w.step()
	if s := w.server("a"); s.Status() != "SHELVED" || s.TaskState() != cloud.TaskNone || len(w.node.removed) > 0 {
		t.Fatalf("%s, task %q, removed %v", s.Status(), s.TaskState(), w.node.removed)
	}
	w.clock.Advance(time.Hour)
	if err := w.ObserveHost(t.Context(), "node-1", w.node); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.step()
	}
	if s := w.server("a"); s.Status() != "SHELVED_OFFLOADED" {
		t.Errorf("%s, task %q", s.Status(), s.TaskState())
	}
}

// An image that is deleted before it has its bytes: the server stays as it is, off.
func TestShelveWithoutImage(t *testing.T) {
	w, _ := shelving(t)
	w.step()
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Snapshots = nil
		return firstError(err, tx.Servers.Update(s), tx.Images.Delete("i1"))
	})
	w.report("a", cloud.InstanceStopped, "")
	for range 2 {
		w.step()
	}
	w.report("a", cloud.InstanceStopped, "")
	if s := w.server("a"); s.Status() != "SHUTOFF" || s.Node == "" || s.Shelf != nil {
		t.Errorf("%s on %q, %+v", s.Status(), s.Node, s.Shelf)
	}
}

// Nothing has room: the server stays on the shelf, and can be unshelved later.
func TestUnshelveWithoutRoom(t *testing.T) {
	w, _ := shelving(t)
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Node, s.Snapshots, s.Shelf.Offloaded = "", nil, true
		s.LaunchedAt = &s.CreatedAt
		s.Intent.Shelved, s.Intent.Power = false, cloud.PowerOn
		s.Flavor.MemoryMB = 1 << 20
		return firstError(err, tx.Servers.Update(s))
	})
	w.step()
	if s := w.server("a"); s.Status() != "SHELVED_OFFLOADED" || !s.Settled() || s.Fault != nil {
		t.Errorf("%s, task %q, fault %+v", s.Status(), s.TaskState(), s.Fault)
	}
}

// TestPostedPasswordIsKept: what the guest has posted to its node comes with the
// server when it leaves.
func TestPostedPasswordIsKept(t *testing.T) {
	w, _ := shelving(t)
	w.node.posted = "c2VjcmV0"
	w.step()
	w.imaged()
	w.report("a", cloud.InstanceStopped, "")
	delete(w.node.instances, "a")
	for range 3 {
		w.step()
	}
	if s := w.server("a"); s.Node != "" || s.Posted != "c2VjcmV0" {
		t.Errorf("on %q it has posted %q", s.Node, s.Posted)
	}
}
