package file

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// WriteDisk implements storage.Driver. Zeros become holes.
func (d *Driver) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	const op = "storage.WriteDisk"
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk needs a size; %d bytes were asked for", size)
	}
	disk, err := d.replaceDisk(ctx, storage.Disk{ID: id, Format: "raw", Size: (size + 511) &^ 511}, func(disk *storage.Disk, path string) error {
		out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		w := &holeWriter{f: out}
		err = stream(ctx, w, io.LimitReader(src, disk.Size))
		return errors.Join(err, out.Truncate(disk.Size), out.Close())
	})
	return disk, hostError(op, err)
}

// RevertDisk implements storage.Driver.
func (d *Driver) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	const op = "storage.RevertDisk"
	source, err := d.Disk(ctx, from)
	if err != nil {
		return storage.Disk{}, err
	}
	if source.Backing != "" { // the image stays while the copy is not in its place yet
		defer d.holds.take(digestOf(source.Backing))()
	}
	disk := source
	disk.ID = id
	disk, err = d.replaceDisk(ctx, disk, func(_ *storage.Disk, path string) error { return d.copyFile(ctx, source.Path, path) })
	return disk, hostError(op, err)
}

// replaceDisk makes a disk by write and puts it in the place of the one that is
// there. Between the two moves there is none: whoever asked asks again after a
// crash, for the old content was given up by then.
func (d *Driver) replaceDisk(ctx context.Context, disk storage.Disk, write func(disk *storage.Disk, path string) error) (storage.Disk, error) {
	place, err := d.diskDir(disk.ID)
	if err != nil {
		return storage.Disk{}, err
	}
	unlock, err := d.locks.Lock(ctx, disk.ID)
	if err != nil {
		return storage.Disk{}, err
	}
	defer unlock()
	return d.makeDisk(place, disk, func(disk *storage.Disk, path string) error {
		if err := write(disk, path); err != nil {
			return err
		}
		return d.retire(place)
	})
}

// AdoptDisk implements storage.Driver: a folder changes its name.
func (d *Driver) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	const op = "storage.AdoptDisk"
	place, err := d.diskDir(id)
	if err != nil {
		return storage.Disk{}, err
	}
	source, err := d.diskDir(from)
	if err != nil {
		return storage.Disk{}, err
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(op, err)
	}
	defer unlock()
	_, missing := d.Disk(ctx, from)
	disk, err := d.Disk(ctx, id)
	switch {
	case err == nil && missing == nil:
		return disk, cloud.E(op, cloud.Conflict, "the disk %s cannot take the place of %s, which is there", from, id)
	case err == nil || missing != nil && !cloud.Is(missing, cloud.NotFound):
		return disk, err
	case missing != nil:
		return disk, missing
	}
	if err := os.Rename(source, place); err != nil {
		return storage.Disk{}, hostError(op, err)
	}
	if err := d.sync(filepath.Dir(place)); err != nil {
		return storage.Disk{}, hostError(op, err)
	}
	return d.Disk(ctx, id)
}
