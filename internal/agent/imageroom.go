package agent

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// roomy is a storage driver whose cache of images has a limit that it is never above:
// before an image comes, others leave, those that were not used for the longest first.
// Images of guests, and those that disks read from, stay; where they leave no room, the
// image is refused. What an image will need is reckoned as its bytes, or, of one that is
// converted here, as its whole disk: how much of that is holes is known afterwards only.
type roomy struct {
	storage.Driver
	agent *Agent
	limit int64 // bytes

	mu     sync.Mutex
	coming map[string]int64 // bytes that images on their way may need, by digest
	used   map[string]int   // when an image was asked for last, counted
	turn   int
}

// EnsureImage implements storage.Driver.
func (r *roomy) EnsureImage(ctx context.Context, ref cloud.ImageRef, path string, open func() (io.ReadCloser, error)) (storage.Image, error) {
	done, err := r.reserve(ctx, ref)
	if err != nil {
		return storage.Image{}, err
	}
	defer done()
	return r.Driver.EnsureImage(ctx, ref, path, open)
}

// reserve makes room for an image that is not here; done gives it back when it is.
func (r *roomy) reserve(ctx context.Context, ref cloud.ImageRef) (done func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn++
	r.used[ref.Digest] = r.turn
	if r.coming[ref.Digest] > 0 {
		return func() {}, nil // the other one who wants it has made room
	}
	need := ref.Size
	if asIs, err := storage.AsIs(ref); err != nil || !asIs {
		need = max(ref.Size, ref.VirtualSize)
	}
	if err := r.makeRoom(ctx, ref.Digest, need); err != nil {
		return nil, err
	}
	r.coming[ref.Digest] = max(need, 1)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.coming, ref.Digest)
	}, nil
}

// makeRoom drops images until one of so many bytes fits. An image that is here already
// needs none.
func (r *roomy) makeRoom(ctx context.Context, digest string, need int64) error {
	have, err := r.agent.cachedImages(ctx)
	if err != nil {
		return err
	}
	total := need
	for _, bytes := range r.coming {
		total += bytes
	}
	for _, img := range have {
		if img.Digest == digest {
			return nil
		}
		if r.coming[img.Digest] == 0 {
			total += img.Bytes
		}
	}
	slices.SortFunc(have, func(a, b cloud.CachedImage) int { // since the agent began, and before by their files
		return cmp.Or(cmp.Compare(r.used[a.Digest], r.used[b.Digest]), a.At.Compare(b.At))
	})
	for _, img := range have {
		if total <= r.limit {
			return nil
		}
		if r.coming[img.Digest] > 0 {
			continue
		}
		gone, err := r.drop(ctx, img.Digest)
		if err != nil {
			return err
		}
		if gone {
			r.agent.Log.Info("an image leaves the cache, which has a limit", "digest", img.Digest, "bytes", img.Bytes, "limit", r.limit)
			total -= img.Bytes
		}
	}
	if total > r.limit && digest != "" {
		return cloud.E("agent.EnsureImage", cloud.NoCapacity, "there is no room for image %s in this node's cache of images: it may need %d MiB, guests use or fetch %d MiB, and the limit (compute.image_cache_gb) is %d MiB",
			digest, need>>20, (total-need)>>20, r.limit>>20)
	}
	return nil
}

// drop removes an image; false while guests use it.
func (r *roomy) drop(ctx context.Context, digest string) (bool, error) {
	remove := func() error { return r.Driver.RemoveImage(ctx, digest) }
	m := r.agent.Instances()
	if m == nil { // the instances are not known yet
		return false, nil
	}
	did, err := m.IfUnwanted(digest, remove)
	if cloud.Is(err, cloud.Conflict) { // a disk reads from it
		return false, nil
	}
	return did && err == nil, err
}

// trim makes the cache keep a limit that was lowered.
func (r *roomy) trim(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.makeRoom(ctx, "", 0)
}
