package lvm

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/device"
	"hearth/internal/driver/storage/file"
)

var _ storage.Driver = (*Driver)(nil)

// diskOf is a volume as a disk.
func diskOf(v lv) storage.Disk {
	d := storage.Disk{ID: strings.TrimPrefix(v.Name, "h-"), Path: v.Path, Format: "raw", Size: v.Size}
	if was := number(v.value(tagWas)); was > 0 { // what was added is not zeroed yet
		d.Size = was
	}
	return d
}

func checkID(op, id string) error {
	if !idForm.MatchString(id) {
		return cloud.E(op, cloud.Invalid, "%q cannot be the id of a disk", id)
	}
	return nil
}

// find gives the volume of a disk; NotFound.
func (g group) disk(op, id string) (lv, error) {
	v, there := g.find("h-" + id)
	if !there || !v.has(tagDisk) {
		return v, cloud.E(op, cloud.NotFound, "there is no disk %s in the volume group %s", id, g.Name)
	}
	return v, nil
}

// look finds the volume of a disk; Invalid, NotFound.
func (d *Driver) look(ctx context.Context, op, id string) (g group, v lv, err error) {
	if err := checkID(op, id); err != nil {
		return g, v, err
	}
	if g, err = d.group(ctx); err != nil {
		return g, v, err
	}
	v, err = g.disk(op, id)
	return g, v, err
}

// Disk implements storage.Driver.
func (d *Driver) Disk(ctx context.Context, id string) (storage.Disk, error) {
	_, v, err := d.look(ctx, "storage.Disk", id)
	if err != nil {
		return storage.Disk{}, err
	}
	return diskOf(v), nil
}

// Disks implements storage.Driver.
func (d *Driver) Disks(ctx context.Context) (out []storage.Disk, err error) {
	g, err := d.group(ctx)
	for _, v := range g.LVs {
		if v.has(tagDisk) {
			out = append(out, diskOf(v))
		}
	}
	slices.SortFunc(out, storage.ByID)
	return out, err
}

// disk makes a disk by the plan that is drawn up with the group seen, unless it is
// there.
func (d *Driver) disk(ctx context.Context, op, id string, draw func(g group) (plan, error)) (storage.Disk, error) {
	if err := checkID(op, id); err != nil {
		return storage.Disk{}, err
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	g, err := d.writable(ctx)
	if err != nil {
		return storage.Disk{}, err
	}
	if v, err := g.disk(op, id); err == nil {
		return diskOf(v), nil
	}
	return d.drawn(ctx, g, id, draw)
}

// always is the plan that does not depend on what is in the group.
func always(p plan) func(group) (plan, error) { return func(group) (plan, error) { return p, nil } }

func sectors(size int64) int64 { return (size + 511) &^ 511 }

// BlankDisk implements storage.Driver.
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

// prepared copies to a volume what is made in a file.
func (d *Driver) prepared(ctx context.Context, make func(path string) error) func(dev *os.File) error {
	return func(dev *os.File) error {
		return file.Made(d.Tmp, file.MadeAs("disk", make), func(src *os.File, _ int64) error { return device.Copy(ctx, dev, src) })
	}
}

// ConfigDrive implements storage.Driver.
func (d *Driver) ConfigDrive(ctx context.Context, id string, files map[string][]byte) (storage.Disk, error) {
	const op = "storage.ConfigDrive"
	if err := checkID(op, id); err != nil {
		return storage.Disk{}, err
	}
	dir, err := os.MkdirTemp(d.Tmp, "config")
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "iso")
	if err := d.Kitchen.ConfigDrive(ctx, path, files); err != nil {
		return storage.Disk{}, err
	}
	f, size, err := device.Open(path)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer f.Close()
	return d.disk(ctx, op, id, always(plan{size: sectors(size), fill: func(dev *os.File) error {
		return device.Copy(ctx, dev, io.NewSectionReader(f, 0, size))
	}}))
}

// CopyDisk implements storage.Driver.
func (d *Driver) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	const op = "storage.CopyDisk"
	return d.disk(ctx, op, id, func(g group) (plan, error) {
		source, err := g.disk(op, from)
		if err != nil {
			return plan{}, err
		}
		has := diskOf(source).Size
		if size == 0 {
			size = has
		}
		if size < has {
			return plan{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold a copy of %s, which has %d", size, from, has)
		}
		return plan{from: source.Name, size: sectors(size)}, nil
	})
}

// CopyRoot implements storage.Driver: the guest grows its own file systems.
func (d *Driver) CopyRoot(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return d.CopyDisk(ctx, id, from, size)
}

// replace makes a disk anew, in place of one that may be there.
func (d *Driver) replace(ctx context.Context, id string, draw func(g group) (plan, error)) (storage.Disk, error) {
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	g, err := d.writable(ctx)
	if err != nil {
		return storage.Disk{}, err
	}
	return d.drawn(ctx, g, id, draw)
}

// drawn makes a disk by the plan that is drawn up with the group.
func (d *Driver) drawn(ctx context.Context, g group, id string, draw func(g group) (plan, error)) (storage.Disk, error) {
	p, err := draw(g)
	if err != nil {
		return storage.Disk{}, err
	}
	v, err := d.make(ctx, g, "h-"+id, p, tagDisk)
	if err != nil {
		return storage.Disk{}, err
	}
	return diskOf(v), nil
}

// RevertDisk implements storage.Driver.
func (d *Driver) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	const op = "storage.RevertDisk"
	if err := checkID(op, id); err != nil {
		return storage.Disk{}, err
	}
	return d.replace(ctx, id, func(g group) (plan, error) {
		source, err := g.disk(op, from)
		return plan{from: source.Name, size: source.Size}, err
	})
}

