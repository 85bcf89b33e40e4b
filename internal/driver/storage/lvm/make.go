package lvm

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/device"
)

// plan is how a volume comes to be.
type plan struct {
	from string                   // the volume that it begins as a thin copy of, "" for a new one
	size int64                    // bytes; that of from at least
	fill func(dev *os.File) error // nil for nothing
}

// make makes a volume, and gives it its tags when all is on it. One of the same
// name is replaced only then: until that, the new one has a passing name. Conflict
// where a volume of somebody else's has the name.
func (d *Driver) make(ctx context.Context, g group, name string, p plan, tags ...string) (v lv, err error) {
	old, replace := g.find(name)
	if replace && !old.own() {
		return v, cloud.E("storage.lvm", cloud.Conflict, "the volume %s/%s is not Hearth's: rename it", g.Name, name)
	}
	if err := d.room(g); err != nil {
		return v, err
	}
	part := name
	if replace {
		part = "p-" + cloud.NewID()
	}
	if err := d.create(ctx, g, part, p); err != nil {
		return v, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.lvm(context.WithoutCancel(ctx), "lvremove", "--yes", g.Name+"/"+part))
		}
	}()
	if v, err = d.fill(ctx, g, part, p); err != nil {
		return v, err
	}
	if replace {
		if err := d.lvm(ctx, "lvremove", "--yes", g.Name+"/"+name); err != nil {
			return v, err
		}
		if err := d.lvm(ctx, "lvrename", g.Name, part, name); err != nil {
			return v, err
		}
		part = name
	}
	args := []string{"--deltag", tagPart}
	for _, t := range tags {
		args = append(args, "--addtag", t)
	}
	v.Name, v.Path, v.Tags = name, path(g, name), tags
	return v, d.lvm(ctx, "lvchange", append(args, g.Name+"/"+name)...)
}

// path is where a volume is a block device.
func path(g group, name string) string { return filepath.Join("/dev", g.Name, name) }

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
func (d *Driver) fill(ctx context.Context, g group, part string, p plan) (lv, error) {
	v := lv{Name: part, Path: path(g, part)}
	dev, size, err := device.Open(v.Path)
	if err == nil && size < p.size { // the copy of a smaller one
		if err := errors.Join(dev.Close(), d.lvm(ctx, "lvextend", "--size", bytesOf(p.size), g.Name+"/"+part)); err != nil {
			return v, err
		}
		dev, size, err = device.Open(v.Path)
	}
	if err != nil {
		return v, hostError(err)
	}
	v.Size = size
	if d.Pool == "" { // a thin volume reads as zeros where nothing was written
		err = zero(dev, 0, size)
	}
	if err == nil && p.from != "" && d.Pool == "" {
		err = copyFrom(ctx, dev, path(g, p.from))
	}
	if err == nil && p.fill != nil {
		err = p.fill(dev)
	}
	return v, hostError(errors.Join(err, dev.Sync(), dev.Close()))
}

// copyFrom copies a thick volume.
func copyFrom(ctx context.Context, dev *os.File, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return device.Copy(ctx, dev, in)
}

// momentary gives the bytes of a volume as they are now, whatever is written to it
// later. Only one that somebody has open needs a copy for that, which goes when it
// is closed.
func (d *Driver) momentary(ctx context.Context, g group, v lv, size int64) (io.ReadCloser, error) {
	part := ""
	if v.open() {
		if err := errors.Join(g.changeable(), d.room(g)); err != nil {
			return nil, err
		}
		part = "p-" + cloud.NewID()
		p := plan{from: v.Name, size: v.Size}
		if err := d.create(ctx, g, part, p); err != nil {
			return nil, err
		}
		if _, err := d.fill(ctx, g, part, p); err != nil {
			return nil, errors.Join(err, d.lvm(context.WithoutCancel(ctx), "lvremove", "--yes", g.Name+"/"+part))
		}
		v.Path = path(g, part)
	}
	dev, err := os.Open(v.Path)
	if err != nil {
		return nil, hostError(err)
	}
	return &reading{Reader: io.LimitReader(dev, size), close: func() error {
		err := dev.Close()
		if part != "" {
			err = errors.Join(err, d.lvm(context.WithoutCancel(ctx), "lvremove", "--yes", g.Name+"/"+part))
		}
		return err
	}}, nil
}

// reading is what is read of a volume.
type reading struct {
	io.Reader
	close func() error
}

// Close implements io.Closer.
func (r *reading) Close() error { return r.close() }
