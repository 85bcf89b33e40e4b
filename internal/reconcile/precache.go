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
			err = n.CacheImage(ctx, cloud.ImageRef{ID: image.ID, Digest: image.Digest, Format: image.DiskFormat, Size: image.Size, VirtualSize: image.VirtualSize})
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
