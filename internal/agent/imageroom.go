package agent

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strconv"
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

	making sync.Mutex // held by the one who makes room; never waited for by who has an image locked
	mu     sync.Mutex // for all below
	coming map[string]*arrival
	used   map[string]int // when an image was asked for last, counted
	turn   int
}

// arrival is an image on its way, or something that is kept beside one.
type arrival struct {
	bytes int64 // that it may need
	by    int   // how many bring it
}

func newRoomy(a *Agent, limit int64) *roomy {
	r := &roomy{Driver: a.Storage, agent: a, limit: limit, coming: map[string]*arrival{}, used: map[string]int{}}
	if d, ok := a.Storage.(storage.Keeper); ok {
		d.KeepIf(r.keep)
	}
	return r
}

// EnsureImage implements storage.Driver.
func (r *roomy) EnsureImage(ctx context.Context, ref cloud.ImageRef, path string, open func() (io.ReadCloser, error)) (storage.Image, error) {
	done, err := r.reserve(ctx, ref, needs(ref, path))
	if err != nil {
		return storage.Image{}, err
	}
	defer done()
	return r.Driver.EnsureImage(ctx, ref, path, open)
}

// needs is what an image may need at the most, in bytes. One that is converted lies there
// twice for a while, unless its source is a file of this host; of an OVA the disk in it
// is taken out first.
func needs(ref cloud.ImageRef, path string) int64 {
	asIs, err := storage.AsIs(ref)
	switch {
	case asIs || err != nil:
		return ref.Size
	case path == "" && ref.Format == cloud.ContainerOVA:
		return 2*ref.Size + max(ref.Size, ref.VirtualSize)
	case path == "" || ref.Format == cloud.ContainerOVA:
		return ref.Size + max(ref.Size, ref.VirtualSize)
	}
	return max(ref.Size, ref.VirtualSize)
}

// reserve makes room for an image that is not here; done gives it back when it is.
func (r *roomy) reserve(ctx context.Context, ref cloud.ImageRef, need int64) (done func(), err error) {
	r.making.Lock()
	defer r.making.Unlock()
	r.mu.Lock()
	r.turn++
	r.used[ref.Digest] = r.turn
	r.mu.Unlock()
	return r.makeRoom(ctx, ref, need)
}

// makeRoom drops images until one of so many bytes fits, and reserves that. An image that
// is here already needs none, one that another brings has it.
func (r *roomy) makeRoom(ctx context.Context, ref cloud.ImageRef, need int64) (done func(), err error) {
	digest := ref.Digest
	stay := map[string]bool{digest: true} // those that cannot go
	for {
		have, others, done, err := r.tryRoom(ctx, digest, need)
		if err != nil || done != nil {
			return done, err
		}
		next := slices.IndexFunc(have, func(img kept) bool { return !stay[img.Digest] })
		if next < 0 {
			return nil, cloud.E("agent.EnsureImage", cloud.NoCapacity, "there is no room for image %s in this node's cache of images: it may need %d MiB, guests use or fetch %d MiB, and the limit (compute.image_cache_gb) is %d MiB: raise it, or delete servers of other images",
				cmp.Or(ref.ID, digest), need>>20, others>>20, r.limit>>20)
		}
		img := have[next]
		stay[img.Digest] = true // for if it is not gone, trying again helps nothing
		gone, err := r.drop(ctx, img.Digest)
		if err != nil {
			return nil, err
		}
		if gone {
			r.agent.Log.Info("an image leaves the cache, which has a limit", "digest", img.Digest, "bytes", img.Bytes, "limit", r.limit)
		}
	}
}

// tryRoom reserves room for an image if there is as much now: done is not nil then. Else it
// gives what is there, that unused the longest first, and what all else takes, in bytes.
func (r *roomy) tryRoom(ctx context.Context, digest string, need int64) (have []kept, others int64, done func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	have, others, err = r.taken(ctx)
	if err != nil {
		return nil, 0, nil, err
	}
	here := slices.ContainsFunc(have, func(img kept) bool { return img.Digest == digest })
	if a := r.coming[digest]; a != nil {
		a.by++
	} else if here {
		return nil, 0, func() {}, nil
	} else if others+need <= r.limit {
		r.coming[digest] = &arrival{bytes: need, by: 1}
	} else {
		slices.SortFunc(have, func(a, b kept) int { // since the agent began, and before by what the driver knows
			return cmp.Or(cmp.Compare(r.used[a.Digest], r.used[b.Digest]), a.last.Compare(b.last), a.At.Compare(b.At))
		})
		return have, others, nil, nil
	}
	return nil, 0, func() { r.arrived(digest) }, nil
}

// taken is what there is and what it takes, with what is on its way, in bytes. r.mu is held.
func (r *roomy) taken(ctx context.Context) (have []kept, bytes int64, err error) {
	have, err = r.agent.cached(ctx)
	for _, a := range r.coming {
		bytes += a.bytes
	}
	for _, img := range have {
		if r.coming[img.Digest] == nil {
			bytes += img.Bytes
		}
	}
	return have, bytes, err
}

// arrived gives back what was reserved, when the last who brought it is done.
func (r *roomy) arrived(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.coming[name].by--; r.coming[name].by == 0 {
		delete(r.coming, name)
	}
}

// keep is a storage.Keeper's question. Nothing leaves for what may be made anew.
func (r *roomy) keep(ctx context.Context, bytes int64) (done func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, others, err := r.taken(ctx)
	if err != nil || others+bytes > r.limit {
		return nil, false
	}
	r.turn++
	name := "kept " + strconv.Itoa(r.turn)
	r.coming[name] = &arrival{bytes: bytes, by: 1}
	return func() { r.arrived(name) }, true
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

// trim makes the cache keep a limit that was lowered, as far as guests let it.
func (r *roomy) trim(ctx context.Context) error {
	r.making.Lock()
	defer r.making.Unlock()
	done, err := r.makeRoom(ctx, cloud.ImageRef{}, 0)
	if done != nil {
		done()
	}
	if cloud.Is(err, cloud.NoCapacity) {
		return nil
	}
	return err
}
