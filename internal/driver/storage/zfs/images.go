package zfs

import (
	"context"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/device"
	"hearth/internal/driver/storage/file"
)

// imageOf is a volume as an image.
func (d *Driver) imageOf(v *volume) storage.Image {
	return storage.Image{Digest: v.Digest, Path: d.host.path(d.at(v.Name)), Format: "raw", VirtualSize: v.ImageSize}
}

func isImage(v *volume) bool {
	return v != nil && v.Kind == kindImage && v.Digest != "" && strings.HasPrefix(v.Name, "i-")
}

// EnsureImage implements storage.Driver.
func (d *Driver) EnsureImage(ctx context.Context, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) (storage.Image, error) {
	const op = "storage.EnsureImage"
	if err := storage.CheckDigest(op, ref.Digest); err != nil {
		return storage.Image{}, err
	}
	unlock, err := d.locks.Lock(ctx, ref.Digest)
	if err != nil {
		return storage.Image{}, hostError(err)
	}
	defer unlock()
	name := storage.ShortImageName(ref.Digest) // snapshots' names have to fit behind it
	v, err := d.find(ctx, name)
	if err != nil {
		return storage.Image{}, err
	}
	if isImage(v) && v.Digest == ref.Digest {
		return d.imageOf(v).As(ref.Format), nil
	}
	if err := d.ready(ctx); err != nil { // before much is fetched
		return storage.Image{}, err
	}
	err = file.Made(d.Tmp, file.RawImage(ctx, d.Kitchen, ref, localPath, open), func(src *os.File, size int64) error {
		v, err = d.make(ctx, name, plan{
			kind: kindImage, size: max(size, 1), props: []string{propDigest + "=" + ref.Digest, propSize + "=" + strconv.FormatInt(size, 10)},
			fill: func(dev *os.File) error { return device.Copy(ctx, dev, src) },
		})
		return err
	})
	if err != nil {
		return storage.Image{}, hostError(err)
	}
	return d.imageOf(v).As(ref.Format), nil
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
		if size != 0 && size < image.VirtualSize {
			return plan{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold the image, which needs %d: choose a flavor with a larger disk", size, image.VirtualSize)
		}
		v, err := d.find(ctx, storage.ShortImageName(image.Digest))
		switch {
		case err != nil:
			return plan{}, err
		case !isImage(v) || v.Digest != image.Digest:
			return plan{}, cloud.E(op, cloud.Unavailable, "image %s is no longer in the cache of the dataset %s; it is fetched again at the next try", image.Digest, d.Dataset)
		}
		base, there := v.base()
		if !there { // its removal broke off: what is cloned of it goes with its clones
			base = ""
		}
		return plan{kind: kindDisk, from: v, snap: base, size: size}, nil
	})
}

// Images implements storage.Driver.
func (d *Driver) Images(ctx context.Context) (out []storage.Image, err error) {
	all, err := d.list(ctx)
	for _, v := range all {
		if isImage(v) {
			out = append(out, d.imageOf(v))
		}
	}
	slices.SortFunc(out, storage.ByDigest)
	return out, err
}

// RemoveImage implements storage.Driver: disks need their image no more, for one of them gets
// what they share.
func (d *Driver) RemoveImage(ctx context.Context, digest string) error {
	if err := storage.CheckDigest("storage.RemoveImage", digest); err != nil {
		return err
	}
	unlock, err := d.locks.Lock(ctx, digest)
	if err != nil {
		return hostError(err)
	}
	defer unlock()
	v, err := d.find(ctx, storage.ShortImageName(digest))
	if err != nil || !isImage(v) || v.Digest != digest {
		return err
	}
	return d.drop(ctx, v.Name)
}
