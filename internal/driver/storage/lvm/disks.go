package lvm

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

// Disk implements storage.Driver.
func (d *Driver) Disk(ctx context.Context, id string) (storage.Disk, error) {
	if err := checkID("storage.Disk", id); err != nil {
		return storage.Disk{}, err
	}
	_, v, found, err := d.find(ctx, "h-"+id)
	if err == nil && (!found || !v.has(tagDisk)) {
		err = cloud.E("storage.Disk", cloud.NotFound, "there is no disk %s on this node", id)
	}
	return diskOf(v), err
}

// Disks implements storage.Driver.
func (d *Driver) Disks(ctx context.Context) (out []storage.Disk, err error) {
	g, err := d.group(ctx)
	if err != nil {
		return nil, err
	}
	all, err := d.volumes(ctx, g.Name)
	for _, v := range all {
		if v.has(tagDisk) {
			out = append(out, diskOf(v))
		}
	}
	slices.SortFunc(out, func(a, b storage.Disk) int { return strings.Compare(a.ID, b.ID) })
	return out, err
}

// plan is how a volume comes to be.
type plan struct {
	from string // the volume that it begins as a thin copy of, "" for a new one
	size int64
	fill func(dev *os.File) error // nil for nothing
}

// make makes a volume under a passing name, and gives it its own and its tags in
// place of any of the same name when all is on it.
func (d *Driver) make(ctx context.Context, name string, p plan, tags ...string) (v lv, err error) {
	g, err := d.group(ctx)
	if err != nil {
		return v, err
	}
	part := "p-" + cloud.NewID()
	if err := d.create(ctx, g, part, p); err != nil {
		return v, err
	}
	done := false
	defer func() {
		if !done {
			err = errors.Join(err, d.lvm(context.WithoutCancel(ctx), "lvremove", "--yes", g.Name+"/"+part))
		}
	}()
	if err := d.fill(ctx, g, part, p); err != nil {
		return v, err
	}
	if _, old, found, err := d.find(ctx, name); err != nil {
		return v, err
	} else if found && !old.own() {
		return v, cloud.E("storage.lvm", cloud.Conflict, "the volume %s/%s is not Hearth's: rename it", g.Name, name)
	} else if found {
		if err := d.lvm(ctx, "lvremove", "--yes", g.Name+"/"+name); err != nil {
			return v, err
		}
	}
	if err := d.lvm(ctx, "lvrename", g.Name, part, name); err != nil {
		return v, err
	}
	part = name
	args := []string{"--deltag", tagPart}
	for _, t := range tags {
		args = append(args, "--addtag", t)
	}
	if err := d.lvm(ctx, "lvchange", append(args, g.Name+"/"+name)...); err != nil {
		return v, err
	}
	done = true
	_, v, _, err = d.find(ctx, name)
	return v, err
}

// create makes the volume of a plan, active and with the tag of what is in the
// making from its first moment.
func (d *Driver) create(ctx context.Context, g group, part string, p plan) error {
	args := []string{"--yes", "--addtag", tagPart, "--name", part}
	switch {
	case p.from != "" && d.Pool != "":
		args = append(args, "--snapshot", "--setactivationskip", "n", "--activate", "y", g.Name+"/"+p.from)
	case d.Pool != "":
		args = append(args, "--virtualsize", bytesOf(p.size), "--thinpool", d.Pool, g.Name)
	default:
		args = append(args, "--zero", "y", "--wipesignatures", "n", "--size", bytesOf(p.size), g.Name)
	}
	return d.lvm(ctx, "lvcreate", args...)
}

