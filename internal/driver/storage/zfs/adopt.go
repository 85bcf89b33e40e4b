package zfs

import (
	"context"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// AdoptDisk implements storage.Driver: of a disk, or of a volume of the operator's own by its
// name in the dataset, which nobody has open.
func (d *Driver) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	const op = "storage.AdoptDisk"
	if err := storage.CheckID(op, from); err != nil {
		return storage.Disk{}, err
	}
	return d.locked(ctx, op, id, func() (*volume, error) {
		if _, err := d.writable(ctx); err != nil {
			return nil, err
		}
		all, err := d.list(ctx)
		if err != nil {
			return nil, err
		}
		source, known := all["d-"+from], all["d-"+id]
		if !isDisk(source) {
			source = givenAway(all[from])
		}
		switch {
		case isDisk(known) && source != nil:
			return nil, cloud.E(op, cloud.Conflict, "the disk %s cannot take the place of %s, which is there", from, id)
		case isDisk(known):
			return known, nil
		case source == nil:
			return nil, cloud.E(op, cloud.NotFound, "there is no disk %s in the dataset %s", from, d.Dataset)
		case known != nil && known != source:
			return nil, cloud.E(op, cloud.Conflict, "the volume %s is not Hearth's: rename it", d.at(known.Name))
		}
		return d.adopt(ctx, source, "d-"+id)
	})
}

// givenAway is a volume that can be adopted: one that is not Hearth's, or one whose adoption broke
// off.
func givenAway(v *volume) *volume {
	if v == nil || v.own() && (v.Kind != kindDisk || strings.HasPrefix(v.Name, "d-") || strings.HasPrefix(v.Name, "p-")) {
		return nil
	}
	return v
}

// adopt marks a volume as Hearth's and gives it its name.
func (d *Driver) adopt(ctx context.Context, v *volume, name string) (*volume, error) {
	if !v.own() {
		if err := d.idle(ctx, v); err != nil {
			return nil, err
		}
		if err := d.zfs(ctx, "set", propKind+"="+kindDisk, propOwner+"="+d.Owner, d.at(v.Name)); err != nil {
			return nil, err
		}
	}
	if v.Name != name {
		if err := d.zfs(ctx, "rename", d.at(v.Name), d.at(name)); err != nil {
			return nil, err
		}
	}
	if _, err := d.host.appear(ctx, d.at(name)); err != nil {
		return nil, err
	}
	return d.found(ctx, name)
}

// idle is Conflict for a volume that somebody has open.
func (d *Driver) idle(ctx context.Context, v *volume) error {
	path, err := d.host.appear(ctx, d.at(v.Name))
	if err != nil {
		return err
	}
	d.host.settle(ctx) // udev looks at devices for a moment
	who, err := d.host.user(path)
	if err == nil && who != "" {
		return cloud.E("storage.AdoptDisk", cloud.Conflict, "the volume %s is open (by %s): unmount it, or stop what uses it", d.at(v.Name), who)
	}
	return hostError(err)
}
