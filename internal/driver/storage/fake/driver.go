// Package fake is a storage driver in memory: it keeps images and disks as
// records, takes no time, and can be told to fail. A Driver is the world of a
// host: an agent that is started anew with the same one finds its disks again.
package fake

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// Driver keeps images and disks in memory. It is safe for concurrent use.
type Driver struct {
	mu     sync.Mutex
	images map[string]storage.Image
	disks  map[string]storage.Disk
	files  map[string]map[string][]byte // of config drives, by disk
	fault  func(op, id string) error
	total  int64
	kept   string // folder with a record of each image and disk; "" for none
}

var _ storage.Driver = (*Driver)(nil)

// New makes an empty driver of a terabyte.
func New() *Driver {
	return &Driver{images: map[string]storage.Image{}, disks: map[string]storage.Disk{}, files: map[string]map[string][]byte{}, total: 1 << 40}
}

// Fail makes calls ask fn first, with the method's name and the digest or disk
// id; an error it gives is the call's. Nil ends that.
func (d *Driver) Fail(fn func(op, id string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fn
}

// Files are what a config drive holds; nil for none.
func (d *Driver) Files(id string) map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.files[id])
}

// faulty is the error that a call is to fail with, if any.
func (d *Driver) faulty(ctx context.Context, op, id string) error {
	if err := ctx.Err(); err != nil {
		return cloud.E("storage."+op, cloud.Unavailable, "stopped before it was done: %w", err)
	}
	d.mu.Lock()
	fault := d.fault
	d.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(op, id)
}