// fill puts on a new volume what its plan says, and zeros wherever that says
// nothing.
func (d *Driver) fill(ctx context.Context, g group, part string, p plan) error {
	_, v, found, err := d.find(ctx, part)
	if err != nil || !found {
		return errors.Join(err, ctx.Err())
	}
	if v.Size < p.size {
		if err := d.lvm(ctx, "lvextend", "--size", bytesOf(p.size), g.Name+"/"+part); err != nil {
			return err
		}
	}
	dev, err := os.OpenFile(v.Path, os.O_RDWR, 0)
	if err != nil {
		return hostError(err)
	}
	if d.Pool == "" { // a thin volume reads as zeros where nothing was written
		err = zero(dev, 0, v.Size)
	}
	if err == nil && p.from != "" && d.Pool == "" {
		err = d.copyFrom(ctx, g, dev, p.from)
	}
	if err == nil && p.fill != nil {
		err = p.fill(dev)
	}
	return hostError(errors.Join(err, dev.Sync(), dev.Close()))
}

// copyFrom copies a thick volume.
func (d *Driver) copyFrom(ctx context.Context, g group, dev *os.File, from string) error {
	in, err := os.Open(filepath.Join("/dev", g.Name, from))
	if err != nil {
		return err
	}
	defer in.Close()
	return copyData(ctx, dev, in)
}

// again gives the disk of an id when it is there already.
func (d *Driver) again(ctx context.Context, op, id string) (disk storage.Disk, there bool, err error) {
	if err := checkID(op, id); err != nil {
		return disk, false, err
	}
	disk, err = d.Disk(ctx, id)
	if cloud.Is(err, cloud.NotFound) {
		return disk, false, nil
	}
	return disk, err == nil, err
}

// disk makes a disk unless it is there.
func (d *Driver) disk(ctx context.Context, op, id string, p plan) (storage.Disk, error) {
	defer d.locks.lock(id)()
	disk, there, err := d.again(ctx, op, id)
	if err != nil || there {
		return disk, err
	}
	v, err := d.make(ctx, "h-"+id, p, tagDisk)
	return diskOf(v), err
}

func sectors(size int64) int64 { return (size + 511) &^ 511 }

// BlankDisk implements storage.Driver.
func (d *Driver) BlankDisk(ctx context.Context, id string, size int64, label string) (storage.Disk, error) {
	const op = "storage.BlankDisk"
	if err := checkID(op, id); err != nil {
		return storage.Disk{}, err
	}
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a blank disk needs a size; %d bytes were asked for", size)
	}
	p := plan{size: sectors(size)}
	if label != "" {
		p.fill = d.prepared(ctx, func(path string) error {
			if err := os.Truncate(path, p.size); err != nil {
				return err
			}
			if label == "swap" {
				return d.Kitchen.Swap(ctx, path)
			}
			return d.Kitchen.Ext4(ctx, path, label)
		})
	}
	return d.disk(ctx, op, id, p)
}

// prepared copies to a volume what is made in a file.
func (d *Driver) prepared(ctx context.Context, make func(path string) error) func(dev *os.File) error {
	return func(dev *os.File) error {
		f, err := os.CreateTemp(d.Tmp, "lvm")
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		if err := make(f.Name()); err != nil {
			return err
		}
		return copyData(ctx, dev, f)
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
	f, err := os.Open(path)
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return storage.Disk{}, hostError(err)
	}
	return d.disk(ctx, op, id, plan{size: sectors(fi.Size()), fill: func(dev *os.File) error { return copyData(ctx, dev, f) }})
}

// CopyDisk implements storage.Driver.
func (d *Driver) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	const op = "storage.CopyDisk"
	if disk, there, err := d.again(ctx, op, id); err != nil || there {
		return disk, err
	}
	source, err := d.Disk(ctx, from)
	if err != nil {
		return storage.Disk{}, err
	}
	if size == 0 {
		size = source.Size
	}
	if size < source.Size {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold a copy of %s, which has %d", size, from, source.Size)
	}
	return d.disk(ctx, op, id, plan{from: "h-" + from, size: sectors(size)})
}

// RevertDisk implements storage.Driver.
func (d *Driver) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	if err := checkID("storage.RevertDisk", id); err != nil {
		return storage.Disk{}, err
	}
	source, err := d.Disk(ctx, from)
	if err != nil {
		return storage.Disk{}, err
	}
	defer d.locks.lock(id)()
	v, err := d.make(ctx, "h-"+id, plan{from: "h-" + from, size: source.Size}, tagDisk)
	return diskOf(v), err
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
	defer d.locks.lock(id)()
	p := plan{size: sectors(size), fill: func(dev *os.File) error { return copyData(ctx, dev, io.LimitReader(src, size)) }}
	v, err := d.make(ctx, "h-"+id, p, tagDisk)
	return diskOf(v), err
}

