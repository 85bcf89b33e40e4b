package image

import (
	"cmp"
	"context"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// Cached is an image that nodes have in their caches.
type Cached struct {
	ID         string
	Size       int64 // of the image, in bytes
	Hits       int   // how often an instance's start took it, on all nodes
	UsedAt     time.Time
	ModifiedAt time.Time // when the last node got it
}

// CacheState tells which images nodes have in their caches, and which they are asked
// to fetch, both by id.
func (s *Service) CacheState(ctx context.Context) (cached []Cached, queued []string, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) error {
		hosts, err := tx.Hosts.List(store.Query{})
		if err != nil {
			return err
		}
		images, err := tx.Images.List(store.Where(store.Eq("status", string(cloud.ImageActive))))
		if err != nil {
			return err
		}
		queued = queuedOn(hosts)
		have := cachedOn(hosts)
		for _, img := range images {
			if c, ok := have[img.Ref().Digest]; ok && img.Ref().Digest != "" {
				c.ID, c.Size = img.ID, img.Size
				cached = append(cached, c)
			}
		}
		return nil
	})
	return cached, queued, err
}

// cachedOn is what hosts report of their caches, by digest, without what they are asked
// to drop.
func cachedOn(hosts []cloud.Host) map[string]Cached {
	out := map[string]Cached{}
	for _, h := range hosts {
		for _, img := range h.Seen.Images {
			if slices.Contains(h.Uncache, img.Digest) {
				continue
			}
			c := out[img.Digest]
			c.Hits += img.Hits
			c.UsedAt, c.ModifiedAt = later(c.UsedAt, img.UsedAt), later(c.ModifiedAt, img.At)
			out[img.Digest] = c
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func queuedOn(hosts []cloud.Host) []string {
	var out []string
	for _, h := range hosts {
		out = append(out, h.Precache...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// CacheImage has every node fetch an image ahead of the instances that will need it;
// NotFound, Invalid for one that has no data.
func (s *Service) CacheImage(ctx context.Context, c cloud.Caller, id string) error {
	const op = "image.Cache"
	return s.store.Update(ctx, func(tx *store.Tx) error {
		img, err := visible(tx, c, id)
		if err != nil {
			return err
		}
		if img.Status != cloud.ImageActive {
			return cloud.E(op, cloud.Invalid, "Only images with status active can be targeted for queueing")
		}
		return eachHost(tx, func(h *cloud.Host) {
			h.Uncache = without(h.Uncache, img.Ref().Digest)
			if !slices.Contains(h.Precache, id) {
				h.Precache = append(slices.Clone(h.Precache), id)
			}
		})
	})
}

// UncacheImage has nodes drop an image, or not fetch it. One that an instance needs goes
// when it is needed no more. NotFound.
func (s *Service) UncacheImage(ctx context.Context, c cloud.Caller, id string) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		img, err := visible(tx, c, id)
		if err != nil {
			return err
		}
		return eachHost(tx, func(h *cloud.Host) {
			h.Precache = without(h.Precache, id)
			drop(h, func(digest string) bool { return digest == img.Ref().Digest })
		})
	})
}

// ClearCache has nodes drop all images, fetch none, or both.
func (s *Service) ClearCache(ctx context.Context, cached, queued bool) error {
	return s.store.Update(ctx, func(tx *store.Tx) error {
		return eachHost(tx, func(h *cloud.Host) {
			if queued {
				h.Precache = nil
			}
			if cached {
				drop(h, func(string) bool { return true })
			}
		})
	})
}

// drop asks a host to drop what it has in its cache and is meant.
func drop(h *cloud.Host, meant func(digest string) bool) {
	all := slices.Clone(h.Uncache)
	for _, img := range h.Seen.Images {
		if meant(img.Digest) {
			all = append(all, img.Digest)
		}
	}
	slices.Sort(all)
	h.Uncache = slices.Compact(all)
}

func without(list []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == one })
}

// eachHost changes every host of the cloud.
func eachHost(tx *store.Tx, change func(*cloud.Host)) error {
	hosts, err := tx.Hosts.List(store.Query{})
	for _, h := range hosts {
		change(&h)
		err = cmp.Or(err, tx.Hosts.Update(h))
	}
	return err
}