// EnsureImage implements storage.Driver: it reads and checks the bytes, and
// forgets them.
func (d *Driver) EnsureImage(ctx context.Context, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) (storage.Image, error) {
	const op = "EnsureImage"
	if err := storage.CheckDigest("storage."+op, ref.Digest); err != nil {
		return storage.Image{}, err
	}
	if err := d.faulty(ctx, op, ref.Digest); err != nil {
		return storage.Image{}, err
	}
	img := storage.Image{Digest: ref.Digest, Path: "/fake/images/" + strings.TrimPrefix(ref.Digest, "sha512:"), Format: "raw", VirtualSize: max(ref.VirtualSize, ref.Size)}
	if _, err := storage.AsIs(ref); err != nil {
		return storage.Image{}, err
	}
	switch ref.Format {
	case "aki", "ari", "iso":
		img.Format = ref.Format
	}
	d.mu.Lock()
	known, ok := d.images[ref.Digest]
	d.mu.Unlock()
	if ok {
		known.Format = img.Format
		return known, nil
	}
	if localPath == "" {
		if err := check(ref, open); err != nil {
			return storage.Image{}, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.images[ref.Digest] = img
	return img, d.keep("image-"+img.Digest, img)
}

func check(ref cloud.ImageRef, open func() (io.ReadCloser, error)) error {
	src, err := open()
	if err != nil {
		return err
	}
	defer src.Close()
	h := sha512.New()
	if _, err := io.Copy(h, src); err != nil {
		return cloud.E("storage.EnsureImage", cloud.Unavailable, "reading the image broke off: %w", err)
	}
	if got := "sha512:" + hex.EncodeToString(h.Sum(nil)); got != ref.Digest {
		return cloud.E("storage.EnsureImage", cloud.Unavailable, "the bytes fetched of image %s are not those of its digest (%s, wanted %s)", ref.ID, got, ref.Digest)
	}
	return nil
}

// CloneDisk implements storage.Driver.
func (d *Driver) CloneDisk(ctx context.Context, id string, image storage.Image, size int64) (storage.Disk, error) {
	if size == 0 {
		size = image.VirtualSize
	}
	size = (size + 511) &^ 511
	disk := storage.Disk{ID: id, Format: "qcow2", Size: size, Backing: image.Path}
	if size > image.VirtualSize {
		disk.Grown = "as told"
	}
	return d.make(ctx, "CloneDisk", disk, func() error {
		if _, ok := d.images[image.Digest]; !ok {
			return cloud.E("storage.CloneDisk", cloud.Unavailable, "image %s is no longer in the node's cache", image.Digest)
		}
		if size < image.VirtualSize {
			return cloud.E("storage.CloneDisk", cloud.Invalid, "a disk of %d bytes cannot hold the image, which needs %d: choose a flavor with a larger disk", size, image.VirtualSize)
		}
		return nil
	})
}

// BlankDisk implements storage.Driver.
func (d *Driver) BlankDisk(ctx context.Context, id string, size int64, _ string) (storage.Disk, error) {
	return d.make(ctx, "BlankDisk", storage.Disk{ID: id, Format: "raw", Size: size}, func() error {
		if size <= 0 {
			return cloud.E("storage.BlankDisk", cloud.Invalid, "a blank disk needs a size; %d bytes were asked for", size)
		}
		return nil
	})
}

// CopyDisk implements storage.Driver.
func (d *Driver) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	if err := storage.CheckID("storage.CopyDisk", id); err != nil {
		return storage.Disk{}, err
	}
	source, err := d.Disk(ctx, from)
	if known, have := d.Disk(ctx, id); have == nil {
		return known, nil
	}
	if err != nil {
		return storage.Disk{}, err
	}
	if size == 0 {
		size = source.Size
	}
	source.ID, source.Path = id, ""
	was := source.Size
	source.Size = size
	return d.make(ctx, "CopyDisk", source, func() error {
		if size < was {
			return cloud.E("storage.CopyDisk", cloud.Invalid, "a disk of %d bytes cannot hold a copy of %s, which has %d", size, from, was)
		}
		return nil
	})
}

// CopyRoot implements storage.Driver.
func (d *Driver) CopyRoot(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return d.CopyDisk(ctx, id, from, size)
}

// GrowDisk implements storage.Driver.
func (d *Driver) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	if err := d.faulty(ctx, "GrowDisk", id); err != nil {
		return storage.Disk{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	disk, ok := d.disks[id]
	if !ok {
		return disk, cloud.E("storage.GrowDisk", cloud.NotFound, "there is no disk %s on this node", id)
	}
	disk.Size = max(disk.Size, (size+511)&^511)
	d.disks[id] = disk
	return disk, nil
}

// ReadDisk implements storage.Driver: every disk is empty.
func (d *Driver) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	if err := d.faulty(ctx, "ReadDisk", id); err != nil {
		return nil, err
	}
	disk, err := d.Disk(ctx, id)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.LimitReader(zeros{}, disk.Size)), nil
}

// zeros never ends.
type zeros struct{}

// Read gives zeros.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// WriteDisk implements storage.Driver: what is written is read, and forgotten.
func (d *Driver) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	const op = "storage.WriteDisk"
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a disk needs a size; %d bytes were asked for", size)
	}
	size = (size + 511) &^ 511
	return d.replace(ctx, "WriteDisk", storage.Disk{ID: id, Format: "raw", Size: size}, func() error {
		_, err := io.Copy(io.Discard, io.LimitReader(src, size))
		return err
	})
}

// RevertDisk implements storage.Driver.
func (d *Driver) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	source, err := d.Disk(ctx, from)
	if err != nil {
		return storage.Disk{}, err
	}
	source.ID = id
	return d.replace(ctx, "RevertDisk", source, func() error { return nil })
}

// AdoptDisk implements storage.Driver.
func (d *Driver) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	for _, name := range []string{id, from} {
		if err := storage.CheckID("storage.AdoptDisk", name); err != nil {
			return storage.Disk{}, err
		}
	}
	disk, err := d.Disk(ctx, from)
	known, gone := d.Disk(ctx, id)
	switch {
	case err == nil && gone == nil:
		return known, cloud.E("storage.AdoptDisk", cloud.Conflict, "the disk %s cannot take the place of %s, which is there", from, id)
	case gone == nil:
		return known, nil
	case err != nil:
		return disk, err
	}
	disk.ID, disk.Path = id, ""
	if disk, err = d.make(ctx, "AdoptDisk", disk, func() error { return nil }); err != nil {
		return disk, err
	}
	return disk, d.RemoveDisk(ctx, from)
}

