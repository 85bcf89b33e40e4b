package lvm

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/device"
	"hearth/internal/driver/storage/file"
)

// imageOf is a volume as an image.
func imageOf(v lv) storage.Image {
	return storage.Image{Digest: v.value(tagDigest), Path: v.Path, Format: "raw", VirtualSize: number(v.value(tagSize))}
}

// EnsureImage implements storage.Driver.
func (d *Driver) EnsureImage(ctx context.Context, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) (storage.Image, error) {
	const op = "storage.EnsureImage"
	if err := storage.CheckDigest(op, ref.Digest); err != nil {
		return storage.Image{}, err
	}
	if err := ctx.Err(); err != nil {
		return storage.Image{}, cloud.E(op, cloud.Unavailable, "stopped before it was done: %w", err)
	}
	unlock, err := d.locks.Lock(ctx, ref.Digest)
	if err != nil {
		return storage.Image{}, hostError(err)
	}
	defer unlock()
	g, err := d.writable(ctx)
	if err != nil {
		return storage.Image{}, err
	}
	if v, there := g.find(storage.ShortImageName(ref.Digest)); there && v.has(tagImage) {
		return imageOf(v).As(ref.Format), nil
	}
	var v lv
	err = file.Made(d.Tmp, file.RawImage(ctx, d.Kitchen, ref, localPath, open), func(src *os.File, size int64) (err error) {
		p := plan{size: sectors(max(size, 512)), fill: func(dev *os.File) error { return device.Copy(ctx, dev, src) }}
		v, err = d.make(ctx, g, storage.ShortImageName(ref.Digest), p, tagImage, tagDigest+ref.Digest, fmt.Sprintf("%s%d", tagSize, size))
		return err
	})
	if err != nil {
		return storage.Image{}, hostError(err)
	}
	return imageOf(v).As(ref.Format), nil
}

// CloneDisk implements storage.Driver. Partitions and file systems are left as
// they are: the host's tools do not write to what a guest owns on a device.
func (d *Driver) CloneDisk(ctx context.Context, id string, image storage.Image, size int64) (storage.Disk, error) {
	const op = "storage.CloneDisk"
	unlock, err := d.locks.Lock(ctx, image.Digest)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	return d.disk(ctx, op, id, func(g group) (plan, error) {
		if size == 0 {
			size = image.VirtualSize
		}
		if size < image.VirtualSize {
			return plan{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold the image, which needs %d: choose a flavor with a larger disk", size, image.VirtualSize)
		}
		if err := storage.CheckDigest(op, image.Digest); err != nil {
			return plan{}, err
		}
		if v, there := g.find(storage.ShortImageName(image.Digest)); !there || !v.has(tagImage) {
			return plan{}, cloud.E(op, cloud.Unavailable, "image %s is no longer in the cache of the volume group %s; it is fetched again at the next try", image.Digest, g.Name)
		}
		return plan{from: storage.ShortImageName(image.Digest), size: sectors(size)}, nil
	})
}

// Images implements storage.Driver.
func (d *Driver) Images(ctx context.Context) (out []storage.Image, err error) {
	g, err := d.group(ctx)
	for _, v := range g.LVs {
		if v.has(tagImage) {
			out = append(out, imageOf(v))
		}
	}
	slices.SortFunc(out, storage.ByDigest)
	return out, err
}

// RemoveImage implements storage.Driver: disks need their image no more.
func (d *Driver) RemoveImage(ctx context.Context, digest string) error {
	if err := storage.CheckDigest("storage.RemoveImage", digest); err != nil {
		return err
	}
	return d.remove(ctx, digest, storage.ShortImageName(digest), tagImage)
}
