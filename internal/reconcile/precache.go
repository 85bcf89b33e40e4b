package reconcile

import (
	"context"
	"slices"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/store"
)

// runPrecache has nodes fetch the images that operators want them to have.
func (k *Housekeeper) runPrecache(ctx context.Context) {
	changed, stop := k.Store.Watch("hosts")
	defer stop()
	beat(ctx, changed, time.Minute, func(ctx context.Context) {
		if err := k.Uncache(ctx); err != nil && ctx.Err() == nil {
			k.Log.Error("cannot read which images are to leave the caches", "error", err)
		}
		for ctx.Err() == nil {
			some, err := k.Precache(ctx)
			if err != nil && ctx.Err() == nil {
				k.Log.Error("cannot read which images are to be cached", "error", err)
			}
			if err != nil || !some {
				return
			}
		}
	})
}

// Uncache has the nodes drop the images that operators do not want them to have. What
// an instance needs stays, and goes when it is needed no more.
func (k *Housekeeper) Uncache(ctx context.Context) error {
	var hosts []cloud.Host
	err := k.Store.View(ctx, func(tx *store.Tx) (err error) {
		hosts, err = tx.Hosts.List(store.Query{})
		return err
	})
	if err != nil {
		return err
	}
	for _, h := range hosts {
		if len(h.Uncache) == 0 || !h.Up(k.Clock.Now()) {
			continue
		}
		n, err := k.Fleet.Node(h.Name)
		if err != nil {
			continue
		}
		var gone []string
		for _, digest := range h.Uncache {
			switch err := n.DropImage(ctx, digest); {
			case err == nil:
				gone = append(gone, digest)
			case !cloud.Is(err, cloud.Conflict):
				k.Log.Warn("an image could not be taken out of a node's cache", "node", h.Name, "digest", digest, "error", err)
			}
		}
		if err := k.uncached(ctx, h.Name, gone); err != nil {
			return err
		}
	}
	return nil
}

// uncached writes down that a node has dropped images.
func (k *Housekeeper) uncached(ctx context.Context, name string, gone []string) error {
	if len(gone) == 0 {
		return nil
	}
	return k.Store.Update(ctx, func(tx *store.Tx) error {
		h, err := tx.Hosts.Get(name)
		if err != nil {
			return unlessGone(err)
		}
		h.Uncache = slices.DeleteFunc(slices.Clone(h.Uncache), func(d string) bool { return slices.Contains(gone, d) })
		h.Seen.Images = slices.DeleteFunc(slices.Clone(h.Seen.Images), func(img cloud.CachedImage) bool { return slices.Contains(gone, img.Digest) })
		return tx.Hosts.Update(h)
	})
}

// Precache has one node fetch the first image that it is asked to have; false when
// there is none. What cannot be fetched is said in the log and not tried again: a
// server that needs the image fetches it itself.
func (k *Housekeeper) Precache(ctx context.Context) (some bool, err error) {
	var host cloud.Host
	var image cloud.Image
	err = k.Store.View(ctx, func(tx *store.Tx) error {
		hosts, err := tx.Hosts.List(store.Query{})
		i := slices.IndexFunc(hosts, func(h cloud.Host) bool { return len(h.Precache) > 0 && h.Up(k.Clock.Now()) })
		if some = i >= 0; !some || err != nil {
			return err
		}
		host = hosts[i]
		image, err = tx.Images.Get(host.Precache[0])
		return unlessGone(err)
	})
	if err != nil || !some {
		return false, err
	}
	if image.Status == cloud.ImageActive {
		n, err := k.Fleet.Node(host.Name)
		if err == nil {
			err = n.CacheImage(ctx, image.Ref())
		}
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		if err != nil {
			k.Log.Warn("an image could not be brought to a node ahead of its servers", "node", host.Name, "image", image.ID, "error", err)
		}
	}
	return true, k.Store.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Hosts.Get(host.Name)
		if err != nil {
			return unlessGone(err)
		}
		now.Precache = slices.DeleteFunc(slices.Clone(now.Precache), func(id string) bool { return id == host.Precache[0] })
		return tx.Hosts.Update(now)
	})
}
