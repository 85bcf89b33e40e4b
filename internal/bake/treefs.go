package bake

import (
	"io/fs"
	"path"
	"strings"
	"time"

	"hearth/internal/disk/guestfs"
)

// treeFS shows the tree in a disk as far as the bill of materials reads it: single files,
// what they are, and patterns.
type treeFS struct{ *guestfs.Tree }

// maxTreeFile bounds a file that is read, bytes.
const maxTreeFile = 64 << 20

// Open is not offered: whole files are read.
func (t treeFS) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

// ReadFile reads a file of at most 64 MiB.
func (t treeFS) ReadFile(name string) ([]byte, error) {
	return t.Tree.ReadFile("/"+name, maxTreeFile)
}

// Stat tells what there is under a name, links followed.
func (t treeFS) Stat(name string) (fs.FileInfo, error) {
	n, err := t.Tree.Stat("/" + name)
	if err != nil {
		return nil, err
	}
	return nodeInfo{n}, nil
}

// Glob finds names.
func (t treeFS) Glob(pattern string) ([]string, error) {
	found, err := t.Tree.Glob("/" + pattern)
	for i := range found {
		found[i] = strings.TrimPrefix(found[i], "/")
	}
	return found, err
}

// nodeInfo is a file's as io/fs has it.
type nodeInfo struct{ n *guestfs.Node }

func (i nodeInfo) Name() string       { return path.Base(i.n.Path) }
func (i nodeInfo) Size() int64        { return i.n.Size }
func (i nodeInfo) ModTime() time.Time { return i.n.MTime }
func (i nodeInfo) IsDir() bool        { return i.n.IsDir() }
func (i nodeInfo) Sys() any           { return nil }
func (i nodeInfo) Mode() fs.FileMode {
	switch {
	case i.n.IsRegular():
		return fs.FileMode(i.n.Mode & 0o777)
	case i.n.IsDir():
		return fs.ModeDir | fs.FileMode(i.n.Mode&0o777)
	}
	return fs.ModeIrregular
}
