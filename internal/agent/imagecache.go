package agent

import (
	"context"
	"io"
	"sync"
	"time"

	"hearth/internal/cloud"
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
// at all when the disks' file system is nearly full. Those that disks read from
// stay in any case.
func (a *Agent) SweepImages(ctx context.Context) error {
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
