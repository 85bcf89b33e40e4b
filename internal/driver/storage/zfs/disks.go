package zfs

import (
	"context"
	"errors"
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

// diskOf is a volume as a disk.
func (d *Driver) diskOf(v *volume) storage.Disk {
	return storage.Disk{ID: strings.TrimPrefix(v.Name, "d-"), Path: d.host.path(d.at(v.Name)), Format: "raw", Size: v.Size}
}

func isDisk(v *volume) bool { return v != nil && v.Kind == kindDisk && strings.HasPrefix(v.Name, "d-") }

// look finds the volume of a disk; Invalid, NotFound.
func (d *Driver) look(ctx context.Context, op, id string) (*volume, error) {
	if err := storage.CheckID(op, id); err != nil {
		return nil, err
	}
	v, err := d.find(ctx, "d-"+id)
	if err == nil && !isDisk(v) {
		err = cloud.E(op, cloud.NotFound, "there is no disk %s in the dataset %s", id, d.Dataset)
	}
	return v, err
}

// Disk implements storage.Driver.
func (d *Driver) Disk(ctx context.Context, id string) (storage.Disk, error) {
	v, err := d.look(ctx, "storage.Disk", id)
	if err != nil {
		return storage.Disk{}, err
	}
	return d.diskOf(v), nil
}

// Disks implements storage.Driver.
func (d *Driver) Disks(ctx context.Context) (out []storage.Disk, err error) {
	all, err := d.list(ctx)
	for _, v := range all {
		if isDisk(v) {
			out = append(out, d.diskOf(v))
		}
	}
	slices.SortFunc(out, storage.ByID)
	return out, err
}

// locked runs do with the lock of a disk.
func (d *Driver) locked(ctx context.Context, op, id string, do func() (*volume, error)) (storage.Disk, error) {
	if err := storage.CheckID(op, id); err != nil {
		return storage.Disk{}, err
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	v, err := do()
	if err != nil {
		return storage.Disk{}, err
	}
	return d.diskOf(v), nil
}

// disk makes a disk by the plan, unless it is there.
func (d *Driver) disk(ctx context.Context, op, id string, draw func() (plan, error)) (storage.Disk, error) {
	return d.locked(ctx, op, id, func() (*volume, error) {
		v, err := d.look(ctx, op, id)
		if err == nil {
			_, err = d.host.appear(ctx, d.at(v.Name))
		}
		if !cloud.Is(err, cloud.NotFound) {
			return v, err
		}
		p, err := draw()
		if err != nil {
			return nil, err
		}
		return d.make(ctx, "d-"+id, p)
	})
}

// replace makes a disk by the plan, in place of one that may be there.
func (d *Driver) replace(ctx context.Context, op, id string, draw func() (plan, error)) (storage.Disk, error) {
	return d.locked(ctx, op, id, func() (*volume, error) {
		p, err := draw()
		if err != nil {
			return nil, err
		}
		return d.make(ctx, "d-"+id, p)
	})
}

// written is the plan of a disk with the bytes of src.
func written(ctx context.Context, size int64, src io.Reader) func() (plan, error) {
	return func() (plan, error) {
		return plan{kind: kindDisk, size: size, fill: func(dev *os.File) error { return device.Copy(ctx, dev, src) }}, nil
	}
}

// BlankDisk implements storage.Driver. What is to be on it is made in a file.
func (d *Driver) BlankDisk(ctx context.Context, id string, size int64, label string) (storage.Disk, error) {
	const op = "storage.BlankDisk"
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a blank disk needs a size; %d bytes were asked for", size)
	}
	if label == "" {
		return d.disk(ctx, op, id, func() (plan, error) { return plan{kind: kindDisk, size: size}, nil })
	}
	return d.prepared(ctx, op, id, func(path string) error {
		return file.Blank(ctx, d.Kitchen, path, rounded(size, d.block), label)
	})
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
		made, err = d.disk(ctx, op, id, written(ctx, size, src))
		return err
	})
	return made, hostError(err)
}

// CopyDisk implements storage.Driver.
func (d *Driver) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	const op = "storage.CopyDisk"
	return d.disk(ctx, op, id, func() (plan, error) {
		source, err := d.look(ctx, op, from)
		if err != nil {
			return plan{}, err
		}
		if size != 0 && size < source.Size {
			return plan{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold a copy of %s, which has %d", size, from, source.Size)
		}
		return plan{kind: kindDisk, from: source, size: size}, nil
	})
}

// CopyRoot implements storage.Driver: the guest grows its own file systems.
func (d *Driver) CopyRoot(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return d.CopyDisk(ctx, id, from, size)
}

// RevertDisk implements storage.Driver: with a clone of what it goes back to, and not by 'zfs
// rollback', which would take with it all that was made since.
func (d *Driver) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	const op = "storage.RevertDisk"
	return d.replace(ctx, op, id, func() (plan, error) {
		source, err := d.look(ctx, op, from)
		return plan{kind: kindDisk, from: source}, err
	})
}

// WriteDisk implements storage.Driver.
func (d *Driver) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	const op = "storage.WriteDisk"
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk needs a size; %d bytes were asked for", size)
	}
	return d.replace(ctx, op, id, written(ctx, size, io.LimitReader(src, size)))
}

// GrowDisk implements storage.Driver: what is new of it reads as zeros, and who has it open sees
// it.
func (d *Driver) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	const op = "storage.GrowDisk"
	return d.locked(ctx, op, id, func() (*volume, error) {
		v, err := d.look(ctx, op, id)
		if err != nil || v.Size >= size {
			return v, err
		}
		if err := d.ready(ctx); err != nil {
			return nil, err
		}
		if err := d.zfs(ctx, "set", "volsize="+strconv.FormatInt(v.round(size), 10), d.at(v.Name)); err != nil {
			return nil, err
		}
		return d.found(ctx, v.Name)
	})
}

// RemoveDisk implements storage.Driver.
func (d *Driver) RemoveDisk(ctx context.Context, id string) error {
	if err := storage.CheckID("storage.RemoveDisk", id); err != nil {
		return err
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return hostError(err)
	}
	defer unlock()
	return d.drop(ctx, "d-"+id)
}

// reading is what is read of a disk as it was at a moment.
type reading struct {
	io.Reader
	close func() error
}

// Close implements io.Closer.
func (r *reading) Close() error { return r.close() }

// ReadDisk implements storage.Driver: of a clone, which goes when it is closed.
func (d *Driver) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	v, err := d.look(ctx, "storage.ReadDisk", id)
	if err != nil {
		return nil, err
	}
	if _, err := d.writable(ctx); err != nil {
		return nil, err
	}
	part := d.part()
	if err := d.begin(ctx, part, plan{kind: kindDisk, from: v}); err != nil {
		return nil, err
	}
	drop := func() error { return d.drop(context.WithoutCancel(ctx), part) }
	path, err := d.host.appear(ctx, d.at(part))
	if err != nil {
		return nil, errors.Join(err, drop())
	}
	dev, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(hostError(err), drop())
	}
	return &reading{Reader: dev, close: func() error { return errors.Join(dev.Close(), drop()) }}, nil
}
