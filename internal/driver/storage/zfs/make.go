package zfs

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/device"
)

// plan is how a volume comes to be.
type plan struct {
	kind  string
	size  int64                    // bytes; that of from at least
	from  *volume                  // what it begins as a clone of; nil for nothing
	snap  string                   // the snapshot of from to clone; "" for one of its own
	props []string                 // more properties, NAME=VALUE
	fill  func(dev *os.File) error // nil for nothing
}

// tree is the lock of those who change what is whose clone.
const tree = "/"

// part is a name of what is in the making.
func (d *Driver) part() string { return "p-" + cloud.NewID() }

// make makes a volume under a passing name, and gives it its own when all is on it, in place of
// one of Hearth's that may have that. Conflict where somebody else's has it.
func (d *Driver) make(ctx context.Context, name string, p plan) (v *volume, err error) {
	if err := d.ready(ctx); err != nil {
		return nil, err
	}
	part := d.part()
	if err := d.begin(ctx, part, p); err != nil {
		return nil, err
	}
	kept := false
	defer func() {
		if err != nil && !kept {
			err = errors.Join(err, d.drop(context.WithoutCancel(ctx), part))
		}
	}()
	if p.fill != nil {
		if err := d.fill(ctx, part, p.fill); err != nil {
			return nil, err
		}
	}
	if p.kind == kindImage {
		if err := d.snapshot(ctx, part, kindImage, cloud.NewID()); err != nil {
			return nil, err
		}
	}
	if kept, err = d.become(ctx, part, name); err != nil {
		return nil, err
	}
	return d.found(ctx, name)
}

// found is find for what has just been made.
func (d *Driver) found(ctx context.Context, name string) (*volume, error) {
	v, err := d.find(ctx, name)
	if err == nil && v == nil {
		err = cloud.E("storage.zfs", cloud.Unavailable, "the volume %s was made and is gone: somebody else has removed it", d.at(name))
	}
	return v, err
}

// snapshot makes one, marked as Hearth's from its first moment.
func (d *Driver) snapshot(ctx context.Context, of, kind, name string) error {
	return d.zfs(ctx, "snapshot", "-o", propKind+"="+kind, "-o", propOwner+"="+d.Owner, d.at(of)+"@h-"+name)
}

// begin makes the part, sparse. It leaves nothing where it fails. Of properties only the user's own
// are set: others are set after the device was made, which would be made anew, at any moment.
func (d *Driver) begin(ctx context.Context, part string, p plan) (err error) {
	unlock, err := d.locks.Lock(ctx, tree)
	if err != nil {
		return hostError(err)
	}
	defer unlock()
	var options []string
	for _, o := range append([]string{propKind + "=" + p.kind, propOwner + "=" + d.Owner}, p.props...) {
		options = append(options, "-o", o)
	}
	if p.from == nil {
		args := append([]string{"create", "-s", "-b", strconv.FormatInt(d.block, 10)}, options...)
		err = d.zfs(ctx, append(args, "-V", strconv.FormatInt(rounded(p.size, d.block), 10), d.at(part))...)
	} else {
		err = d.clone(ctx, part, p, options)
	}
	if err != nil {
		return errors.Join(err, d.dropped(context.WithoutCancel(ctx), part))
	}
	return nil
}

// clone makes the part share the blocks of what it is a copy of, as they are now.
func (d *Driver) clone(ctx context.Context, part string, p plan, options []string) error {
	snap := p.snap
	if snap == "" {
		snap = p.from.Name + "@h-" + part
		if err := d.snapshot(ctx, p.from.Name, kindCopy, part); err != nil {
			return err
		}
	}
	err := d.zfs(ctx, append(append([]string{"clone"}, options...), d.at(snap), d.at(part))...)
	if p.snap == "" { // from now on it goes with its last clone
		err = errors.Join(err, d.zfs(context.WithoutCancel(ctx), "destroy", "-d", d.at(snap)))
	}
	if err == nil && p.size > p.from.Size {
		err = d.zfs(ctx, "set", "volsize="+strconv.FormatInt(p.from.round(p.size), 10), d.at(part))
	}
	return err
}