// GrowDisk implements storage.Driver. A tag says what is new until that is zeroed,
// so that a crash in between is made good by the next call.
func (d *Driver) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	defer d.locks.lock(id)()
	disk, err := d.Disk(ctx, id)
	if err != nil || disk.Size >= size {
		return disk, err
	}
	g, err := d.group(ctx)
	if err != nil {
		return disk, err
	}
	name := g.Name + "/h-" + id
	was := tagWas + bytesOf(disk.Size)
	was = strings.TrimSuffix(was, "b")
	if err := d.lvm(ctx, "lvchange", "--addtag", was, name); err != nil {
		return disk, err
	}
	_, now, _, err := d.find(ctx, "h-"+id)
	if err != nil {
		return disk, err
	}
	if now.Size < size {
		if err := d.lvm(ctx, "lvextend", "--size", bytesOf(sectors(size)), name); err != nil {
			return disk, errors.Join(err, d.lvm(context.WithoutCancel(ctx), "lvchange", "--deltag", was, name))
		}
		if _, now, _, err = d.find(ctx, "h-"+id); err != nil {
			return disk, err
		}
	}
	if d.Pool == "" {
		dev, err := os.OpenFile(now.Path, os.O_RDWR, 0)
		if err != nil {
			return disk, hostError(err)
		}
		if err := errors.Join(zero(dev, disk.Size, now.Size), dev.Sync(), dev.Close()); err != nil {
			return disk, hostError(err)
		}
	}
	if err := d.lvm(ctx, "lvchange", "--deltag", was, name); err != nil {
		return disk, err
	}
	return d.Disk(ctx, id)
}

// ReadDisk implements storage.Driver.
func (d *Driver) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	disk, err := d.Disk(ctx, id)
	if err != nil {
		return nil, err
	}
	dev, err := os.Open(disk.Path)
	if err != nil {
		return nil, hostError(err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(dev, disk.Size), dev}, nil
}

// RemoveDisk implements storage.Driver.
func (d *Driver) RemoveDisk(ctx context.Context, id string) error {
	if err := checkID("storage.RemoveDisk", id); err != nil {
		return err
	}
	defer d.locks.lock(id)()
	g, v, found, err := d.find(ctx, "h-"+id)
	if err != nil || !found || !v.has(tagDisk) {
		return err
	}
	return d.lvm(ctx, "lvremove", "--yes", g.Name+"/"+v.Name)
}

// AdoptDisk implements storage.Driver: of a disk, or of a volume of the operator's
// own by its name in the group.
func (d *Driver) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	const op = "storage.AdoptDisk"
	if err := errors.Join(checkID(op, id), checkID(op, from)); err != nil {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "%q cannot be the id of a disk", id)
	}
	defer d.locks.lock(id)()
	known, there, err := d.again(ctx, op, id)
	if err != nil {
		return known, err
	}
	g, v, found, err := d.find(ctx, "h-"+from)
	if err == nil && !found {
		g, v, found, err = d.find(ctx, from)
		found = found && !v.own() && strings.HasPrefix(v.Attr, "-") || found && !v.own() && strings.HasPrefix(v.Attr, "V")
	}
	switch {
	case err != nil:
		return storage.Disk{}, err
	case there && found:
		return known, cloud.E(op, cloud.Conflict, "the disk %s cannot take the place of %s, which is there", from, id)
	case there:
		return known, nil
	case !found:
		return known, cloud.E(op, cloud.NotFound, "there is no disk %s on this node", from)
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
	if d.Pool == "" {
		g, err := d.group(ctx)
		return g.Size, g.Free, err
	}
	_, v, _, err := d.find(ctx, d.Pool)
	return v.Size, v.Size - int64(float64(v.Size)*v.DataPercent/100), err
}
