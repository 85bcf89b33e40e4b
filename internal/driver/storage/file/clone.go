package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// CloneDisk implements storage.Driver.
func (d *Driver) CloneDisk(ctx context.Context, id string, image storage.Image, size int64) (storage.Disk, error) {
	const op = "storage.CloneDisk"
	place, err := d.diskDir(id)
	if err != nil {
		return storage.Disk{}, err
	}
	if disk, err := readDisk(place); err == nil {
		return disk, nil
	}
	if size == 0 {
		size = image.VirtualSize
	}
	size = (size + 511) &^ 511 // disks end with a sector
	if size < image.VirtualSize {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold the image, which needs %d: choose a flavor with a larger disk", size, image.VirtualSize)
	}
	// The image must not go while a disk on it is not in its place yet.
	defer d.holds.take(image.Digest)()
	from, err := d.mold(ctx, image, size)
	if err != nil {
		return storage.Disk{}, hostError(op, err)
	}
	defer os.RemoveAll(from.work)
	disk, err := d.cast(ctx, place, storage.Disk{ID: id, Size: size, Grown: from.Grown}, from)
	return disk, hostError(op, err)
}

// mold is what the disks of one image and size are made from.
type mold struct {
	// Base is the raw file beneath: the image's, or a grown copy of it.
	Base string
	// Template is a file whose copy is the disk: raw with shared blocks, or an
	// overlay of Base in which the file system has been grown. "" for none.
	Template, Format string
	Grown            string // in words, or why not
	// work is the folder of a mold for one disk, which the cache has no room for; else "".
	work string
}

// mold finds or makes the mold of an image and size.
func (d *Driver) mold(ctx context.Context, image storage.Image, size int64) (mold, error) {
	place, err := d.imageDir(image.Digest)
	if err != nil {
		return mold{}, err
	}
	unlock, err := d.locks.Lock(ctx, image.Digest)
	if err != nil {
		return mold{}, err
	}
	defer unlock()
	source := filepath.Join(place, dataName)
	if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
		return mold{}, cloud.E("storage.CloneDisk", cloud.Unavailable, "image %s is no longer in the node's cache; it is fetched again at the next try", image.Digest)
	}
	if size <= image.VirtualSize || image.Format == "iso" {
		return mold{Base: source}, nil
	}
	if m, err := d.readMold(place, size); err == nil {
		return m, nil
	}
	return d.grow(ctx, place, size)
}

// cast makes a disk from its mold.
func (d *Driver) cast(ctx context.Context, place string, disk storage.Disk, from mold) (storage.Disk, error) {
	return d.makeDisk(place, disk, func(disk *storage.Disk, path string) error {
		whole := from.Template
		if whole == "" {
			whole = from.Base
		}
		if from.work != "" && from.Format == "raw" {
			disk.Format = "raw"
			return os.Rename(whole, path)
		}
		if d.reflink && from.Format != "qcow2" && reflinkFile(whole, path) == nil {
			disk.Format = "raw"
			return os.Truncate(path, disk.Size)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		disk.Format, disk.Backing = "qcow2", from.Base
		if from.Format == "qcow2" {
			return d.copyFile(ctx, from.Template, path)
		}
		return writeOverlay(path, from.Base, disk.Size)
	})
}
