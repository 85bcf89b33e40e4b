package reconcile

import (
	"context"
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// swap announces that v2 takes the place of v1, as the compute service does.
func (w *world) swap() {
	w.attach("a", "v2", func(a *cloud.VolumeAttachment) { a.Swaps = "v1" })
	w.detach("a", "v1")
}

func swapping(t *testing.T) *world {
	w := newWorld(t)
	w.want("a", 512)
	w.step()
	w.attach("a", "v1", func(a *cloud.VolumeAttachment) { a.DeleteOnTermination = true })
	w.step()
	w.report("a", cloud.InstanceRunning, "")
	w.wantVolume("v1", cloud.VolumeInUse, cloud.AttachmentAttached)
	w.swap()
	w.wantVolume("v1", cloud.VolumeDetaching, cloud.AttachmentAttached)
	w.wantVolume("v2", cloud.VolumeAttaching, cloud.AttachmentAttaching)
	w.step()
	spec := w.node.specs[len(w.node.specs)-1]
	if len(spec.Volumes) != 1 || spec.Volumes[0].VolumeID != "v2" || spec.Volumes[0].Swaps != "v1" || spec.Volumes[0].SwapsDisk != "volume-v1" {
		t.Fatalf("%+v", spec.Volumes)
	}
	return w
}

func TestSwapIsFollowed(t *testing.T) {
	w := swapping(t)
	w.report("a", cloud.InstanceRunning, "")
	w.wantVolume("v1", cloud.VolumeAvailable, "")
	w.wantVolume("v2", cloud.VolumeInUse, cloud.AttachmentAttached)
	w.step()
	if spec := w.node.specs[len(w.node.specs)-1]; len(spec.Volumes) != 1 || spec.Volumes[0].Swaps != "" {
		t.Errorf("the node would copy again: %+v", spec.Volumes)
	}
	err := w.Store.View(t.Context(), func(tx *store.Tx) error {
		a, err := tx.VolumeAttachments.Get("at-v2")
		if err != nil || a.Swaps != "" || !a.DeleteOnTermination {
			t.Errorf("%+v, %v", a, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSwapThatFailsIsTakenBack(t *testing.T) {
	w := swapping(t)
	w.says("a", func(st *cloud.InstanceStatus) {
		st.Generation, st.Volumes, st.Refused = w.server("a").Intent.Generation, []string{"v1"}, map[string]string{"v2": "the disk is full"}
	})
	w.wantVolume("v1", cloud.VolumeInUse, cloud.AttachmentAttached)
	w.wantVolume("v2", cloud.VolumeAvailable, "")
	w.step()
	if spec := w.node.specs[len(w.node.specs)-1]; len(spec.Volumes) != 1 || spec.Volumes[0].VolumeID != "v1" {
		t.Errorf("%+v", spec.Volumes)
	}
}

// CacheImage notes which images the node was asked to have.
func (n *scriptedNode) CacheImage(_ context.Context, ref cloud.ImageRef) error {
	n.cached = append(n.cached, ref.ID)
	return n.fail
}

// DropImage notes which images the node was asked to drop.
func (n *scriptedNode) DropImage(_ context.Context, digest string) error {
	n.cached = append(n.cached, "not "+digest)
	return n.fail
}

func TestImagesLeaveTheCache(t *testing.T) {
	w := newWorld(t)
	w.write(func(tx *store.Tx) error {
		h, err := tx.Hosts.Get("node-1")
		h.Uncache, h.Seen.Images = []string{"a", "b"}, []cloud.CachedImage{{Digest: "a"}, {Digest: "c"}}
		return firstError(err, tx.Hosts.Update(h))
	})
	left := func() (h cloud.Host) {
		if err := w.Uncache(t.Context()); err != nil {
			t.Error(err)
		}
		w.write(func(tx *store.Tx) (err error) {
			h, err = tx.Hosts.Get("node-1")
			return err
		})
		return h
	}
	w.node.fail = cloud.E("node", cloud.Conflict, "a disk reads from it")
	if h := left(); len(h.Uncache) != 2 || len(h.Seen.Images) != 2 {
		t.Errorf("what is needed is forgotten: %+v", h)
	}
	w.node.fail = nil
	if h := left(); len(h.Uncache) != 0 || len(h.Seen.Images) != 1 || h.Seen.Images[0].Digest != "c" {
		t.Errorf("%+v", h)
	}
}

func TestImagesAreCachedAhead(t *testing.T) {
	w := newWorld(t)
	w.write(func(tx *store.Tx) error {
		h, err := tx.Hosts.Get("node-1")
		h.Precache = []string{"i1", "gone", "i2"}
		img := func(id string) cloud.Image {
			return cloud.Image{ID: id, Status: cloud.ImageActive, Digest: "sha512:x", DiskFormat: "raw"}
		}
		return firstError(err, tx.Hosts.Update(h), tx.Images.Insert(img("i1")), tx.Images.Insert(img("i2")))
	})
	for i := range 4 {
		if i == 2 {
			w.node.fail = cloud.E("node", cloud.Unsupported, "a format of others")
		}
		some, err := w.Precache(t.Context())
		if err != nil || some != (i < 3) {
			t.Errorf("%d: %v, %v", i, some, err)
		}
	}
	if !slices.Equal(w.node.cached, []string{"i1", "i2"}) {
		t.Errorf("%v", w.node.cached)
	}
}
