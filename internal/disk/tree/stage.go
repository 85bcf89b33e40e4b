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

	root   *os.Root          // Dir
	in     *os.Root          // the folder of the last file, inDir
	inDir  string            // by its path in the tree; "": in is nil
	writer disk.SparseWriter // of one file after the other
}

const blockSize = 4096

// Stage writes a tree into the new folder dir. It reaches it by os.Root alone: no
// name and no link of the tree leads out of the folder, and devices are not made.
func Stage(ctx context.Context, from Source, limits Limits, dir string) (*Staged, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	s := &Staged{Dir: dir, Entries: map[string]*Entry{}}
	var err error
	if s.root, err = os.OpenRoot(dir); err != nil {
		return nil, err
	}
	defer func() {
		s.leave()
		s.root.Close()
		s.root = nil
	}()
	err = from.Walk(ctx, Bounded(limits, func(e *Entry, content io.Reader) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.put(e, content); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		return nil
	}))
	return s, err
}

// enter is the folder dir of the tree, which is there. It stays open for the next file:
// from the top, each of them would cost a system call for each folder on the way.
func (s *Staged) enter(dir string) (in *os.Root, err error) {
	if dir == "/" {
		return s.root, nil
	}
	if s.inDir == dir {
		return s.in, nil
	}
	s.leave()
	if in, err = s.root.OpenRoot(dir[1:]); err == nil {
		s.in, s.inDir = in, dir
	}
	return in, err
}

// leave closes the folder, which may be another one when it is entered again.
func (s *Staged) leave() {
	if s.in != nil {
		s.in.Close()
	}
	s.in, s.inDir = nil, ""
}

// put makes one file. One that came before under that name gives way, but for a
// folder that is named again.
func (s *Staged) put(e *Entry, content io.Reader) error {
	kept := *e
	if e.Path == "/" {
		s.Entries["/"] = &kept
		return nil
	}
	if err := s.parents(path.Dir(e.Path)); err != nil {
		return err
	}
	old := s.Entries[e.Path]
	if old != nil && (old.Type() != TypeDir || e.Type() != TypeDir) && !old.IsDevice() {
		s.leave()
		if err := s.root.Remove(e.Path[1:]); err != nil {
			return err
		}
	}
	s.Entries[e.Path] = &kept
	switch {
	case e.Same != "":
		return s.link(&kept)
	case e.IsDevice(), e.Type() == TypeDir && old != nil && old.Type() == TypeDir: // a device is made within the image
		return nil
	}
	in, err := s.enter(path.Dir(e.Path))
	if err != nil {
		return err
	}
	return s.create(in, path.Base(e.Path), &kept, content)
}

// create makes a new file in a folder.
func (s *Staged) create(in *os.Root, name string, e *Entry, content io.Reader) error {
	switch e.Type() {
	case TypeDir:
		return in.Mkdir(name, 0o755)
	case TypeLink:
		if e.Link == "" || len(e.Link) > 4095 {
			return &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: fmt.Sprintf("a symbolic link of %d bytes", len(e.Link))}
		}
		return in.Symlink(e.Link, name)
	case TypeFile:
		return s.file(in, name, e, content)
	case TypeFIFO, TypeSocket:
		return s.special(in, name, e.Type())
	}
	return &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: fmt.Sprintf("the type %o of the file is unknown", e.Type())}
}

// parents wants each folder on the way to be one of the tree: a name that goes
// through a link is refused, wherever that leads.
func (s *Staged) parents(dir string) error {
	if dir == "/" {
		return nil
	}
	if have := s.Entries[dir]; have != nil {
		if have.Type() != TypeDir {
			return &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: dir + ", which it is said to be in, is no folder"}
		}
		return nil
	}
	if err := s.parents(path.Dir(dir)); err != nil {
		return err
	}
	s.Entries[dir] = &Entry{Path: dir, Mode: TypeDir | 0o755, MTime: time.Unix(0, 0)}
	return s.root.Mkdir(dir[1:], 0o755)
}

// link makes another name of a file.
func (s *Staged) link(e *Entry) error {
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
	return s.root.Link(e.Same[1:], e.Path[1:])
}

// file writes a content without its zeros.
func (s *Staged) file(in *os.Root, name string, e *Entry, content io.Reader) (err error) {
	f, err := in.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if content == nil {
		return nil
	}
	w := &s.writer
	if err := w.Reset(f); err != nil {
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
func (s *Staged) special(in *os.Root, name string, kind uint32) error {
	dir, err := in.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	mode := uint32(syscall.S_IFIFO)
	if kind == TypeSocket {
		mode = syscall.S_IFSOCK
	}
	err = unix.Mknodat(int(dir.Fd()), name, mode|0o600, 0)
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
