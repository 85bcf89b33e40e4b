package imagedir

import (
	"errors"
	"os"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/tarball"
)

// Upload gives the one file by which an image goes into a cloud, and its disk format: a
// disk, a tarball or a dump as it is. A pair of dumps is put into Ganeti's export, a tar
// file of both, in the folder for temporary files; done removes it.
func (i Image) Upload() (path string, format disk.Format, done func(), err error) {
	none := func() {}
	switch {
	case i.Kind == Disk:
		return i.Path, i.Format, none, nil
	case i.Boot == "":
		return i.Path, disk.Raw, none, nil
	}
	dir, err := os.MkdirTemp("", "hearth-import-")
	if err != nil {
		return "", "", none, err
	}
	done = func() { os.RemoveAll(dir) }
	path = filepath.Join(dir, "export")
	if err = i.bundle(dir, path); err != nil {
		done()
		return "", "", none, err
	}
	return path, disk.Raw, done, nil
}

// bundle writes the export.
func (i Image) bundle(dir, path string) error {
	for name, of := range map[string]string{"root.dump": i.Path, "boot.dump": i.Boot} {
		of, err := filepath.Abs(of)
		if err == nil {
			err = os.Symlink(of, filepath.Join(dir, name))
		}
		if err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(tarball.Bundle(f, dir, "boot.dump", "root.dump"), f.Close())
}
