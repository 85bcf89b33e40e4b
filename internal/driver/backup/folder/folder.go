// Package folder keeps the objects of backups in a directory. It may be anything
// that is mounted there: a second disk, a share of another machine.
package folder

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"hearth/internal/cloud"
	"hearth/internal/driver/backup"
)

// Folder is a directory of objects; a name's slashes are directories. Objects in
// the making are in the directory ".part".
type Folder struct {
	dir string
	// NoSync leaves out fsync: for tests.
	NoSync bool
}

var _ backup.Objects = (*Folder)(nil)

const partDir = ".part"

// Open opens a directory, which is made if need be, and sweeps what was left
// half written in it.
func Open(dir string) (*Folder, error) {
	f := &Folder{dir: dir}
	if err := os.RemoveAll(filepath.Join(dir, partDir)); err != nil {
		return nil, failed("backup.Open", err)
	}
	return f, failed("backup.Open", os.MkdirAll(filepath.Join(dir, partDir), 0o700))
}

// Service implements backup.Objects.
func (f *Folder) Service() string { return backup.ServiceName + "directory" }

// Where implements backup.Objects.
func (f *Folder) Where() string { return "file://" + f.dir }

var nameForm = regexp.MustCompile(`^[0-9A-Za-z-][0-9A-Za-z.-]*(/[0-9A-Za-z-][0-9A-Za-z.-]*)*/?$`)

// path is the file of a name.
func (f *Folder) path(op, name string) (string, error) {
	if !nameForm.MatchString(name) || strings.HasSuffix(name, "/") {
		return "", cloud.E(op, cloud.Invalid, "%q cannot be the name of an object", name)
	}
	return filepath.Join(f.dir, filepath.FromSlash(name)), nil
}

// Put implements backup.Objects.
func (f *Folder) Put(ctx context.Context, name string, data []byte) error {
	const op = "backup.Put"
	path, err := f.path(op, name)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failed(op, err)
	}
	part, err := os.CreateTemp(filepath.Join(f.dir, partDir), "object")
	if err != nil {
		return failed(op, err)
	}
	defer os.Remove(part.Name())
	_, err = part.Write(data)
	if err == nil && !f.NoSync {
		err = part.Sync()
	}
	if err := errors.Join(err, part.Close()); err != nil {
		return failed(op, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return failed(op, err)
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return failed(op, err)
	}
	return failed(op, f.syncDir(filepath.Dir(path)))
}

func (f *Folder) syncDir(dir string) error {
	if f.NoSync {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get implements backup.Objects.
func (f *Folder) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	const op = "backup.Get"
	path, err := f.path(op, name)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, failed(op, err)
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, cloud.E(op, cloud.NotFound, "there is no %s among the backups in %s", name, f.dir)
	}
	if err != nil {
		return nil, failed(op, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, cloud.E(op, cloud.TooLarge, "%s has more than the %d bytes that it should have", name, most)
	}
	return data, failed(op, err)
}

// Remove implements backup.Objects. Directories that are empty then go too.
func (f *Folder) Remove(_ context.Context, name string) error {
	const op = "backup.Remove"
	path, err := f.path(op, name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(op, err)
	}
	for dir := filepath.Dir(path); dir != f.dir; dir = filepath.Dir(dir) {
		if os.Remove(dir) != nil {
			break
		}
	}
	return nil
}

// List implements backup.Objects.
func (f *Folder) List(ctx context.Context, prefix string, each func(string) error) error {
	const op = "backup.List"
	root := f.dir
	if prefix != "" {
		if !nameForm.MatchString(prefix) {
			return cloud.E(op, cloud.Invalid, "%q cannot begin the name of an object", prefix)
		}
		root = filepath.Join(f.dir, filepath.FromSlash(prefix[:strings.LastIndexByte(prefix, '/')+1]))
	}
	var failure error // of each, which is the caller's own
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && d.Name() == partDir:
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		name, err := filepath.Rel(f.dir, path)
		if err != nil || !strings.HasPrefix(filepath.ToSlash(name), prefix) {
			return err
		}
		failure = each(filepath.ToSlash(name))
		return failure
	})
	if failure != nil {
		return failure
	}
	return failed(op, err)
}

// failed gives an error of the file system its kind.
func failed(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return cloud.E(op, cloud.NoCapacity, "the disk where backups are kept is full: free some space there or move them (volume.backups): %w", err)
	}
	return cloud.E(op, cloud.Unavailable, "the directory of the backups cannot be used: %w", err)
}
