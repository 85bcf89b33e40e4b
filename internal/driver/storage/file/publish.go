package file

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

const metaName = "meta.json"

// publish writes the record of a work folder, makes its contents durable, and
// renames it to its place: from then on it is there, whole.
func (d *Driver) publish(work, place string, meta any) error {
	if err := writeMeta(work, meta); err != nil {
		return err
	}
	if err := d.syncAll(work); err != nil {
		return err
	}
	if err := os.Rename(work, place); err != nil {
		return err
	}
	return d.sync(filepath.Dir(place))
}

// syncAll makes a folder and the files in it durable.
func (d *Driver) syncAll(dir string) error {
	if d.NoSync {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := d.sync(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return d.sync(dir)
}

func (d *Driver) sync(path string) error {
	if d.NoSync {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// retire takes a folder out of its place in one move, and then apart.
func (d *Driver) retire(place string) error {
	work, err := d.workDir("gone")
	if err != nil {
		return err
	}
	err = os.Rename(place, filepath.Join(work, "x"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = d.sync(filepath.Dir(place))
	}
	return errors.Join(err, os.RemoveAll(work))
}

// writeMeta writes the record of a folder.
func writeMeta(dir string, meta any) error {
	data, err := json.Marshal(meta)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, metaName), data, 0o644)
}

// readMeta reads the record of a published folder.
func readMeta(dir string, into any) error {
	data, err := os.ReadFile(filepath.Join(dir, metaName))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