// replace records a disk in place of what is there, once read has succeeded.
func (d *Driver) replace(ctx context.Context, op string, disk storage.Disk, read func() error) (storage.Disk, error) {
	if err := storage.CheckID("storage."+op, disk.ID); err != nil {
		return storage.Disk{}, err
	}
	if err := d.faulty(ctx, op, disk.ID); err != nil {
		return storage.Disk{}, err
	}
	if err := read(); err != nil {
		return storage.Disk{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	disk.Path = "/fake/disks/" + disk.ID
	d.disks[disk.ID] = disk
	return disk, d.keep("disk-"+disk.ID, disk)
}

// ConfigDrive implements storage.Driver.
func (d *Driver) ConfigDrive(ctx context.Context, id string, files map[string][]byte) (storage.Disk, error) {
	return d.make(ctx, "ConfigDrive", storage.Disk{ID: id, Format: "raw", Size: 1 << 20}, func() error {
		d.files[id] = maps.Clone(files)
		return nil
	})
}

// make records a disk unless it is there; may refuses it.
func (d *Driver) make(ctx context.Context, op string, disk storage.Disk, may func() error) (storage.Disk, error) {
	if err := storage.CheckID("storage."+op, disk.ID); err != nil {
		return storage.Disk{}, err
	}
	if err := d.faulty(ctx, op, disk.ID); err != nil {
		return storage.Disk{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, ok := d.disks[disk.ID]; ok {
		return known, nil
	}
	if err := may(); err != nil {
		return storage.Disk{}, err
	}
	disk.Path = "/fake/disks/" + disk.ID
	d.disks[disk.ID] = disk
	return disk, d.keep("disk-"+disk.ID, disk)
}

// Disk implements storage.Driver.
func (d *Driver) Disk(_ context.Context, id string) (storage.Disk, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if disk, ok := d.disks[id]; ok {
		return disk, nil
	}
	return storage.Disk{}, cloud.E("storage.Disk", cloud.NotFound, "there is no disk %s on this node", id)
}

// RemoveDisk implements storage.Driver.
func (d *Driver) RemoveDisk(ctx context.Context, id string) error {
	if err := storage.CheckID("storage.RemoveDisk", id); err != nil {
		return err
	}
	if err := d.faulty(ctx, "RemoveDisk", id); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.disks, id)
	delete(d.files, id)
	return d.forget("disk-" + id)
}

// Disks implements storage.Driver.
func (d *Driver) Disks(context.Context) ([]storage.Disk, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []storage.Disk
	for _, id := range slices.Sorted(maps.Keys(d.disks)) {
		out = append(out, d.disks[id])
	}
	return out, nil
}

// Images implements storage.Driver.
func (d *Driver) Images(context.Context) ([]storage.Image, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []storage.Image
	for _, id := range slices.Sorted(maps.Keys(d.images)) {
		out = append(out, d.images[id])
	}
	return out, nil
}

// RemoveImage implements storage.Driver.
func (d *Driver) RemoveImage(_ context.Context, digest string) error {
	if err := storage.CheckDigest("storage.RemoveImage", digest); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, disk := range d.disks {
		if img, ok := d.images[digest]; ok && disk.Backing == img.Path {
			return cloud.E("storage.RemoveImage", cloud.Conflict, "the disk %s still reads from image %s", disk.ID, digest)
		}
	}
	delete(d.images, digest)
	return d.forget("image-" + digest)
}

// Usage implements storage.Driver: every disk counts whole.
func (d *Driver) Usage(context.Context) (total, free int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free = d.total
	for _, disk := range d.disks {
		free -= disk.Size
	}
	return d.total, max(free, 0), nil
}
