package agent

import (
	"context"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

const (
	// imageKeep is how long an image stays in the cache that no instance wants,
	// as nova's remove_unused_original_minimum_age_seconds has it.
	imageKeep = 24 * time.Hour
	// imageBeat is how often the cache is looked through.
	imageBeat = 10 * time.Minute
	// imageSpare is the share of the disks' file system, one in so many, below
	// whose being free no image is kept for later.
	imageSpare = 10
)

// imageCache knows since when the cached images are wanted by nobody. It begins
// anew with the agent: an image stays at worst a day longer.
type imageCache struct {
	mu       sync.Mutex
	unwanted map[string]time.Time // by digest
	uses     map[string]use       // by digest
}

// use is what instances' starts made of a cached image.
type use struct {
	hits int
	at   time.Time
}

// used notes that an instance's start took an image from the cache.
func (a *Agent) used(digest string) {
	a.cache.mu.Lock()
	defer a.cache.mu.Unlock()
	if a.cache.uses == nil {
		a.cache.uses = map[string]use{}
	}
	u := a.cache.uses[digest]
	a.cache.uses[digest] = use{hits: u.hits + 1, at: a.Clock.Now()}
}

// kept is an image in the cache, and when it was brought or asked for last, as far as the
// driver knows: beyond the agent's own end.
type kept struct {
	cloud.CachedImage
	last time.Time
}

// cachedImages are what is in the cache.
func (a *Agent) cachedImages(ctx context.Context) ([]cloud.CachedImage, error) {
	have, err := a.cached(ctx)
	out := make([]cloud.CachedImage, len(have))
	for i, img := range have {
		out[i] = img.CachedImage
	}
	return out, err
}

func (a *Agent) cached(ctx context.Context) ([]kept, error) {
	have, err := a.Storage.Images(ctx)
	if err != nil {
		return nil, err
	}
	a.cache.mu.Lock()
	defer a.cache.mu.Unlock()
	out := make([]kept, len(have))
	for i, img := range have {
		u := a.cache.uses[img.Digest]
		out[i] = kept{cloud.CachedImage{Digest: img.Digest, Bytes: img.VirtualSize, Hits: u.hits, UsedAt: u.at}, img.UsedAt}
		if info, err := os.Stat(img.Path); err == nil {
			out[i].At = info.ModTime()
			if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
				out[i].Bytes = max(img.Bytes, st.Blocks*512)
			}
		}
	}
	return out, nil
}

// DropImage takes an image out of the cache; Conflict while an instance is made of it
// or a disk reads from it. Dropping what is not there is no error.
func (a *Agent) DropImage(ctx context.Context, digest string) error {
	have, err := a.Storage.Images(ctx)
	if err != nil || !slices.ContainsFunc(have, func(img storage.Image) bool { return img.Digest == digest }) {
		return err
	}
	did, err := a.Instances().IfUnwanted(digest, func() error { return a.Storage.RemoveImage(ctx, digest) })
	if err == nil && !did {
		err = cloud.E("agent.DropImage", cloud.Conflict, "an instance is made of image %s", digest)
	}
	return err
}

// CacheImage brings an image into the cache. It stays as long as any that no
// instance wants.
func (a *Agent) CacheImage(ctx context.Context, ref cloud.ImageRef) error {
	path := ""
	if local, ok := a.Images.(interface{ Path(string) (string, error) }); ok {
		if p, err := local.Path(ref.Digest); err == nil {
			path = p
		}
	}
	_, err := a.Storage.EnsureImage(ctx, ref, path, func() (io.ReadCloser, error) { return a.Images.Open(ctx, ref.Digest) })
	if err != nil {
		return err
	}
	a.cache.mu.Lock()
	defer a.cache.mu.Unlock()
	delete(a.cache.unwanted, ref.Digest) // its day begins now
	return nil
}

// keepCache looks through the cache now and then until ctx ends.
func (a *Agent) keepCache(ctx context.Context) {
	tick := time.NewTicker(imageBeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := a.SweepImages(ctx); err != nil && ctx.Err() == nil {
			a.Log.Warn("the cache of images cannot be looked through; it is tried again", "after", imageBeat, "error", err)
		}
	}
}

// SweepImages drops the cached images that no instance has wanted for a day, or
// at all when the disks' file system is nearly full, and those that are too many for
// the cache's limit. Those that disks read from stay in any case.
func (a *Agent) SweepImages(ctx context.Context) error {
	if err := a.sweepUnwanted(ctx); err != nil || a.room == nil {
		return err
	}
	return a.room.trim(ctx)
}

func (a *Agent) sweepUnwanted(ctx context.Context) error {
	have, err := a.Storage.Images(ctx)
	if err != nil {
		return err
	}
	total, free, err := a.Storage.Usage(ctx)
	if err != nil {
		return err
	}
	keep := imageKeep
	if free < total/imageSpare {
		keep = 0
	}
	a.cache.mu.Lock()
	defer a.cache.mu.Unlock()
	now, unwanted := a.Clock.Now(), map[string]time.Time{}
	for _, image := range have {
		since, known := a.cache.unwanted[image.Digest]
		if !known {
			since = now
		}
		_, err := a.Instances().IfUnwanted(image.Digest, func() error {
			unwanted[image.Digest] = since
			if now.Sub(since) < keep {
				return nil
			}
			a.Log.Info("an image that no instance wants leaves the cache", "digest", image.Digest, "unwanted_for", now.Sub(since), "free", free)
			return a.Storage.RemoveImage(ctx, image.Digest)
		})
		if err != nil && !cloud.Is(err, cloud.Conflict) { // Conflict: a disk reads from it
			return err
		}
	}
	a.cache.unwanted = unwanted
	return nil
}
