package reconcile

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
	"hearth/internal/vault"
)

// volumeNode keeps disks as sizes.
type volumeNode struct {
	*scriptedNode
	disks map[string]int64
	fail  error
}

func (n *volumeNode) ApplyVolume(_ context.Context, spec cloud.VolumeSpec) (cloud.VolumeStatus, error) {
	size, there := n.disks[spec.ID]
	from, have := n.disks[spec.From]
	switch {
	case n.fail != nil:
		return cloud.VolumeStatus{}, n.fail
	case !there && (spec.Made || spec.From != "" && !have):
		return cloud.VolumeStatus{}, cloud.E("node", cloud.NotFound, "there is no such disk")
	}
	n.disks[spec.ID] = max(size, from, spec.SizeBytes)
	return cloud.VolumeStatus{ID: spec.ID, Path: "/" + spec.ID, Format: "raw", SizeBytes: n.disks[spec.ID]}, nil
}

func (n *volumeNode) RemoveVolume(_ context.Context, id string) error {
	if n.fail == nil {
		delete(n.disks, id)
	}
	return n.fail
}

func (n *volumeNode) ReadVolume(context.Context, string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("bytes")), n.fail
}

// taker is an image service that keeps what it is given.
type taker struct {
	got     map[string]string
	deleted []string
	fail    error
}

func (k *taker) Upload(_ context.Context, c cloud.Caller, id string, body io.Reader, _ int64) error {
	if k.fail != nil {
		return k.fail
	}
	data, err := io.ReadAll(body)
	k.got[id] = c.ProjectID + ":" + string(data)
	return err
}

func (k *taker) Delete(_ context.Context, _ cloud.Caller, id string) error {
	k.deleted = append(k.deleted, id)
	return nil
}

// newVolumeWorld is a world whose node keeps volumes.
func newVolumeWorld(t *testing.T) (*world, *volumeNode, *taker) {
	w := newWorld(t)
	n := &volumeNode{scriptedNode: w.node, disks: map[string]int64{}}
	w.Fleet.Join("node-1", n)
	k := &taker{got: map[string]string{}}
	w.Images = k
	return w, n, k
}

func (w *world) addVolume(v cloud.Volume) {
	w.t.Helper()
	v.ProjectID, v.CreatedAt, v.NextAttemptAt = "p", w.clock.Now(), w.clock.Now()
	w.write(func(tx *store.Tx) error { return tx.Volumes.Insert(v) })
}

