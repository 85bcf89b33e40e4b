package rbd

import (
	"context"
	"io"
	"os"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
)

// images lists the cached ones by digest.
func (d *Driver) images(ctx context.Context) (map[string]storage.Image, error) {
	all, err := d.list(ctx)
	out := map[string]storage.Image{}
	for name := range all {
		if img, is := storage.NamedImage(name); is {
			img.Path = d.path(name)
			out[img.Digest] = img
		}
	}
	return out, err
}

// EnsureImage implements storage.Driver.
func (d *Driver) EnsureImage(ctx context.Context, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) (storage.Image, error) {
	if err := storage.CheckDigest("storage.EnsureImage", ref.Digest); err != nil {
		return storage.Image{}, err
	}
	unlock, err := d.locks.Lock(ctx, ref.Digest)
	if err != nil {
		return storage.Image{}, hostError(err)
	}
	defer unlock()
	have, err := d.images(ctx)
	if err != nil {
		return storage.Image{}, err
	}
	if img, there := have[ref.Digest]; there {
		return img.As(ref.Format), nil
	}
	var img storage.Image
	err = file.Made(d.Tmp, file.RawImage(ctx, d.Kitchen, ref, localPath, open), func(src *os.File, size int64) error {
		name := storage.ImageName(ref.Digest, size)
		img = storage.Image{Digest: ref.Digest, Path: d.path(name), Format: "raw", VirtualSize: size}
		return d.make(ctx, name, plan{size: sectors(max(size, 512)), src: src})
	})
	return img.As(ref.Format), hostError(err)
}

// CloneDisk implements storage.Driver. Partitions and file systems are left as they are: the
// guest grows its own.
func (d *Driver) CloneDisk(ctx context.Context, id string, image storage.Image, size int64) (storage.Disk, error) {
	const op = "storage.CloneDisk"
	if err := storage.CheckDigest(op, image.Digest); err != nil {
		return storage.Disk{}, err
	}
	unlock, err := d.locks.Lock(ctx, image.Digest)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	return d.disk(ctx, op, id, func() (plan, error) {
		if size == 0 {
			size = image.VirtualSize
		}
		if size < image.VirtualSize {
			return plan{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold the image, which needs %d: choose a flavor with a larger disk", size, image.VirtualSize)
		}
		name := storage.ImageName(image.Digest, image.VirtualSize)
		_, err := d.info(ctx, name)
		if cloud.Is(err, cloud.NotFound) {
			err = cloud.E(op, cloud.Unavailable, "image %s is no longer in the cache of the pool %s; it is fetched again at the next try", image.Digest, d.Pool)
		}
		return plan{from: name, size: sectors(size)}, err
	})
}

// Images implements storage.Driver.
func (d *Driver) Images(ctx context.Context) (out []storage.Image, err error) {
	have, err := d.images(ctx)
	for _, img := range have {
		out = append(out, img)
	}
	slices.SortFunc(out, storage.ByDigest)
	return out, err
}

// RemoveImage implements storage.Driver: disks need their image no more.
func (d *Driver) RemoveImage(ctx context.Context, digest string) error {
	if err := storage.CheckDigest("storage.RemoveImage", digest); err != nil {
		return err
	}
	unlock, err := d.locks.Lock(ctx, digest)
	if err != nil {
		return hostError(err)
	}
	defer unlock()
	have, err := d.images(ctx)
	if err != nil {
		return err
	}
	if img, there := have[digest]; there {
		return d.drop(ctx, storage.ImageName(digest, img.VirtualSize))
	}
	return nil
}
