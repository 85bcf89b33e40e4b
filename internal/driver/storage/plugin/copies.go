package plugin

import (
	"context"
	"io"
	"os"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
)

// CopyDisk implements storage.Driver.
func (d *Driver) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	const op = "storage.CopyDisk"
	return d.disk(ctx, op, id, func() (plan, error) {
		source, err := d.Disk(ctx, from)
		if err != nil {
			return plan{}, err
		}
		size, err := sized(op, from, source.Size, size)
		return plan{from: "d-" + from, size: size}, err
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
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	o, err := d.make(ctx, "d-"+id, p)
	return diskOf(o), err
}

// WriteDisk implements storage.Driver.
func (d *Driver) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	const op = "storage.WriteDisk"
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk needs a size; %d bytes were asked for", size)
	}
	return d.replace(ctx, op, id, plan{size: sectors(size), fill: func(dev *os.File) error {
		return file.Pour(ctx, dev, io.LimitReader(src, size))
	}})
}

// RevertDisk implements storage.Driver.
func (d *Driver) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	source, err := d.Disk(ctx, from)
	if err != nil {
		return storage.Disk{}, err
	}
	return d.replace(ctx, "storage.RevertDisk", id, plan{from: "d-" + from, size: source.Size})
}

// AdoptDisk implements storage.Driver.
func (d *Driver) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	const op = "storage.AdoptDisk"
	if err := storage.CheckID(op, id); err != nil {
		return storage.Disk{}, err
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	_, missing := d.Disk(ctx, from)
	disk, err := d.Disk(ctx, id)
	switch {
	case err == nil && missing == nil:
		return disk, cloud.E(op, cloud.Conflict, "the disk %s cannot take the place of %s, which is there", from, id)
	case err == nil || !cloud.Is(err, cloud.NotFound) || missing != nil && !cloud.Is(missing, cloud.NotFound):
		return disk, err
	case missing != nil:
		return disk, missing
	}
	o, err := d.slow(ctx, "rename", "d-"+id, 0, map[string]any{"name": "d-" + from, "to": "d-" + id})
	return diskOf(o), err
}

// ReadDisk implements storage.Driver: where the program clones, of a clone, which
// goes when the reading ends.
func (d *Driver) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	disk, err := d.Disk(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &reader{path: disk.Path, size: disk.Size, close: func() error { return nil }}
	if d.client.Can("clone") {
		part := "p-" + d.Owner + "." + cloud.NewID()
		o, err := d.begin(ctx, part, plan{from: "d-" + id, size: disk.Size})
		if err != nil {
			return nil, err
		}
		// What a failed removal leaves is swept by New.
		r.path, r.close = o.Path, func() error { return d.drop(context.WithoutCancel(ctx), part) }
	}
	return r.open()
}

// reader reads a disk up to its size.
type reader struct {
	io.Reader
	path  string
	size  int64
	file  *os.File
	close func() error
}

func (r *reader) open() (*reader, error) {
	f, err := os.Open(r.path)
	if err != nil {
		_ = r.close()
		return nil, hostError(err)
	}
	r.file, r.Reader = f, io.LimitReader(f, r.size)
	return r, nil
}

// Close implements io.Closer.
func (r *reader) Close() error {
	err := r.file.Close()
	if gone := r.close(); err == nil {
		err = gone
	}
	return err
}
