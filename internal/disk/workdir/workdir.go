// Package workdir makes folders for work under way, and takes away those that a killed program left
// beside them. Each is locked (flock, shared) by the program that works in it, and by a tool of its own that
// may outlive it: the kernel gives a lock up when its holder ends, however it ends, so one that nobody has locked is left over.
package workdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is a folder that this program works in.
type Dir struct {
	Path string
	lock *os.File // nil where the file system has no locks
}

// Make makes a folder in parent ("": the one for temporary files) whose name begins with prefix, and removes the others of that prefix
// that nobody works in. remove takes a folder away whose files are not all the caller's to remove;
// nil: os.RemoveAll. What cannot be removed stays, without an error: it is not this work's.
func Make(parent, prefix string, remove func(string) error) (*Dir, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	if remove == nil {
		remove = os.RemoveAll
	}
	sweep(parent, prefix, remove)
	for {
		path, err := os.MkdirTemp(parent, prefix)
		if err != nil {
			return nil, err
		}
		lock, err := lockOf(path, unix.LOCK_SH)
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
			continue // somebody else's sweep was quicker than the lock
		}
		return &Dir{path, lock}, nil
	}
}

// Close removes the folder.
func (d *Dir) Close() error {
	err := os.RemoveAll(d.Path)
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// made is what os.MkdirTemp adds to a prefix: folders of other names are other people's.
var made = regexp.MustCompile(`^[0-9]+$`)

func sweep(parent, prefix string, remove func(string) error) {
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), prefix)
		if !ours || !made.MatchString(rest) || !e.IsDir() {
			continue
		}
		path := filepath.Join(parent, e.Name())
		if lock, err := lockOf(path, unix.LOCK_EX); err == nil {
			_ = remove(path)
			lock.Close()
		}
	}
}

// lockOf locks a folder without waiting; fs.ErrNotExist if it was removed before that.
func lockOf(path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	locked, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if there, err := os.Lstat(path); err != nil || !os.SameFile(there, locked) {
		f.Close()
		return nil, fs.ErrNotExist
	}
	return f, nil
}
