package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// diskName is the file of a disk in its folder.
const diskName = "disk"

// makeDisk makes a disk in a work folder, by write, and puts it in its place.
func (d *Driver) makeDisk(place string, disk storage.Disk, write func(disk *storage.Disk, path string) error) (storage.Disk, error) {
	work, err := d.workDir("disk")
	if err != nil {
		return storage.Disk{}, err
	}
	defer os.RemoveAll(work)
	path := filepath.Join(work, diskName)
	if err := write(&disk, path); err != nil {
		return storage.Disk{}, err
	}
	if err := os.Chmod(path, 0o600); err != nil { // its guest is given it open
		return storage.Disk{}, err
	}
	disk.Path = filepath.Join(place, diskName)
	return disk, d.publish(work, place, disk)
}

// BlankDisk implements storage.Driver.
func (d *Driver) BlankDisk(ctx context.Context, id string, size int64, label string) (storage.Disk, error) {
	const op = "storage.BlankDisk"
	place, err := d.diskDir(id)
	if err != nil {
		return storage.Disk{}, err
	}
	if disk, err := readDisk(place); err == nil {
		return disk, nil
	}
	if size <= 0 {
		return storage.Disk{}, cloud.E(op, cloud.Invalid, "a blank disk needs a size; %d bytes were asked for", size)
	}
	disk, err := d.makeDisk(place, storage.Disk{ID: id, Format: "raw", Size: size}, func(_ *storage.Disk, path string) error {
		return Blank(ctx, d.Kitchen, path, size, label)
	})
	return disk, hostError(op, err)
}

// Blank makes an empty file of size bytes for a disk, with an ext4 file system of
// the label on it, with swap space for the label swap, with nothing for "".
func Blank(ctx context.Context, k Kitchen, path string, size int64, label string) error {
	if err := blank(path, size); err != nil {
		return err
	}
	switch label {
	case "":
		return nil
	case "swap":
		return k.Swap(ctx, path)
	}
	return k.Ext4(ctx, path, label)
}

func blank(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// ConfigDrive implements storage.Driver.
func (d *Driver) ConfigDrive(ctx context.Context, id string, files map[string][]byte) (storage.Disk, error) {
	const op = "storage.ConfigDrive"
	place, err := d.diskDir(id)
	if err != nil {
		return storage.Disk{}, err
	}
	if disk, err := readDisk(place); err == nil {
		return disk, nil
	}
	disk, err := d.makeDisk(place, storage.Disk{ID: id, Format: "raw"}, func(disk *storage.Disk, path string) error {
		if err := d.Kitchen.ConfigDrive(ctx, path, files); err != nil {
			return err
		}
		fi, err := os.Stat(path)
		if err == nil {
			disk.Size = fi.Size()
		}
		return err
	})
	return disk, hostError(op, err)
}

// readDisk reads the record of a disk; name and path are those of its folder now.
func readDisk(place string) (storage.Disk, error) {
	var disk storage.Disk
	err := readMeta(place, &disk)
	disk.ID, disk.Path = filepath.Base(place), filepath.Join(place, diskName)
	return disk, err
}

// Disk implements storage.Driver.
func (d *Driver) Disk(_ context.Context, id string) (storage.Disk, error) {
	place, err := d.diskDir(id)
	if err != nil {
		return storage.Disk{}, err
	}
	disk, err := readDisk(place)
	if errors.Is(err, fs.ErrNotExist) {
		return storage.Disk{}, cloud.E("storage.Disk", cloud.NotFound, "there is no disk %s on this node", id)
	}
	return disk, hostError("storage.Disk", err)
}

// RemoveDisk implements storage.Driver.
func (d *Driver) RemoveDisk(_ context.Context, id string) error {
	place, err := d.diskDir(id)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(place); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return hostError("storage.RemoveDisk", d.retire(place))
}

// Disks implements storage.Driver.
func (d *Driver) Disks(context.Context) ([]storage.Disk, error) {
	entries, err := os.ReadDir(d.Paths.Disks)
	if err != nil {
		return nil, hostError("storage.Disks", err)
	}
	var out []storage.Disk
	for _, e := range entries {
		if disk, err := readDisk(filepath.Join(d.Paths.Disks, e.Name())); err == nil {
			out = append(out, disk)
		}
	}
	return out, nil
}

// Usage implements storage.Driver.
func (d *Driver) Usage(context.Context) (total, free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.Paths.Disks, &st); err != nil {
		return 0, 0, hostError("storage.Usage", err)
	}
	return int64(st.Blocks) * st.Bsize, int64(st.Bavail) * st.Bsize, nil
}
