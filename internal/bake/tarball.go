package bake

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	tarfile "hearth/internal/disk/tarball"
	filetree "hearth/internal/disk/tree"
)

// stageTar unpacks an archive into the new folder dir and puts the tree over it.
// Devices are left out: the kernel makes its own. Owners, modes and extended
// attributes, such as ping's capability, are kept for the file system.
// It may be packed by gzip, bzip2, xz or zstd. Names and links that lead out of dir
// are refused by os.Root.
func stageTar(archive, dir string, over *tree, at func(int64)) (*staged, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	in, err := tarfile.Unpack(f)
	if err != nil {
		return nil, err
	}
	s, read := &staged{dir: dir}, tar.NewReader(in)
	for {
		h, err := read.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if pos, err := f.Seek(0, io.SeekCurrent); err == nil {
			at(pos)
		}
		if err := s.unpack(root, h, read, over); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", h.Name, err)
		}
	}
	return s, s.overlay(over)
}

// unpack writes one file of the archive, if the tree has none in its place.
func (s *staged) unpack(root *os.Root, h *tar.Header, r io.Reader, over *tree) error {
	name := path.Clean("/" + h.Name)
	if _, ours := over.entries[name]; name == "/" || !s.kept && dropped(name) || ours && h.Typeflag != tar.TypeDir {
		return nil
	}
	attributes, err := tarfile.Xattrs(h)
	if err != nil {
		return err
	}
	rel := name[1:]
	s.touch(name)
	if err := root.MkdirAll(path.Dir(rel), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(rel, 0o755); err != nil { // some archives name a folder after what is in it
			return err
		}
		if st, err := root.Lstat(rel); err != nil || !st.IsDir() {
			return err // a link to a folder stays one
		}
	case tar.TypeSymlink:
		s.owners = append(s.owners, filetree.Entry{Path: name, UID: h.Uid, GID: h.Gid, Mode: entry{mode: h.FileInfo().Mode()}.unixMode()})
		return root.Symlink(h.Linkname, rel)
	case tar.TypeLink:
		return root.Link(path.Clean("/" + h.Linkname)[1:], rel)
	case tar.TypeReg:
		f, err := root.OpenFile(rel, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		n, err := io.Copy(f, r)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
		s.bytes += (n + blockSize - 1) / blockSize * blockSize
	default: // devices, pipes
		return nil
	}
	s.files++
	mode := entry{mode: h.FileInfo().Mode()}.unixMode()
	s.owners = append(s.owners, filetree.Entry{Path: name, UID: h.Uid, GID: h.Gid, Mode: mode, Xattrs: attributes})
	return nil
}

// overlay adds the tree; folders that are there stay as they are.
func (s *staged) overlay(over *tree) error {
	for _, e := range over.sorted() {
		if st, err := os.Lstat(filepath.Join(s.dir, e.path)); err == nil && st.IsDir() && e.mode&fs.ModeDir != 0 {
			continue
		}
		if err := s.add(e); err != nil {
			return err
		}
	}
	return nil
}

// overTar unpacks an archive over the system: its files take the place of those
// that are there.
// to is the folder of the guest that they go to.
func (r *rootfs) overTar(archive, to string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	in, err := tarfile.Unpack(f)
	if err != nil {
		return err
	}
	for read := tar.NewReader(in); ; {
		h, err := read.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		h.Name = path.Join("/", to, path.Clean("/"+h.Name))
		if h.Typeflag == tar.TypeLink {
			h.Linkname = path.Join("/", to, path.Clean("/"+h.Linkname))
		}
		if err := r.over(h, read); err != nil {
			return fmt.Errorf("unpack %s: %w", h.Name, err)
		}
	}
}

// over unpacks one file in place of what has its name.
func (r *rootfs) over(h *tar.Header, in io.Reader) error {
	if name := path.Clean("/" + h.Name)[1:]; name != "" && h.Typeflag != tar.TypeDir {
		if st, err := r.root.Lstat(name); err == nil && !st.IsDir() {
			if err := r.root.Remove(name); err != nil {
				return err
			}
		}
	}
	return r.unpack(r.root, h, in, newTree())
}
