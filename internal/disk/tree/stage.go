package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/disk"
)

// Staged is a tree in a folder of the host, for mke2fs, and beside it all that a
// user without rights could not set there.
type Staged struct {
	Dir     string
	Entries map[string]*Entry // by path
	Bytes   int64             // of contents that are no holes, in whole blocks of 4 KiB
	Notes   []string          // what was left out
}

const blockSize = 4096

// Stage writes a tree into the new folder dir. It reaches it by os.Root alone: no
// name and no link of the tree leads out of the folder, and devices are not made.
func Stage(ctx context.Context, from Source, limits Limits, dir string) (*Staged, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	s := &Staged{Dir: dir, Entries: map[string]*Entry{}}
	err = from.Walk(ctx, Bounded(limits, func(e *Entry, content io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.put(root, e, content); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		return nil
	}))
	return s, err
}

// put makes one file. One that came before under that name gives way, but for a
// folder that is named again.
func (s *Staged) put(root *os.Root, e *Entry, content io.Reader) error {
	kept := *e
	if e.Path == "/" {
		s.Entries["/"] = &kept
		return nil
	}
	name := e.Path[1:]
	if err := s.parents(root, path.Dir(e.Path)); err != nil {
		return err
	}
	old := s.Entries[e.Path]
	if old != nil && (old.Type() != TypeDir || e.Type() != TypeDir) && !old.IsDevice() {
		if err := root.Remove(name); err != nil {
			return err
		}
	}
	s.Entries[e.Path] = &kept
	switch {
	case e.Same != "":
		return s.link(root, &kept)
	case e.Type() == TypeDir:
		if old != nil && old.Type() == TypeDir {
			return nil
		}
		return root.Mkdir(name, 0o755)
	case e.Type() == TypeLink:
		if e.Link == "" || len(e.Link) > 4095 {
			return &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: fmt.Sprintf("a symbolic link of %d bytes", len(e.Link))}
		}
		return root.Symlink(e.Link, name)
	case e.Type() == TypeFile:
		return s.file(root, &kept, content)
	case e.IsDevice(): // made within the image
		return nil
	case e.Type() == TypeFIFO || e.Type() == TypeSocket:
		return s.special(root, name, e.Type())
	}
	return &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: fmt.Sprintf("the type %o of the file is unknown", e.Type())}
}

// parents wants each folder on the way to be one of the tree: a name that goes
// through a link is refused, wherever that leads.
func (s *Staged) parents(root *os.Root, dir string) error {
	if dir == "/" {
		return nil
	}
	if have := s.Entries[dir]; have != nil {
		if have.Type() != TypeDir {
			return &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: dir + ", which it is said to be in, is no folder"}
		}
		return nil
	}
	if err := s.parents(root, path.Dir(dir)); err != nil {
		return err
	}
	s.Entries[dir] = &Entry{Path: dir, Mode: TypeDir | 0o755, MTime: time.Unix(0, 0)}
	return root.Mkdir(dir[1:], 0o755)
}

// link makes another name of a file.
func (s *Staged) link(root *os.Root, e *Entry) error {
	first := s.Entries[e.Same]
	if first == nil || first.Type() == TypeDir {
		return &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: fmt.Sprintf("it is a hard link to %.200q, which is no file before it", e.Same)}
	}
	if first.IsDevice() { // each its own: as good, for a device has no content
		own := *first
		own.Path, own.Same = e.Path, ""
		s.Entries[e.Path] = &own
		return nil
	}
	own := *first // whichever name is looked at says what the file is
	own.Path, own.Same = e.Path, e.Same
	s.Entries[e.Path] = &own
	return root.Link(e.Same[1:], e.Path[1:])
}

// file writes a content without its zeros.
func (s *Staged) file(root *os.Root, e *Entry, content io.Reader) (err error) {
	f, err := root.OpenFile(e.Path[1:], os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if content == nil {
		return nil
	}
	w, err := disk.NewSparseWriter(f)
	if err != nil {
		return err
	}
	n, err := w.ReadFrom(io.LimitReader(content, e.Size+1))
	if err != nil {
		return err
	}
	if n != e.Size {
		return &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: fmt.Sprintf("the file has not the %d bytes that it should have", e.Size)}
	}
	s.Bytes += (w.Stored() + blockSize - 1) / blockSize * blockSize
	return w.Finish()
}

// special makes a pipe or a socket; neither needs rights.
func (s *Staged) special(root *os.Root, name string, kind uint32) error {
	dir, err := root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	mode := uint32(syscall.S_IFIFO)
	if kind == TypeSocket {
		mode = syscall.S_IFSOCK
	}
	err = unix.Mknodat(int(dir.Fd()), path.Base(name), mode|0o600, 0)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already", name)
	}
	return err
}

// Room is how many bytes a file system needs for the tree, with a third to spare.
func (s *Staged) Room() int64 {
	need := s.Bytes + int64(len(s.Entries))*512
	return (need + need/3 + 64<<20) / (16 << 20) * (16 << 20)
}
