package bake

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	filetree "hearth/internal/disk/tree"
)

const blockSize = 4096

// entry is one file of a tree.
type entry struct {
	path     string // absolute, clean
	mode     fs.FileMode
	uid, gid int
	data     []byte
	from     string // file of the host that the data is in, in place of data: it may be large
	link     string // target of a symbolic link
	same     string // path of the file that this is a hard link to
}

// tree is a file system in the making. Folders on the way are made by themselves.
type tree struct{ entries map[string]entry }

func newTree() *tree { return &tree{entries: map[string]entry{}} }

// dir adds a folder that belongs to root.
func (t *tree) dir(mode fs.FileMode, names ...string) {
	for _, n := range names {
		t.put(entry{path: n, mode: fs.ModeDir | mode})
	}
}

func (t *tree) file(name string, mode fs.FileMode, data []byte) {
	t.put(entry{path: name, mode: mode, data: data})
}

func (t *tree) text(name, text string) { t.file(name, 0o644, []byte(text)) }

func (t *tree) symlink(name, target string) {
	t.put(entry{path: name, mode: fs.ModeSymlink | 0o777, link: target})
}

func (t *tree) put(e entry) {
	for dir := path.Dir(e.path); dir != "/"; dir = path.Dir(dir) {
		if _, ok := t.entries[dir]; !ok {
			t.entries[dir] = entry{path: dir, mode: fs.ModeDir | 0o755}
		}
	}
	t.entries[e.path] = e
}

// sorted lists folders before what they hold.
func (t *tree) sorted() []entry {
	return slices.SortedFunc(maps.Values(t.entries), func(a, b entry) int { return strings.Compare(a.path, b.path) })
}

// unixMode is the mode as in stat(2).
func (e entry) unixMode() uint32 {
	m := uint32(e.mode.Perm())
	for bit, value := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if e.mode&bit != 0 {
			m |= value
		}
	}
	switch {
	case e.mode.IsDir():
		return m | 0o40000
	case e.mode&fs.ModeSymlink != 0:
		return m | 0o120000
	}
	return m | 0o100000
}

// staged is a tree in a folder of the host, and who owns what in it.
type staged struct {
	dir    string
	owners []filetree.Entry // for all that a user without rights could not set
	// touched, unless it is nil, notes the absolute names of all that is made,
	// changed or removed: what a layer holds.
	touched map[string]bool
	kept    bool  // nothing of an archive is left out: it is a layer
	bytes   int64 // in whole blocks
	files   int
}

// stage writes the tree into a new folder.
func (t *tree) stage(dir string) (*staged, error) {
	s := &staged{dir: dir}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	all := t.sorted()
	slices.SortStableFunc(all, func(a, b entry) int { return strings.Compare(a.same, b.same) }) // links last
	for _, e := range all {
		if err := s.add(e); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *staged) touch(name string) {
	if s.touched != nil {
		s.touched[name] = true
	}
}

func (s *staged) add(e entry) error {
	s.touch(e.path)
	name := filepath.Join(s.dir, e.path)
	s.files++
	s.bytes += (int64(len(e.data)) + blockSize - 1) / blockSize * blockSize
	switch {
	case e.same != "":
		return os.Link(filepath.Join(s.dir, e.same), name)
	case e.link != "":
		return os.Symlink(e.link, name)
	case e.mode.IsDir():
		if err := os.Mkdir(name, 0o755); err != nil {
			return err
		}
	default:
		if err := os.WriteFile(name, e.data, 0o600); err != nil {
			return err
		}
	}
	s.owners = append(s.owners, filetree.Entry{Path: e.path, UID: e.uid, GID: e.gid, Mode: e.unixMode()})
	return nil
}

// fileSystem makes the ext4 image of a staged tree. Owners are set in the
// image, not in the folder, so that anyone can bake.
func (o *oven) fileSystem(ctx context.Context, s *staged, image, label, uuid string, size int64) error {
	done := o.steps.begin(fmt.Sprintf("fill the root file system (%d files)", s.files), size)
	r, err := openRootfs(s)
	if err != nil {
		return done.end(err)
	}
	defer r.root.Close()
	entries := map[string]*filetree.Entry{}
	for _, e := range s.owners { // the last word counts
		e.Path = r.real(e.Path)
		entries[e.Path] = &e
	}
	return done.end(filetree.MakeExt(ctx, &o.run, image, disk.ExtOptions{Size: size, Label: label, UUID: uuid, Dir: s.dir}, entries))
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
