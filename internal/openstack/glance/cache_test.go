package glance_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/blob"
	"hearth/internal/openstack/glance"
	"hearth/internal/openstack/wire"
	"hearth/internal/openstack/wire/wiretest"
	"hearth/internal/service/image"
	"hearth/internal/store"
)

// TestCache plays the nodes: what they are asked, and what the cache is told to be when
// they report.
func TestCache(t *testing.T) {
	st, err := store.Open(context.Background(), "sqlite::memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	blobs, err := blob.Open(filepath.Join(t.TempDir(), "images"))
	if err != nil {
		t.Fatal(err)
	}
	host := func(name string, change func(*cloud.Host)) (h cloud.Host) {
		err := st.Update(t.Context(), func(tx *store.Tx) (err error) {
			if h, err = tx.Hosts.Get(name); cloud.Is(err, cloud.NotFound) {
				h, err = cloud.Host{Name: name, ID: name}, nil
			}
			change(&h)
			return firstOf(err, tx.Hosts.Put(h))
		})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	look := func(*cloud.Host) {}
	host("a", look)
	host("b", look)
	all := wiretest.New(t, glance.API(image.New(st, cloud.NewFakeClock(), blobs, image.Options{})))
	admin, member := all.As(wiretest.Admin("p1")), all.As(wiretest.Member("p1"))
	member.Do("GET", "/image/v2/cache", nil).Want(t, 403)
	id := member.Do("POST", "/image/v2/images", wire.M{"name": "x", "disk_format": "raw", "container_format": "bare"}).Want(t, 201).Text("id")
	one := "/image/v2/cache/" + id
	admin.Do("PUT", "/image/v2/cache/none", nil).Want(t, 404)
	admin.Do("PUT", one, nil).Want(t, 400)
	member.With("Content-Type", "application/octet-stream").Do("PUT", "/image/v2/images/"+id+"/file", "ember").Want(t, 204)
	member.Do("PUT", one, nil).Want(t, 403)
	admin.Do("PUT", one, nil).Want(t, 202)
	if got := admin.Do("GET", "/image/v2/cache", nil).Want(t, 200); got.Text("queued_images", 0) != id || got.Get("queued_images", 1) != nil || got.Get("cached_images", 0) != nil {
		t.Errorf("queued: %s", got.Body)
	}
	if h := host("b", look); len(h.Precache) != 1 || h.Precache[0] != id {
		t.Errorf("b is asked for %v", h.Precache)
	}
	var digest string
	_ = st.View(t.Context(), func(tx *store.Tx) error {
		img, err := tx.Images.Get(id)
		digest = img.Digest
		return err
	})
	at := time.Date(2026, 1, 2, 3, 4, 5, 500_000_000, time.UTC)
	for _, name := range []string{"a", "b"} {
		host(name, func(h *cloud.Host) {
			h.Precache, h.Seen.Images = nil, []cloud.CachedImage{{Digest: digest, At: at, Hits: 2}, {Digest: "of a deleted image"}}
		})
	}
	got := admin.Do("GET", "/image/v2/cache", nil).Want(t, 200)
	if got.Text("cached_images", 0, "image_id") != id || got.Get("cached_images", 0, "hits") != 4.0 || got.Get("cached_images", 0, "size") != 5.0 ||
		got.Get("cached_images", 0, "last_modified") != 1767323045.5 || got.Get("cached_images", 1) != nil {
		t.Errorf("cached: %s", got.Body)
	}
	admin.Do("DELETE", one, nil).Want(t, 204)
	if h := host("a", look); len(h.Uncache) != 1 || h.Uncache[0] != digest {
		t.Errorf("a is asked to drop %v", h.Uncache)
	}
	if got := admin.Do("GET", "/image/v2/cache", nil).Want(t, 200); got.Get("cached_images", 0) != nil {
		t.Errorf("dropped: %s", got.Body)
	}
	admin.Do("PUT", one, nil).Want(t, 202)
	if h := host("a", look); len(h.Uncache) != 0 {
		t.Errorf("asked for again, a is asked to drop %v", h.Uncache)
	}
	admin.With("X-Image-Cache-Clear-Target", "invalid").Do("DELETE", "/image/v2/cache", nil).Want(t, 400)
	admin.With("X-Image-Cache-Clear-Target", "queue").Do("DELETE", "/image/v2/cache", nil).Want(t, 204)
	if h := host("a", look); len(h.Uncache) != 0 || len(h.Precache) != 0 {
		t.Errorf("the queue is cleared: %v, %v", h.Uncache, h.Precache)
	}
	admin.Do("DELETE", "/image/v2/cache", nil).Want(t, 204)
	if h := host("a", look); len(h.Uncache) != 2 {
		t.Errorf("all is cleared: %v", h.Uncache)
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
