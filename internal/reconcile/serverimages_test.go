package reconcile

import (
	"bytes"
	"context"
	"io"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/store"
)

// imageShelf takes images' bytes; it fails while fail is set.
type imageShelf struct {
	bytes map[string][]byte
	fail  error
}

func (s *imageShelf) Upload(_ context.Context, _ cloud.Caller, id string, body io.Reader, _ int64) (err error) {
	if s.fail == nil {
		s.bytes[id], err = io.ReadAll(body)
		return err
	}
	return s.fail
}

func (s *imageShelf) Delete(context.Context, cloud.Caller, string) error { return nil }

func (n *scriptedNode) ReadVolume(_ context.Context, name string) (io.ReadCloser, error) {
	if name != cloud.ServerSnapshotDisk("a", "i1") {
		return nil, cloud.E("node.ReadVolume", cloud.NotFound, "no disk %s", name)
	}
	return io.NopCloser(bytes.NewReader(make([]byte, 1<<20))), nil
}

// copied has the node report a copy of the server's disk.
func (w *world) copied(id string, images ...string) {
	w.t.Helper()
	s := w.server(id)
	status := cloud.InstanceStatus{ID: id, Observation: cloud.Observation{Generation: s.Intent.Generation, State: cloud.InstanceRunning, Snapshots: images}}
	if err := w.Observe(w.t.Context(), "node-1", status); err != nil {
		w.t.Fatal(err)
	}
}

func TestSnapshotIsFetchedAndForgotten(t *testing.T) {
	w := newWorld(t)
	shelf := &imageShelf{bytes: map[string][]byte{}}
	w.Images = shelf
	w.want("a", 512)
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Snapshots, s.NextAttemptAt = []string{"i1", "i2"}, w.clock.Now()
		return firstError(err, tx.Servers.Update(s), tx.Images.Insert(cloud.Image{ID: "i1", Status: cloud.ImageQueued}))
	})
	w.step()
	if spec := w.node.specs[len(w.node.specs)-1]; len(spec.Snapshots) != 2 || w.server("a").TaskState() != cloud.TaskSnapshot {
		t.Fatalf("%+v, task %s", spec.Snapshots, w.server("a").TaskState())
	}
	w.copied("a", "i1", "i2") // i2 has been deleted meanwhile
	if task := w.server("a").TaskState(); task != cloud.TaskUploading {
		t.Errorf("task %s", task)
	}
	shelf.fail = cloud.E("image.Upload", cloud.Unavailable, "not now")
	w.step()
	if s := w.server("a"); len(s.Snapshots) != 2 || s.Attempt != 1 {
		t.Errorf("after a failure: %v, attempt %d", s.Snapshots, s.Attempt)
	}
	shelf.fail = nil
	w.clock.Advance(backOff(0))
	w.step()
	s := w.server("a")
	if len(s.Snapshots) != 0 || s.TaskState() != cloud.TaskNone || len(w.node.specs[len(w.node.specs)-1].Snapshots) != 0 {
		t.Errorf("%v, task %q, spec %+v", s.Snapshots, s.TaskState(), w.node.specs[len(w.node.specs)-1].Snapshots)
	}
	info, err := disk.Detect(bytes.NewReader(shelf.bytes["i1"]), int64(len(shelf.bytes["i1"])))
	if err != nil || info.Format != disk.QCOW2 || info.VirtualSize != 1<<20 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestImageOfAServerThatGoesIsDropped(t *testing.T) {
	w := newWorld(t)
	w.want("a", 512)
	w.write(func(tx *store.Tx) error {
		s, err := tx.Servers.Get("a")
		s.Snapshots = []string{"i1", "i2", "gone"}
		return firstError(err, tx.Servers.Update(s), tx.Images.Insert(cloud.Image{ID: "i1", Status: cloud.ImageQueued}),
			tx.Images.Insert(cloud.Image{ID: "i2", Status: cloud.ImageActive}))
	})
	w.delete("a")
	w.step()
	w.write(func(tx *store.Tx) error {
		n, err := tx.Images.Count()
		if n != 1 || !w.goneRow(tx, "i1") {
			t.Errorf("%d images", n)
		}
		return err
	})
}

// goneRow tells whether an image's row is no more.
func (w *world) goneRow(tx *store.Tx, id string) bool {
	_, err := tx.Images.Get(id)
	return cloud.Is(err, cloud.NotFound)
}