// chores does all that is due, once.
func (w *world) chores() int {
	w.t.Helper()
	due, err := w.DueVolumes(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range due {
		c.do(w.t.Context(), c.id)
	}
	return len(due)
}

// volume reads a volume back; the zero one when it is gone.
func (w *world) volume(id string) (v cloud.Volume) {
	w.t.Helper()
	err := w.Store.View(w.t.Context(), func(tx *store.Tx) (err error) {
		v, err = tx.Volumes.Get(id)
		return err
	})
	if err != nil && !cloud.Is(err, cloud.NotFound) {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) changeVolume(id string, fn func(*cloud.Volume)) {
	w.t.Helper()
	v := w.volume(id)
	fn(&v)
	v.NextAttemptAt = w.clock.Now()
	w.write(func(tx *store.Tx) error { return tx.Volumes.Update(v) })
}

func (w *world) wantStatus(id, want string) {
	w.t.Helper()
	if got := w.volume(id).Status(nil); got != want {
		w.t.Fatalf("volume %s is %s, want %s: %+v", id, got, want, w.volume(id))
	}
}

func TestAVolumeLives(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	w.addVolume(cloud.Volume{ID: "a", SizeGB: 1})
	w.wantStatus("a", cloud.VolumeCreating)
	w.chores()
	w.wantStatus("a", cloud.VolumeAvailable)
	if v := w.volume("a"); v.Node != "node-1" || v.Seen.Path == "" || n.disks["volume-a"] != cloud.GiB {
		t.Errorf("%+v, %v", v, n.disks)
	}
	if w.chores() != 0 {
		t.Error("there is more to do with a volume at rest")
	}
	w.changeVolume("a", func(v *cloud.Volume) { v.SizeGB = 3 })
	w.wantStatus("a", cloud.VolumeExtending)
	w.chores()
	w.wantStatus("a", cloud.VolumeAvailable)
	if n.disks["volume-a"] != 3*cloud.GiB {
		t.Errorf("%v", n.disks)
	}
	w.changeVolume("a", func(v *cloud.Volume) { v.Deleted = true })
	w.chores()
	if w.volume("a").ID != "" || len(n.disks) > 0 {
		t.Errorf("left: %+v, %v", w.volume("a"), n.disks)
	}
}

// TestWhatAVolumeIsMadeFromStays deletes the source while a clone is still to be
// made: the source waits.
func TestWhatAVolumeIsMadeFromStays(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	w.addVolume(cloud.Volume{ID: "a", SizeGB: 1})
	w.chores()
	w.addVolume(cloud.Volume{ID: "b", SizeGB: 2, SourceID: "a", Node: "node-1"})
	w.changeVolume("a", func(v *cloud.Volume) { v.Deleted = true })
	w.ProcessVolume(t.Context(), "a")
	if w.volume("a").ID == "" {
		t.Fatal("the source went before its clone was made")
	}
	w.ProcessVolume(t.Context(), "b")
	w.wantStatus("b", cloud.VolumeAvailable)
	w.clock.Advance(2 * time.Second)
	w.chores()
	if w.volume("a").ID != "" || n.disks["volume-b"] != 2*cloud.GiB {
		t.Errorf("%+v, %v", w.volume("a"), n.disks)
	}
}

func TestAFailureThatPassesIsTriedAgain(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	n.fail = cloud.E("node", cloud.Unavailable, "the line is cut")
	w.addVolume(cloud.Volume{ID: "a", SizeGB: 1})
	w.chores()
	w.wantStatus("a", cloud.VolumeCreating)
	if w.chores() != 0 {
		t.Error("it is tried again at once")
	}
	n.fail = nil
	w.clock.Advance(time.Minute)
	w.chores()
	w.wantStatus("a", cloud.VolumeAvailable)
}

// TestANodeThatIsSlowToCome asks for a volume before any node has told of its storage.
func TestANodeThatIsSlowToCome(t *testing.T) {
	w, _, _ := newVolumeWorld(t)
	w.write(func(tx *store.Tx) error { return tx.Hosts.Delete("node-1") })
	w.addVolume(cloud.Volume{ID: "early", SizeGB: 1})
	w.chores()
	w.wantStatus("early", cloud.VolumeCreating)
	w.clock.Advance(time.Minute)
	if err := w.ObserveHost(t.Context(), "node-1", w.node); err != nil {
		t.Fatal(err)
	}
	w.chores()
	w.wantStatus("early", cloud.VolumeAvailable)
}

func TestAFailureForGoodIsTold(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	w.addVolume(cloud.Volume{ID: "far", SizeGB: 1, AvailabilityZone: "mars"})
	w.addVolume(cloud.Volume{ID: "a", SizeGB: 1})
	w.chores()
	w.wantStatus("far", cloud.VolumeError)
	n.fail = cloud.E("node", cloud.NoCapacity, "the disk is full")
	w.changeVolume("a", func(v *cloud.Volume) { v.SizeGB = 5 })
	w.chores()
	w.wantStatus("a", cloud.VolumeErrorExtending)
	if v := w.volume("a"); v.SizeGB != 1 {
		t.Errorf("the quota still counts %d GB", v.SizeGB)
	}
	var said []cloud.VolumeMessage
	_ = w.Store.View(t.Context(), func(tx *store.Tx) (err error) {
		said, err = tx.VolumeMessages.List(store.Query{})
		return err
	})
	if len(said) != 2 || said[0].ProjectID != "p" {
		t.Errorf("messages: %+v", said)
	}
}

// TestALostVolumeIsNotMadeAnew grows a volume whose disk has vanished.
func TestALostVolumeIsNotMadeAnew(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	w.addVolume(cloud.Volume{ID: "a", SizeGB: 1})
	w.chores()
	clear(n.disks)
	w.changeVolume("a", func(v *cloud.Volume) { v.SizeGB = 2 })
	w.chores()
	w.wantStatus("a", cloud.VolumeErrorExtending)
	if len(n.disks) > 0 {
		t.Errorf("made: %v", n.disks)
	}
}

func TestSnapshotsAndTheirVolumes(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	w.addVolume(cloud.Volume{ID: "a", SizeGB: 1})
	w.chores()
	snap := cloud.Snapshot{ID: "s", VolumeID: "a", SizeGB: 1, Node: "node-1", NextAttemptAt: w.clock.Now()}
	w.write(func(tx *store.Tx) error { return tx.Snapshots.Insert(snap) })
	w.changeVolume("a", func(v *cloud.Volume) { v.Deleted = true }) // as with cascade
	w.ProcessVolume(t.Context(), "a")
	if w.volume("a").ID == "" {
		t.Fatal("the volume went before its snapshot was made")
	}
	w.chores()
	if _, ok := n.disks["snapshot-s"]; !ok {
		t.Fatalf("%v", n.disks)
	}
	w.addVolume(cloud.Volume{ID: "b", SizeGB: 1, SnapshotID: "s", Node: "node-1"})
	w.write(func(tx *store.Tx) error {
		s, err := tx.Snapshots.Get("s")
		s.Deleted, s.NextAttemptAt = true, w.clock.Now()
		return firstError(err, tx.Snapshots.Update(s))
	})
	for range 3 {
		w.clock.Advance(2 * time.Second)
		w.chores()
	}
	w.wantStatus("b", cloud.VolumeAvailable)
	if len(n.disks) != 1 || w.volume("a").ID != "" {
		t.Errorf("left: %v", n.disks)
	}
}

func TestUploads(t *testing.T) {
	for _, c := range []struct {
		name            string
		fail            error
		status          string
		deleted, queued bool
	}{
		{"whole", nil, cloud.VolumeAvailable, false, false},
		{"the image was deleted", cloud.E("image", cloud.NotFound, "gone"), cloud.VolumeAvailable, false, false},
		{"refused", cloud.E("image", cloud.Invalid, "no"), cloud.VolumeAvailable, true, false},
		{"broken off", cloud.E("image", cloud.Unavailable, "later"), cloud.VolumeUploading, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _, k := newVolumeWorld(t)
			w.addVolume(cloud.Volume{ID: "a", SizeGB: 1})
			w.chores()
			k.fail = c.fail
			w.changeVolume("a", func(v *cloud.Volume) { v.UploadID = "i" })
			w.write(func(tx *store.Tx) error {
				return tx.VolumeUploads.Insert(cloud.VolumeUpload{ImageID: "i", VolumeID: "a", ProjectID: "p", NextAttemptAt: w.clock.Now()})
			})
			w.wantStatus("a", cloud.VolumeUploading)
			w.chores()
			w.wantStatus("a", c.status)
			left := 0
			_ = w.Store.View(t.Context(), func(tx *store.Tx) (err error) {
				left, err = tx.VolumeUploads.Count()
				return err
			})
			if (len(k.deleted) > 0) != c.deleted || (left > 0) != c.queued || c.fail == nil && k.got["i"] != "p:bytes" {
				t.Errorf("deleted %v, left %d, got %v", k.deleted, left, k.got)
			}
		})
	}
}

// keyed is a node that writes down what it was asked for.
type keyed struct {
	*volumeNode
	asked []cloud.VolumeSpec
}

func (n *keyed) ApplyVolume(ctx context.Context, spec cloud.VolumeSpec) (cloud.VolumeStatus, error) {
	n.asked = append(n.asked, spec)
	return n.volumeNode.ApplyVolume(ctx, spec)
}

// TestKeysGoToNodes: with what is to be encrypted, and not with what is there, or is a
// copy of what is.
func TestKeysGoToNodes(t *testing.T) {
	w, n, _ := newVolumeWorld(t)
	node, keys := &keyed{volumeNode: n}, vault.New()
	w.Fleet.Join("node-1", node)
	key := &cloud.VolumeKey{ID: "k", Bits: 256, Sealed: keys.Seal("open sesame", "k")}
	w.addVolume(cloud.Volume{ID: "a", SizeGB: 1, Key: key})
	w.chores()
	if len(node.asked) != 0 || w.volume("a").Seen.Ready {
		t.Fatalf("without the key file a volume was made: %+v", node.asked)
	}
	w.Keys = keys
	w.clock.Advance(time.Minute)
	w.chores()
	w.wantStatus("a", cloud.VolumeAvailable)
	w.changeVolume("a", func(v *cloud.Volume) { v.SizeGB = 2 })
	w.chores()
	w.addVolume(cloud.Volume{ID: "b", SizeGB: 2, SourceID: "a", Node: "node-1", Key: key})
	w.chores()
	w.changeVolume("b", func(v *cloud.Volume) {
		v.Refill = &cloud.VolumeRefill{Image: cloud.ImageRef{ID: "i", Digest: "sha512:x"}}
	})
	w.chores()
	var got []cloud.Secret
	for _, spec := range node.asked {
		got = append(got, spec.Key)
	}
	if want := []cloud.Secret{"open sesame", "", "", "open sesame"}; !slices.Equal(got, want) {
		t.Errorf("keys went with %d asked, %d with a key: %+v", len(got), len(want), node.asked)
	}
}