// WriteDisk implements storage.Driver.
func (d *Driver) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	const op = "storage.WriteDisk"
	if err := checkID(op, id); err != nil {
		return storage.Disk{}, err
	}
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk needs a size; %d bytes were asked for", size)
	}
	return d.replace(ctx, id, always(plan{size: sectors(size), fill: func(dev *os.File) error {
		return device.Copy(ctx, dev, io.LimitReader(src, size))
	}}))
}

// GrowDisk implements storage.Driver. A tag says what is new of a thick volume until
// that is zeroed, so that a crash in between is made good by the next call.
func (d *Driver) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	const op = "storage.GrowDisk"
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	g, v, err := d.look(ctx, op, id)
	if err != nil {
		return storage.Disk{}, err
	}
	disk, name := diskOf(v), g.Name+"/"+v.Name
	if disk.Size >= size {
		return disk, nil
	}
	if err := errors.Join(g.changeable(), d.room(g)); err != nil {
		return disk, err
	}
	was := tagWas + strconv.FormatInt(disk.Size, 10)
	if d.Pool == "" && v.value(tagWas) == "" {
		if err := d.lvm(ctx, "lvchange", "--addtag", was, name); err != nil {
			return disk, err
		}
	}
	if v.Size < size {
		if err := d.lvm(ctx, "lvextend", "--size", bytesOf(sectors(size)), name); err != nil {
			if d.Pool == "" {
				err = errors.Join(err, d.lvm(context.WithoutCancel(ctx), "lvchange", "--deltag", was, name))
			}
			return disk, err
		}
	}
	if d.Pool == "" {
		if err := d.zeroFrom(v.Path, disk.Size); err != nil {
			return disk, err
		}
		if err := d.lvm(ctx, "lvchange", "--deltag", was, name); err != nil {
			return disk, err
		}
	}
	return d.Disk(ctx, id)
}

// zeroFrom zeroes a volume from a byte to its end.
func (d *Driver) zeroFrom(path string, from int64) error {
	dev, size, err := device.Open(path)
	if err != nil {
		return hostError(err)
	}
	return hostError(errors.Join(zero(dev, from, size), dev.Sync(), dev.Close()))
}

// ReadDisk implements storage.Driver.
func (d *Driver) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	g, v, err := d.look(ctx, "storage.ReadDisk", id)
	if err != nil {
		return nil, err
	}
	return d.momentary(ctx, g, v, diskOf(v).Size)
}

// RemoveDisk implements storage.Driver.
func (d *Driver) RemoveDisk(ctx context.Context, id string) error {
	if err := checkID("storage.RemoveDisk", id); err != nil {
		return err
	}
	return d.remove(ctx, id, "h-"+id, tagDisk)
}

// remove removes a volume that has a tag of Hearth's.
func (d *Driver) remove(ctx context.Context, lock, name, tag string) error {
	unlock, err := d.locks.Lock(ctx, lock)
	if err != nil {
		return hostError(err)
	}
	defer unlock()
	g, err := d.group(ctx)
	if err != nil {
		return err
	}
	v, there := g.find(name)
	if !there || !v.has(tag) {
		return nil
	}
	return errors.Join(g.changeable(), d.lvm(ctx, "lvremove", "--yes", g.Name+"/"+v.Name))
}

// AdoptDisk implements storage.Driver: of a disk, or of a volume of the operator's
// own by its name in the group, which nobody has open.
func (d *Driver) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	const op = "storage.AdoptDisk"
	for _, name := range []string{id, from} {
		if err := checkID(op, name); err != nil {
			return storage.Disk{}, err
		}
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer unlock()
	g, err := d.writable(ctx)
	if err != nil {
		return storage.Disk{}, err
	}
	known, missing := g.disk(op, id)
	v, there := g.find("h-" + from)
	if !there {
		v, there = g.find(from)
		there = there && v.plain() && (!v.own() || v.has(tagDisk) && !strings.HasPrefix(v.Name, "h-")) // else an adoption that broke off goes on
	}
	switch {
	case missing == nil && there:
		return storage.Disk{}, cloud.E(op, cloud.Conflict, "the disk %s cannot take the place of %s, which is there", from, id)
	case missing == nil:
		return diskOf(known), nil
	case !there:
		return storage.Disk{}, cloud.E(op, cloud.NotFound, "there is no disk %s in the volume group %s", from, g.Name)
	case v.open() && !v.own():
		return storage.Disk{}, cloud.E(op, cloud.Conflict, "the volume %s/%s is open: unmount it, or stop what uses it", g.Name, v.Name)
	}
	if err := d.lvm(ctx, "lvchange", "--addtag", tagDisk, g.Name+"/"+v.Name); err != nil {
		return storage.Disk{}, err
	}
	if err := d.lvm(ctx, "lvrename", g.Name, v.Name, "h-"+id); err != nil {
		return storage.Disk{}, err
	}
	return d.Disk(ctx, id)
}

// Usage implements storage.Driver: of the thin pool, or of the group.
func (d *Driver) Usage(ctx context.Context) (total, free int64, err error) {
	g, err := d.group(ctx)
	if err != nil || d.Pool == "" {
		return g.Size, g.Free, err
	}
	v, there := g.find(d.Pool)
	if !there {
		return 0, 0, cloud.E("storage.Usage", cloud.NotFound, "the volume group %s has no thin pool %s any more", g.Name, d.Pool)
	}
	return v.Size, v.Size - int64(float64(v.Size)*v.DataPercent/100), nil
}
