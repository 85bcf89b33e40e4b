// Package tree has a file tree in the middle of conversions: whatever a disk, an
// archive or a dump holds comes out of a [Source] as one [Entry] after the other,
// with all that a Linux file system keeps of a file, and goes into an archive, a
// dump, a file system or a [Manifest]. No right is needed, nothing is mounted.
//
// What a source says is not believed: paths are clean and absolute here, a link
// leads nowhere while it is carried, and [Limits] end bombs.
package tree

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"hearth/internal/disk"
)

// Entry is one name in a tree.
type Entry struct {
	Path     string // absolute and clean; "/" is the root folder
	Mode     uint32 // as in stat(2), with the type
	UID, GID int
	Size     int64 // bytes of a regular file
	MTime    time.Time
	Link     string // the target of a symbolic link
	Same     string // the path of the file that this is another name of; it came before
	Major    uint32 // of a device
	Minor    uint32
	Xattrs   map[string][]byte // in the form of getxattr(2); access control lists are among them
	Stored   []Stretch         // what of a regular file is not a hole; nil: not known, or all of it
}

// Stretch is a part of a file that is stored.
type Stretch struct{ Offset, Length int64 }

// The types of files in a mode.
const (
	TypeMask   = 0o170000
	TypeFIFO   = 0o010000
	TypeChar   = 0o020000
	TypeDir    = 0o040000
	TypeBlock  = 0o060000
	TypeFile   = 0o100000
	TypeLink   = 0o120000
	TypeSocket = 0o140000
)

// Type is the type in the mode.
func (e *Entry) Type() uint32 { return e.Mode & TypeMask }

// IsDevice tells whether it has Major and Minor.
func (e *Entry) IsDevice() bool { return e.Type() == TypeChar || e.Type() == TypeBlock }

// Visit is given each entry. content is that of a regular file, to be read within
// the call; nil for all else and for another name of a file.
type Visit func(e *Entry, content io.Reader) error

// Source is a tree that can be walked. Folders come before what is in them, a file
// before its other names. A name may come twice: then the later one counts.
type Source interface {
	Walk(ctx context.Context, visit Visit) error
}

// Limits bound what comes out of an archive.
type Limits struct {
	Files int   // names; 0: 4 million
	Bytes int64 // of all contents, holes among them; 0: 64 GiB
}

func (l Limits) files() int {
	if l.Files == 0 {
		return 4 << 20
	}
	return l.Files
}

func (l Limits) bytes() int64 {
	if l.Bytes == 0 {
		return 64 << 30
	}
	return l.Bytes
}

// Bounded counts what a visitor is given against limits.
func Bounded(l Limits, visit Visit) Visit {
	files, size := 0, int64(0)
	return func(e *Entry, content io.Reader) error {
		if files++; files > l.files() {
			return &disk.Error{Kind: disk.TooBig, Op: "read tree", Reason: fmt.Sprintf("it has more than %d files", l.files())}
		}
		if content != nil {
			if e.Size < 0 || e.Size > l.bytes()-size {
				return &disk.Error{Kind: disk.TooBig, Op: "read tree", Reason: fmt.Sprintf("its files have more than %d bytes together", l.bytes())}
			}
			size += e.Size
		}
		return visit(e, content)
	}
}

// CleanPath is the path of a name in an archive. Refused for one that leads out of
// the tree: an honest archive has none.
func CleanPath(name string) (string, error) {
	depth := 0
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return "", &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: fmt.Sprintf("the name %.200q leads out of the tree", name)}
			}
		default:
			depth++
		}
	}
	if strings.Contains(name, "\x00") || len(name) > 4096 {
		return "", &disk.Error{Kind: disk.Refused, Op: "read tree", Reason: fmt.Sprintf("the name %.200q", name)}
	}
	return path.Clean("/" + name), nil
}

// joined is a tree with another one at a folder of it.
type joined struct {
	root, other Source
	at          string
}

// Join is the tree of a guest that has other mounted at the folder at of root.
func Join(root Source, at string, other Source) Source { return &joined{root, other, at} }

// Walk implements [Source]. What root has under the folder is covered.
func (j *joined) Walk(ctx context.Context, visit Visit) error {
	err := j.root.Walk(ctx, func(e *Entry, content io.Reader) error {
		if within(e.Path, j.at) || e.Same != "" && within(e.Same, j.at) {
			return nil
		}
		return visit(e, content)
	})
	if err != nil {
		return err
	}
	return j.other.Walk(ctx, func(e *Entry, content io.Reader) error {
		moved := *e
		moved.Path = path.Join(j.at, e.Path)
		if e.Same != "" {
			moved.Same = path.Join(j.at, e.Same)
		}
		return visit(&moved, content)
	})
}

func within(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// part is a folder of a tree, as a tree.
type part struct {
	from  Source
	dir   string
	other bool
}

// Under is the tree in a folder; its files are named from there.
func Under(from Source, dir string) Source { return &part{from, dir, false} }

// Without is a tree with the folder dir empty.
func Without(from Source, dir string) Source { return &part{from, dir, true} }

// Walk implements [Source]. A hard link from one side to the other becomes a
// Refused error: it would have to become two files.
func (p *part) Walk(ctx context.Context, visit Visit) error {
	return p.from.Walk(ctx, func(e *Entry, content io.Reader) error {
		in := within(e.Path, p.dir)
		if in == p.other && (e.Path != p.dir || !p.other) {
			return nil
		}
		if e.Same != "" && within(e.Same, p.dir) != in {
			return &disk.Error{Kind: disk.Unsupported, Op: "part a tree", Reason: fmt.Sprintf("%s and %s are one file, on both sides of %s", e.Path, e.Same, p.dir)}
		}
		if p.other {
			return visit(e, content)
		}
		moved := *e
		moved.Path = path.Clean("/" + strings.TrimPrefix(e.Path, p.dir))
		if e.Same != "" {
			moved.Same = path.Clean("/" + strings.TrimPrefix(e.Same, p.dir))
		}
		return visit(&moved, content)
	})
}
