package tarball

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/tree"
)

// source is an archive.
type source struct {
	open func() (io.ReadCloser, error)
}

// File is the tree in the archive of a file, packed or not. It can be walked more
// than once.
func File(name string) tree.Source {
	return &source{func() (io.ReadCloser, error) { return disk.OpenStream(name) }}
}

// Told is File, and tells at the beginning of each walk how many bytes the file has, and
// what that gives, as it is read, how many were.
func Told(name string, begin func(total int64) (tell func(done int64))) tree.Source {
	return &source{func() (io.ReadCloser, error) {
		f, err := disk.OpenStream(name)
		if err != nil {
			return nil, err
		}
		st, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return struct {
			io.Reader
			io.Closer
		}{disk.Told(f, begin(st.Size())), f}, nil
	}}
}

// Reader is the tree in an archive that comes once.
func Reader(r io.Reader) tree.Source {
	return &source{func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Refused, Op: "read archive", Reason: fmt.Sprintf(format, args...)}
}

// Walk implements [tree.Source]. Folders that the archive does not name come out
// with root's ownership, mode 0755 and time 0.
func (s *source) Walk(ctx context.Context, visit tree.Visit) error {
	f, err := s.open()
	if err != nil {
		return err
	}
	defer f.Close()
	in, err := Unpack(f)
	if err != nil {
		return refuse("the archive cannot be unpacked: %v", err)
	}
	w := &walk{visit: visit, dirs: map[string]bool{}}
	read := tar.NewReader(in)
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := read.Next()
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			// What follows the archive's end has the sum of the packing, which tells damage.
			if _, err := io.CopyN(io.Discard, in, maxTail); !errors.Is(err, io.EOF) {
				return refuse("after its end, at %d files: %v", n, cmp.Or(err, errTail))
			}
			return w.parents("/x")
		case err != nil:
			return refuse("after %d files: %v", n, err)
		}
		if err := w.header(h, read); err != nil {
			return err
		}
	}
}

// maxTail is how much may follow the end of an archive, unpacked: tapes are written in
// whole blocks.
const maxTail = 16 << 20

var errTail = errors.New("more bytes follow than fill a block of a tape")

type walk struct {
	visit tree.Visit
	dirs  map[string]bool // what was named: true for a folder
}

// parents names the folders on the way that the archive has not.
func (w *walk) parents(name string) error {
	dir := path.Dir(name)
	if is, known := w.dirs[dir]; is {
		return nil
	} else if known {
		return refuse("%s is said to be in %s, which is no folder", name, dir)
	}
	if dir != "/" {
		if err := w.parents(dir); err != nil {
			return err
		}
	}
	w.dirs[dir] = true
	return w.visit(&tree.Entry{Path: dir, Mode: tree.TypeDir | 0o755, MTime: time.Unix(0, 0)}, nil)
}

func (w *walk) header(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := tree.CleanPath(h.Name)
	if err != nil {
		return err
	}
	e := &tree.Entry{Path: name, Mode: uint32(h.Mode & 0o7777), UID: h.Uid, GID: h.Gid, MTime: h.ModTime}
	if e.UID < 0 || e.GID < 0 || int64(e.UID) > 1<<32-1 || int64(e.GID) > 1<<32-1 {
		return refuse("%s belongs to %d:%d", name, e.UID, e.GID)
	}
	if name == "/" && h.Typeflag != tar.TypeDir {
		return refuse("its root is no folder")
	}
	if name != "/" {
		if err := w.parents(name); err != nil {
			return err
		}
	}
	w.dirs[name] = h.Typeflag == tar.TypeDir
	if e.Xattrs, err = xattrs(h.PAXRecords); err != nil {
		return err
	}
	return w.kind(h, e, content)
}

func (w *walk) kind(h *tar.Header, e *tree.Entry, content io.Reader) error {
	switch h.Typeflag {
	case tar.TypeDir:
		e.Mode |= tree.TypeDir
	case tar.TypeReg, tar.TypeRegA, tar.TypeCont, tar.TypeGNUSparse: //nolint:staticcheck // old archives have TypeRegA
		e.Mode |= tree.TypeFile
		e.Size = h.Size
		return w.visit(e, content)
	case tar.TypeSymlink:
		e.Mode, e.Link = tree.TypeLink|0o777, h.Linkname
		if e.Link == "" || len(e.Link) > 4095 || strings.Contains(e.Link, "\x00") {
			return refuse("%s is a symbolic link to %.100q", e.Path, e.Link)
		}
	case tar.TypeLink:
		same, err := tree.CleanPath(h.Linkname)
		if err != nil {
			return err
		}
		if same == e.Path {
			return refuse("%s is a hard link to itself", e.Path)
		}
		e.Same, e.Mode = same, e.Mode|tree.TypeFile
	case tar.TypeChar, tar.TypeBlock:
		e.Mode |= map[byte]uint32{tar.TypeChar: tree.TypeChar, tar.TypeBlock: tree.TypeBlock}[h.Typeflag]
		if h.Devmajor < 0 || h.Devminor < 0 || h.Devmajor >= 1<<12 || h.Devminor >= 1<<20 {
			return refuse("%s is device %d:%d", e.Path, h.Devmajor, h.Devminor)
		}
		e.Major, e.Minor = uint32(h.Devmajor), uint32(h.Devminor)
	case tar.TypeFifo:
		e.Mode |= tree.TypeFIFO
	default:
		return refuse("%s is of type %q, which is not known here", e.Path, h.Typeflag)
	}
	return w.visit(e, nil)
}
