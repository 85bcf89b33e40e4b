package fake

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// Open makes a driver that keeps a record of every image and disk in a folder,
// so that a process that is started anew finds them, as it would on a real
// host. The files of config drives are not kept.
func Open(dir string) (*Driver, error) {
	d := New()
	d.kept = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if err := d.recall(e.Name()); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// recall reads one record. One cut off by a crash never was.
func (d *Driver) recall(name string) error {
	path := filepath.Join(d.kept, name)
	if strings.HasPrefix(name, ".") {
		return os.Remove(path)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var disk storage.Disk
	var image storage.Image
	if strings.HasPrefix(name, "disk-") {
		err = json.Unmarshal(body, &disk)
		d.disks[disk.ID] = disk
	} else {
		err = json.Unmarshal(body, &image)
		d.images[image.Digest] = image
	}
	return err
}

// keep writes a record, whole or not at all.
func (d *Driver) keep(name string, record any) error {
	if d.kept == "" {
		return nil
	}
	body, err := json.Marshal(record)
	if err == nil {
		err = os.WriteFile(filepath.Join(d.kept, "."+name), body, 0o600)
	}
	if err == nil {
		err = os.Rename(filepath.Join(d.kept, "."+name), filepath.Join(d.kept, name))
	}
	return hostError(err)
}

// forget removes a record.
func (d *Driver) forget(name string) error {
	if d.kept == "" {
		return nil
	}
	err := os.Remove(filepath.Join(d.kept, name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return hostError(err)
}

func hostError(err error) error {
	if err == nil {
		return nil
	}
	return cloud.E("storage.fake", cloud.Unavailable, "the record cannot be kept: %w", err)
}
