package plugin

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
)

func diskOf(o one) storage.Disk {
	return storage.Disk{ID: strings.TrimPrefix(o.Name, "d-"), Path: o.Path, Format: "raw", Size: o.Size}
}

// plan is what a disk is to be: of a size, with what another holds, and then filled.
type plan struct {
	size int64 // bytes
	from string
	fill func(dev *os.File) error
}

func sectors(size int64) int64 { return (size + 511) &^ 511 }

// make makes a disk under a passing name, and gives it its own when all is on it, in
// place of one that may have that.
func (d *Driver) make(ctx context.Context, name string, p plan) (one, error) {
	part := "p-" + d.Owner + "." + cloud.NewID()
	o, err := d.begin(ctx, part, p)
	if err == nil && p.fill != nil {
		err = d.filled(o.Path, p.fill)
	}
	if err == nil {
		var made one
		if made, err = d.slow(ctx, "rename", name, p.size, map[string]any{"name": part, "to": name}); err == nil {
			return made, nil
		}
	}
	return one{}, errors.Join(err, d.drop(context.WithoutCancel(ctx), part))
}

// begin makes the part, with what it is to have of another.
func (d *Driver) begin(ctx context.Context, part string, p plan) (one, error) {
	if p.from != "" && d.client.Can("clone") {
		return d.slow(ctx, "clone", part, p.size, map[string]any{"name": part, "from": p.from, "size": p.size})
	}
	o, err := d.slow(ctx, "create", part, p.size, map[string]any{"name": part, "size": p.size})
	if err != nil || p.from == "" {
		return o, err
	}
	source, err := d.get(ctx, p.from)
	if err != nil {
		return o, err
	}
	src, err := os.Open(source.Path)
	if err != nil {
		return o, hostError(err)
	}
	defer src.Close()
	return o, d.filled(o.Path, func(dev *os.File) error { return file.Pour(ctx, dev, io.LimitReader(src, source.Size)) })
}

// filled has fill write to a disk, and sees that it is kept.
func (d *Driver) filled(path string, fill func(dev *os.File) error) error {
	dev, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return hostError(err)
	}
	return hostError(errors.Join(fill(dev), dev.Sync(), dev.Close()))
}

// disk makes a disk by the plan, unless it is there.
func (d *Driver) disk(ctx context.Context, op, id string, draw func() (plan, error)) (storage.Disk, error) {
	if err := storage.CheckID(op, id); err != nil {
		return storage.Disk{}, err
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	if disk, err := d.Disk(ctx, id); !cloud.Is(err, cloud.NotFound) {
		return disk, err
	}
	p, err := draw()
	if err != nil {
		return storage.Disk{}, err
	}
	o, err := d.make(ctx, "d-"+id, p)
	return diskOf(o), err
}

func always(p plan) func() (plan, error) { return func() (plan, error) { return p, nil } }

// Disk implements storage.Driver.
func (d *Driver) Disk(ctx context.Context, id string) (storage.Disk, error) {
	if err := storage.CheckID("storage.Disk", id); err != nil {
		return storage.Disk{}, err
	}
	o, err := d.get(ctx, "d-"+id)
	if cloud.Is(err, cloud.NotFound) {
		err = cloud.E("storage.Disk", cloud.NotFound, "there is no disk %s in this backend", id)
	}
	if err != nil {
		return storage.Disk{}, err
	}
	return diskOf(o), nil
}

// Disks implements storage.Driver.
func (d *Driver) Disks(ctx context.Context) (out []storage.Disk, err error) {
	all, err := d.list(ctx)
	for _, o := range all {
		if strings.HasPrefix(o.Name, "d-") {
			out = append(out, diskOf(o))
		}
	}
	slices.SortFunc(out, storage.ByID)
	return out, err
}

// BlankDisk implements storage.Driver. What is to be on it is made in a file, by the
// tools of the disk room, and copied.
func (d *Driver) BlankDisk(ctx context.Context, id string, size int64, label string) (storage.Disk, error) {
	const op = "storage.BlankDisk"
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a blank disk needs a size; %d bytes were asked for", size)
	}
	p := plan{size: sectors(size)}
	if label != "" {
		p.fill = d.prepared(ctx, func(path string) error { return file.Blank(ctx, d.Kitchen, path, p.size, label) })
	}
	return d.disk(ctx, op, id, always(p))
}

// prepared copies to a disk what is made in a file.
func (d *Driver) prepared(ctx context.Context, make func(path string) error) func(dev *os.File) error {
	return func(dev *os.File) error {
		return file.Made(d.Tmp, file.MadeAs("disk", make), func(src *os.File, _ int64) error { return file.Pour(ctx, dev, src) })
	}
}

// ConfigDrive implements storage.Driver.
func (d *Driver) ConfigDrive(ctx context.Context, id string, files map[string][]byte) (storage.Disk, error) {
	const op = "storage.ConfigDrive"
	dir, err := os.MkdirTemp(d.Tmp, "config")
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "iso")
	if err := d.Kitchen.ConfigDrive(ctx, path, files); err != nil {
		return storage.Disk{}, err
	}
	src, err := os.Open(path)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	return d.disk(ctx, op, id, always(plan{size: sectors(info.Size()), fill: func(dev *os.File) error { return file.Pour(ctx, dev, src) }}))
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

// GrowDisk implements storage.Driver.
func (d *Driver) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	disk, err := d.Disk(ctx, id)
	if err != nil {
		return disk, err
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return disk, hostError(err)
	}
	defer unlock()
	if disk, err = d.Disk(ctx, id); err != nil || disk.Size >= size {
		return disk, err
	}
	size = sectors(size)
	o, err := d.slow(ctx, "grow", "d-"+id, size, map[string]any{"name": "d-" + id, "size": size})
	return diskOf(o), err
}

// hostError gives an error of the operating system its kind.
func hostError(err error) error {
	const op = "storage.Plugin"
	if known := storage.HostError(op, "the storage behind the plug-in is full, or the disk where images are converted", err); known != nil || err == nil {
		return known
	}
	return cloud.E(op, cloud.Unavailable, "what the storage plug-in gave cannot be used: %w", err)
}

// sized is the size of a copy of a disk, 0 standing for the disk's own.
func sized(op, from string, has, size int64) (int64, error) {
	if size == 0 {
		size = has
	}
	if size < has {
		return 0, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold a copy of %s, which has %d", size, from, has)
	}
	return sectors(size), nil
}