// fill writes to a new volume, which reads as zeros wherever nothing is written.
func (d *Driver) fill(ctx context.Context, part string, fill func(dev *os.File) error) error {
	path, err := d.host.appear(ctx, d.at(part))
	if err != nil {
		return err
	}
	dev, _, err := device.Open(path)
	if err != nil {
		return hostError(err)
	}
	return hostError(errors.Join(fill(dev), dev.Sync(), dev.Close()))
}

// become gives a part its name. What a part is to be called is noted on it before what has the
// name goes: what breaks off in between is made good by New, so the part is to be kept then.
func (d *Driver) become(ctx context.Context, part, name string) (kept bool, err error) {
	old, err := d.find(ctx, name)
	if err != nil {
		return false, err
	}
	if old != nil {
		if !old.own() {
			return false, cloud.E("storage.zfs", cloud.Conflict, "the volume %s is not Hearth's: rename it", d.at(name))
		}
		if err := d.zfs(ctx, "set", propTo+"="+name, d.at(part)); err != nil {
			return false, err
		}
		ctx = context.WithoutCancel(ctx)
		if err := d.drop(ctx, name); err != nil {
			return false, err
		}
	}
	if err := d.zfs(ctx, "rename", d.at(part), d.at(name)); err != nil {
		return old != nil, err
	}
	_, err = d.host.appear(ctx, d.at(name))
	return true, err
}

// drop removes a volume of Hearth's; no error when it is gone, or somebody else's. Conflict where
// others have made snapshots of it, or have it open: it keeps what it holds then.
func (d *Driver) drop(ctx context.Context, name string) error {
	unlock, err := d.locks.Lock(ctx, tree)
	if err != nil {
		return hostError(err)
	}
	defer unlock()
	return d.dropped(ctx, name)
}

func (d *Driver) dropped(ctx context.Context, name string) error {
	all, err := d.list(ctx)
	if err != nil {
		return err
	}
	v := all[name]
	if v == nil || !v.own() {
		return nil
	}
	heir, err := d.heir(all, v)
	if err != nil {
		return err
	}
	var snaps []string
	for _, s := range v.Snaps {
		if !s.Deferred {
			snaps = append(snaps, s.Name)
		}
	}
	if len(snaps) > 0 { // those without clones go now, the others with their last
		if err := d.zfs(ctx, "destroy", "-d", d.at(name)+"@"+strings.Join(snaps, ",")); err != nil {
			return err
		}
	}
	if heir != "" {
		if err := d.zfs(ctx, "promote", heir); err != nil {
			return err
		}
	}
	return d.destroy(ctx, d.at(name))
}

// heir is the clone that gets the snapshots of a volume that is to go, by its whole name; "" where
// there are no clones. By 'zfs promote' it gets those up to its own, so it is one of the last that
// has clones: the others become clones of that.
func (d *Driver) heir(all map[string]*volume, v *volume) (string, error) {
	const op = "storage.zfs"
	for _, s := range v.Snaps {
		if s.Kind != kindCopy && s.Kind != kindImage {
			return "", cloud.E(op, cloud.Conflict, "the volume %s has the snapshot @%s, which Hearth did not make: destroy it; for snapshots that are made by the clock, see docs/zfs.md", d.at(v.Name), s.Name)
		}
	}
	for _, s := range slices.Backward(v.Snaps) {
		if len(s.Clones) == 0 {
			continue
		}
		for _, clone := range s.Clones {
			name, within := strings.CutPrefix(clone, d.Dataset+"/")
			if c := all[name]; within && c != nil && c.own() {
				return clone, nil
			}
		}
		return "", cloud.E(op, cloud.Conflict, "the volume %s has the clone %s, which is not Hearth's: 'zfs promote' it, or destroy it", d.at(v.Name), s.Clones[0])
	}
	return "", nil
}

// destroy removes a volume that has nothing left. Programs of udev look at a device for a moment
// after it was written to.
func (d *Driver) destroy(ctx context.Context, name string) (err error) {
	for range 3 {
		if err = d.zfs(ctx, "destroy", name); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "is busy") {
			break
		}
		d.host.settle(ctx)
	}
	if cloud.Is(err, cloud.NotFound) {
		return nil
	}
	return err
}
