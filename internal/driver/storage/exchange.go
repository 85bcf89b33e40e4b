package storage

import (
	"context"
	"errors"
	"strings"

	"hearth/internal/cloud"
)

const besideSuffix = ".seed"

// Beside names what is made beside a disk, in its pool, to take its place or to be read for it.
func Beside(disk string) string {
	name, pool := cloud.DiskPool(disk)
	return cloud.DiskIn(name+besideSuffix, pool)
}

// IsBeside tells the disks that Beside names.
func IsBeside(disk string) bool {
	name, _ := cloud.DiskPool(disk)
	return strings.HasSuffix(name, besideSuffix)
}

// RemoveBeside removes what is beside a disk, and beside that.
func RemoveBeside(ctx context.Context, d Driver, disk string) error {
	return errors.Join(d.RemoveDisk(ctx, Beside(Beside(disk))), d.RemoveDisk(ctx, Beside(disk)))
}

// Exchange gives the disk id, which nobody has open, what build makes under another name, beside
// it: there must be room for both. When that fails, id has what it had. It need not be there, and
// is not for a moment before the end: after a crash this is asked for again.
func Exchange(ctx context.Context, d Driver, id string, build func(beside string) (Disk, error)) (Disk, error) {
	if err := RemoveBeside(ctx, d, id); err != nil { // of a try that was broken off, of another image perhaps
		return Disk{}, err
	}
	if _, err := build(Beside(id)); err != nil {
		if left := RemoveBeside(context.WithoutCancel(ctx), d, id); left != nil {
			err = errors.Join(err, left)
		}
		return Disk{}, err
	}
	if err := d.RemoveDisk(ctx, id); err != nil {
		return Disk{}, err
	}
	return d.AdoptDisk(ctx, id, Beside(id))
}
