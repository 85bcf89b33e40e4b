package rbd

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
)

func (d *Driver) diskOf(id string, size int64) storage.Disk {
	return storage.Disk{ID: id, Path: d.path("d-" + id), Format: "raw", Size: size}
}

func sectors(size int64) int64 { return (size + 511) &^ 511 }

// Disk implements storage.Driver.
func (d *Driver) Disk(ctx context.Context, id string) (storage.Disk, error) {
	if err := storage.CheckID("storage.Disk", id); err != nil {
		return storage.Disk{}, err
	}
	i, err := d.info(ctx, "d-"+id)
	if cloud.Is(err, cloud.NotFound) {
		err = cloud.E("storage.Disk", cloud.NotFound, "there is no disk %s in the pool %s", id, d.Pool)
	}
	if err != nil {
		return storage.Disk{}, err
	}
	return d.diskOf(id, i.Size), nil
}

// Disks implements storage.Driver.
func (d *Driver) Disks(ctx context.Context) (out []storage.Disk, err error) {
	all, err := d.list(ctx)
	for name, size := range all {
		if id, ok := strings.CutPrefix(name, "d-"); ok {
			out = append(out, d.diskOf(id, size))
		}
	}
	slices.SortFunc(out, storage.ByID)
	return out, err
}

// locked runs do with the lock of a name.
func (d *Driver) locked(ctx context.Context, name string, do func() (storage.Disk, error)) (storage.Disk, error) {
	unlock, err := d.locks.Lock(ctx, name)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	return do()
}

// disk makes a disk by the plan, unless it is there.
func (d *Driver) disk(ctx context.Context, op, id string, draw func() (plan, error)) (storage.Disk, error) {
	if err := storage.CheckID(op, id); err != nil {
		return storage.Disk{}, err
	}
	return d.locked(ctx, id, func() (storage.Disk, error) {
		if disk, err := d.Disk(ctx, id); !cloud.Is(err, cloud.NotFound) {
			return disk, err
		}
		p, err := draw()
		if err == nil {
			err = d.make(ctx, "d-"+id, p)
		}
		if err != nil {
			return storage.Disk{}, err
		}
		return d.diskOf(id, p.size), nil
	})
}

// BlankDisk implements storage.Driver. What is to be on it is made in a file.
func (d *Driver) BlankDisk(ctx context.Context, id string, size int64, label string) (storage.Disk, error) {
	const op = "storage.BlankDisk"
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a blank disk needs a size; %d bytes were asked for", size)
	}
	if label == "" {
		return d.disk(ctx, op, id, func() (plan, error) { return plan{size: sectors(size)}, nil })
	}
	return d.prepared(ctx, op, id, func(path string) error { return file.Blank(ctx, d.Kitchen, path, sectors(size), label) })
}

// ConfigDrive implements storage.Driver.
func (d *Driver) ConfigDrive(ctx context.Context, id string, files map[string][]byte) (storage.Disk, error) {
	return d.prepared(ctx, "storage.ConfigDrive", id, func(path string) error { return d.Kitchen.ConfigDrive(ctx, path, files) })
}

// prepared makes a disk of what is made in a file.
func (d *Driver) prepared(ctx context.Context, op, id string, make func(path string) error) (made storage.Disk, err error) {
	if err := storage.CheckID(op, id); err != nil {
		return storage.Disk{}, err
	}
	err = file.Made(d.Tmp, file.MadeAs("disk", make), func(src *os.File, size int64) (err error) {
		made, err = d.disk(ctx, op, id, func() (plan, error) { return plan{size: sectors(size), src: src}, nil })
		return err
	})
	return made, hostError(err)
}

// CopyDisk implements storage.Driver.
func (d *Driver) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	const op = "storage.CopyDisk"
	return d.disk(ctx, op, id, func() (plan, error) {
		source, err := d.Disk(ctx, from)
		if err != nil {
			return plan{}, err
		}
		if size == 0 {
			size = source.Size
		}
		if size < source.Size {
			return plan{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold a copy of %s, which has %d", size, from, source.Size)
		}
		return plan{from: "d-" + from, size: sectors(size)}, nil
	})
}

// CopyRoot implements storage.Driver: the guest grows its own file systems.
func (d *Driver) CopyRoot(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return d.CopyDisk(ctx, id, from, size)
}

// replace makes a disk anew, in place of one that may be there.
func (d *Driver) replace(ctx context.Context, op, id string, p plan) (storage.Disk, error) {
	if err := storage.CheckID(op, id); err != nil {
		return storage.Disk{}, err
	}
	return d.locked(ctx, id, func() (storage.Disk, error) {
		if err := d.make(ctx, "d-"+id, p); err != nil {
			return storage.Disk{}, err
		}
		return d.diskOf(id, p.size), nil
	})
}

// WriteDisk implements storage.Driver.
func (d *Driver) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	const op = "storage.WriteDisk"
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk needs a size; %d bytes were asked for", size)
	}
	return d.replace(ctx, op, id, plan{size: sectors(size), src: io.LimitReader(src, size)})
}

// RevertDisk implements storage.Driver.
func (d *Driver) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	source, err := d.Disk(ctx, from)
	if err != nil {
		return storage.Disk{}, err
	}
	return d.replace(ctx, "storage.RevertDisk", id, plan{from: "d-" + from, size: source.Size})
}

// AdoptDisk implements storage.Driver: of a disk, or of an image of the operator's own by its
// name in the pool.
func (d *Driver) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	const op = "storage.AdoptDisk"
	if err := errors.Join(storage.CheckID(op, id), storage.CheckID(op, from)); err != nil {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "%q or %q cannot be the id of a disk", id, from)
	}
	return d.locked(ctx, id, func() (storage.Disk, error) {
		all, err := d.list(ctx)
		if err != nil {
			return storage.Disk{}, err
		}
		have, known := all["d-"+id]
		source := "d-" + from
		size, there := all[source]
		if !there && !slices.ContainsFunc([]string{"d-", "i-", "p-"}, func(own string) bool { return strings.HasPrefix(from, own) }) {
			source = from
			size, there = all[source]
		}
		switch {
		case known && there:
			return storage.Disk{}, cloud.E(op, cloud.Conflict, "the disk %s cannot take the place of %s, which is there", from, id)
		case known:
			return d.diskOf(id, have), nil
		case !there:
			return storage.Disk{}, cloud.E(op, cloud.NotFound, "there is no disk %s in the pool %s", from, d.Pool)
		}
		_, err = d.rbd(ctx, "rename", d.at(source), d.at("d-"+id))
		return d.diskOf(id, size), err
	})
}

// GrowDisk implements storage.Driver.
func (d *Driver) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	return d.locked(ctx, id, func() (storage.Disk, error) {
		disk, err := d.Disk(ctx, id)
		if err != nil || disk.Size >= size {
			return disk, err
		}
		if _, err := d.rbd(ctx, "resize", "--no-progress", "--size", bytesOf(sectors(size)), d.at("d-"+id)); err != nil {
			return disk, err
		}
		return d.diskOf(id, sectors(size)), nil
	})
}

// ReadDisk implements storage.Driver.
func (d *Driver) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	if _, err := d.Disk(ctx, id); err != nil {
		return nil, err
	}
	return d.read(ctx, "d-"+id)
}

// RemoveDisk implements storage.Driver.
func (d *Driver) RemoveDisk(ctx context.Context, id string) error {
	if err := storage.CheckID("storage.RemoveDisk", id); err != nil {
		return err
	}
	_, err := d.locked(ctx, id, func() (storage.Disk, error) { return storage.Disk{}, d.drop(ctx, "d-"+id) })
	return err
}
