// Package split keeps the disks of volumes and snapshots in one place, such as a
// volume group or a share, and all others in another: the host's own disk. To
// those above it is one driver.
package split

import (
	"cmp"
	"context"
	"io"
	"slices"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// Driver is two drivers. Images are cached in the host's, and in that of volumes
// once a volume is made of one.
type Driver struct {
	storage.Driver                // of the host: for all that is not said below
	Volumes        storage.Driver // for the disks that Mine says
	Mine           func(disk string) bool
}

var _ storage.Driver = (*Driver)(nil)

// of is the driver that a disk is in.
func (d *Driver) of(id string) storage.Driver {
	if d.Mine(id) {
		return d.Volumes
	}
	return d.Driver
}

// CloneDisk implements storage.Driver. The host's cache has the image raw, and
// checked already.
func (d *Driver) CloneDisk(ctx context.Context, id string, image storage.Image, size int64) (storage.Disk, error) {
	if !d.Mine(id) {
		return d.Driver.CloneDisk(ctx, id, image, size)
	}
	have, err := d.Driver.Images(ctx)
	if err != nil {
		return storage.Disk{}, err
	}
	if !slices.ContainsFunc(have, func(i storage.Image) bool { return i.Digest == image.Digest }) {
		return storage.Disk{}, cloud.E("storage.CloneDisk", cloud.Unavailable, "image %s is no longer in the node's cache; it is fetched again at the next try", image.Digest)
	}
	ref := cloud.ImageRef{ID: image.Digest, Digest: image.Digest, Format: "raw", Size: image.VirtualSize, VirtualSize: image.VirtualSize}
	there, err := d.Volumes.EnsureImage(ctx, ref, image.Path, nil)
	if err != nil {
		return storage.Disk{}, err
	}
	return d.Volumes.CloneDisk(ctx, id, there, size)
}

// BlankDisk implements storage.Driver.
func (d *Driver) BlankDisk(ctx context.Context, id string, size int64, label string) (storage.Disk, error) {
	return d.of(id).BlankDisk(ctx, id, size, label)
}

// ConfigDrive implements storage.Driver.
func (d *Driver) ConfigDrive(ctx context.Context, id string, files map[string][]byte) (storage.Disk, error) {
	return d.of(id).ConfigDrive(ctx, id, files)
}

// CopyDisk implements storage.Driver: byte by byte where the two are not in one
// place.
func (d *Driver) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	const op = "storage.CopyDisk"
	if d.Mine(id) == d.Mine(from) {
		return d.of(id).CopyDisk(ctx, id, from, size)
	}
	if disk, err := d.of(id).Disk(ctx, id); !cloud.Is(err, cloud.NotFound) {
		return disk, err
	}
	source, err := d.of(from).Disk(ctx, from)
	if err != nil { // the other place knows what is wrong with the name, if that is it
		return d.of(id).CopyDisk(ctx, id, from, size)
	}
	if size == 0 {
		size = source.Size
	}
	if size < source.Size {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk of %d bytes cannot hold a copy of %s, which has %d", size, from, source.Size)
	}
	return d.pour(ctx, id, from, size)
}

// CopyRoot implements storage.Driver: the disks that guests start from are all in
// one place.
func (d *Driver) CopyRoot(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return d.of(id).CopyRoot(ctx, id, from, size)
}

// pour writes what one disk holds to another.
func (d *Driver) pour(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	src, err := d.of(from).ReadDisk(ctx, from)
	if err != nil {
		return storage.Disk{}, err
	}
	defer src.Close()
	return d.of(id).WriteDisk(ctx, id, size, src)
}

// RevertDisk implements storage.Driver.
func (d *Driver) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	if d.Mine(id) == d.Mine(from) {
		return d.of(id).RevertDisk(ctx, id, from)
	}
	source, err := d.of(from).Disk(ctx, from)
	if err != nil {
		return storage.Disk{}, err
	}
	return d.pour(ctx, id, from, source.Size)
}

// AdoptDisk implements storage.Driver: within one place.
func (d *Driver) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	return d.of(id).AdoptDisk(ctx, id, from)
}

// WriteDisk implements storage.Driver.
func (d *Driver) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	return d.of(id).WriteDisk(ctx, id, size, src)
}

// GrowDisk implements storage.Driver.
func (d *Driver) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	return d.of(id).GrowDisk(ctx, id, size)
}

// ReadDisk implements storage.Driver.
func (d *Driver) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	return d.of(id).ReadDisk(ctx, id)
}

// Disk implements storage.Driver.
func (d *Driver) Disk(ctx context.Context, id string) (storage.Disk, error) {
	return d.of(id).Disk(ctx, id)
}

// RemoveDisk implements storage.Driver.
func (d *Driver) RemoveDisk(ctx context.Context, id string) error {
	return d.of(id).RemoveDisk(ctx, id)
}

// Disks implements storage.Driver.
func (d *Driver) Disks(ctx context.Context) ([]storage.Disk, error) {
	out, err := d.Driver.Disks(ctx)
	if err != nil {
		return nil, err
	}
	volumes, err := d.Volumes.Disks(ctx)
	out = append(out, volumes...)
	slices.SortFunc(out, func(a, b storage.Disk) int { return cmp.Compare(a.ID, b.ID) })
	return out, err
}

// RemoveImage implements storage.Driver: from both, unless one of them needs it.
func (d *Driver) RemoveImage(ctx context.Context, digest string) error {
	if err := d.Volumes.RemoveImage(ctx, digest); err != nil {
		return err
	}
	return d.Driver.RemoveImage(ctx, digest)
}
