package layer

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// File is what is known of a file in an [Index].
type File struct {
	Type     byte // as in a tar; a hard link has that of the file
	Mode     int64
	UID, GID int
	Link     string // target of a symbolic link
	Size     int64
	Sum      [sha256.Size]byte
	Same     string // of a hard link: the path that has the content
	Xattrs   string // capabilities and user attributes, see Attributes
}

// Index is a tree by its clean paths without a leading slash.
type Index map[string]File

// Clean is the path of an archive's member as an [Index] has it; "" for the root.
func Clean(name string) string { return path.Clean("/" + name)[1:] }

// Kept tells whether a file of an archive goes into a layer: devices do not, for
// the kernel makes its own, nor do pipes and sockets.
func Kept(h *tar.Header) bool {
	return slices.Contains([]byte{tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink}, h.Typeflag)
}

// Add notes a file of an archive; one of the same path is replaced.
func (x Index) Add(h *tar.Header, r io.Reader) error {
	name := Clean(h.Name)
	if name == "" || !Kept(h) {
		return nil
	}
	if h.Typeflag == tar.TypeLink {
		target := Clean(h.Linkname)
		f := x[target]
		if f.Same == "" {
			f.Same = target
		}
		x[name] = f
		return nil
	}
	f := File{Type: h.Typeflag, Mode: h.Mode & 0o7777, UID: h.Uid, GID: h.Gid, Link: h.Linkname, Xattrs: fmt.Sprintf("%q", Attributes(h))}
	if h.Typeflag == tar.TypeReg {
		sum := sha256.New()
		n, err := io.Copy(sum, r)
		if err != nil {
			return err
		}
		f.Size = n
		sum.Sum(f.Sum[:0])
	}
	if old, ok := x[name]; ok && (old.Type == tar.TypeDir) != (f.Type == tar.TypeDir) {
		x.remove(name)
	}
	x[name] = f
	return nil
}

// Attributes are the records of a header with what a script inside a tree can change of the
// extended attributes: capabilities, such as ping's, and those of users. Others are the host's
// to set, or of the security modules that it has.
func Attributes(h *tar.Header) map[string]string {
	kept := map[string]string{}
	for key, value := range h.PAXRecords {
		if key == "SCHILY.xattr.security.capability" || strings.HasPrefix(key, "SCHILY.xattr.user.") {
			kept[key] = value
		}
	}
	return kept
}

// Apply puts a layer over the tree.
func (x Index) Apply(l *Layer) error {
	for _, name := range l.Removed {
		x.remove(name)
	}
	return l.Each(x.Add)
}

func (x Index) remove(name string) {
	delete(x, name)
	for other := range x {
		if strings.HasPrefix(other, name+"/") {
			delete(x, other)
		}
	}
}

// Unchanged tells whether a file is as it was. Owners are compared only if they are
// those of the guest, which in a namespace with one user they are not.
func (f File) Unchanged(old File, owners bool) bool {
	if f.Type != old.Type || f.Link != old.Link || f.Size != old.Size || f.Sum != old.Sum || f.Xattrs != old.Xattrs {
		return false
	}
	if f.Type != tar.TypeSymlink && f.Mode != old.Mode {
		return false
	}
	return !owners || f.UID == old.UID && f.GID == old.GID
}

// Removed lists what was in old and is not in x, or is a folder in one of them and
// none in the other; folders stand for all that was in them.
func (x Index) Removed(old Index) (list []string) {
	for name, was := range old {
		is, ok := x[name]
		if !ok || (is.Type == tar.TypeDir) != (was.Type == tar.TypeDir) {
			list = append(list, name)
		}
	}
	all := map[string]bool{}
	for _, name := range list {
		all[name] = true
	}
	list = slices.DeleteFunc(list, func(name string) bool {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if all[dir] {
				return true
			}
		}
		return false
	})
	slices.Sort(list)
	return list
}
