package file

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// CopyDisk implements storage.Driver: blocks are shared where the file system
// can; elsewhere a raw disk's data is copied without its holes, and of an overlay
// only what was written to it, for the copy reads from the same image.
func (d *Driver) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return d.copyDisk(ctx, id, from, size, d.resize)
}

// CopyRoot implements storage.Driver.
func (d *Driver) CopyRoot(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	return d.copyDisk(ctx, id, from, size, func(ctx context.Context, disk *storage.Disk, path string, was int64) (err error) {
		if disk.Size <= was {
			return nil
		}
		disk.Grown, err = d.Kitchen.Grow(ctx, chain(*disk, path), disk.Size)
		if cloud.Is(err, cloud.Unsupported) { // the file system is left to the guest
			disk.Grown = "not grown: " + cloud.Message(err)
			return d.resize(ctx, disk, path, was)
		}
		return err
	})
}

// copyDisk copies a disk and has fit make the copy's file of the right size.
func (d *Driver) copyDisk(ctx context.Context, id, from string, size int64, fit func(ctx context.Context, disk *storage.Disk, path string, was int64) error) (storage.Disk, error) {
	const op = "storage.CopyDisk"
	place, err := d.diskDir(id)
	if err != nil {
		return storage.Disk{}, err
	}
	if disk, err := readDisk(place); err == nil {
		return disk, nil
	}
	unlock, err := d.locks.Lock(ctx, from)
	if err != nil {
		return storage.Disk{}, hostError(op, err)
	}
	defer unlock()
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
	if source.Backing != "" { // the image stays while the copy is not in its place yet
		defer d.holds.take(digestOf(source.Backing))()
	}
	made := storage.Disk{ID: id, Format: source.Format, Size: size, Backing: source.Backing, Grown: source.Grown}
	disk, err := d.makeDisk(place, made, func(disk *storage.Disk, path string) error {
		if err := d.copyFile(ctx, source.Path, path); err != nil {
			return err
		}
		return fit(ctx, disk, path, source.Size)
	})
	return disk, hostError(op, err)
}

// resize gives the file of a disk its size; was is what it has.
func (d *Driver) resize(ctx context.Context, disk *storage.Disk, path string, was int64) error {
	switch {
	case disk.Size <= was:
		return nil
	case disk.Format == "raw":
		return os.Truncate(path, disk.Size)
	}
	return d.Kitchen.Resize(ctx, chain(*disk, path), disk.Size)
}

// chain is what a disk with its own layer at path is made of.
func chain(disk storage.Disk, path string) []Layer {
	layers := []Layer{{path, disk.Format}}
	if disk.Backing != "" {
		layers = append(layers, Layer{disk.Backing, "raw"})
	}
	return layers
}

// GrowDisk implements storage.Driver. The record is written last: after a crash
// before it the next call does the same again.
func (d *Driver) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	const op = "storage.GrowDisk"
	place, err := d.diskDir(id)
	if err != nil {
		return storage.Disk{}, err
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return storage.Disk{}, hostError(op, err)
	}
	defer unlock()
	disk, err := d.Disk(ctx, id)
	if err != nil || disk.Size >= size {
		return disk, err
	}
	was := disk.Size
	disk.Size = (size + 511) &^ 511
	if disk.Format != "raw" && overlaySize(disk.Path) >= disk.Size {
		was = disk.Size // the guest that has it has made it so
	}
	if err := d.resize(ctx, &disk, disk.Path, was); err != nil {
		return storage.Disk{}, hostError(op, err)
	}
	if err := d.sync(disk.Path); err != nil {
		return storage.Disk{}, hostError(op, err)
	}
	return disk, hostError(op, d.rewrite(place, disk))
}

// overlaySize is the size of the disk in a qcow2 file, in bytes, by its header
// (docs/interop/qcow2.txt); 0 when it cannot be told.
func overlaySize(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	var header [32]byte
	if _, err := io.ReadFull(f, header[:]); err != nil || string(header[:4]) != "QFI\xfb" {
		return 0
	}
	return int64(min(binary.BigEndian.Uint64(header[24:]), 1<<62))
}

// rewrite replaces the record of a disk.
func (d *Driver) rewrite(place string, disk storage.Disk) error {
	work, err := d.workDir("record")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := writeMeta(work, disk); err != nil {
		return err
	}
	return d.settle(filepath.Join(work, metaName), filepath.Join(place, metaName))
}

// ReadDisk implements storage.Driver. A raw disk is read from a copy that shares
// its blocks; where there is none to be had, from a whole copy while a guest has it
// open, and else from the disk itself. An overlay is flattened first. The file is gone
// when the reader is closed.
func (d *Driver) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	const op = "storage.ReadDisk"
	if _, err := d.diskDir(id); err != nil {
		return nil, err
	}
	unlock, err := d.locks.Lock(ctx, id)
	if err != nil {
		return nil, hostError(op, err)
	}
	defer unlock()
	disk, err := d.Disk(ctx, id)
	if err != nil {
		return nil, err
	}
	work, err := d.workDir("read")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	path := filepath.Join(work, diskName)
	switch {
	case disk.Format != "raw":
		err = d.flatten(ctx, disk, work, path)
	case d.reflink:
		err = reflinkFile(disk.Path, path)
	case inUse(disk.Path):
		err = d.copyFile(ctx, disk.Path, path)
	default:
		path = disk.Path
	}
	if err != nil {
		return nil, hostError(op, err)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cloud.E(op, cloud.NotFound, "the disk %s was removed just now", id)
	}
	return f, hostError(op, err)
}

// flatten writes what a guest sees of an overlay to the new file dst. The file that a
// guest has open is copied first: qemu-img leaves those alone.
func (d *Driver) flatten(ctx context.Context, disk storage.Disk, work, dst string) error {
	overlay := disk.Path
	if inUse(overlay) {
		overlay = filepath.Join(work, "overlay")
		if err := d.copyFile(ctx, disk.Path, overlay); err != nil {
			return err
		}
	}
	return d.Kitchen.Flatten(ctx, []Layer{{overlay, disk.Format}, {disk.Backing, "raw"}}, dst)
}

// inUse tells whether somebody has a file locked, as QEMU has those that guests may
// write to (fcntl(2), F_OFD_SETLK).
func inUse(path string) bool {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &lock) == nil && lock.Type != unix.F_UNLCK
}

// digestOf is the digest of the image that a backing file is of.
func digestOf(backing string) string { return "sha512:" + filepath.Base(filepath.Dir(backing)) }
