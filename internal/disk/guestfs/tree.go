package guestfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
)

const (
	maxLinks = 40 // symbolic links on one way, as in Linux
	maxFiles = 16 << 20
)

// Tree is what a guest sees as its file system. Names are absolute, in the
// guest; symbolic links lead no further than the guest's own root.
type Tree struct {
	Root   *Volume
	Mounts map[string]*Volume // by the folder, "/" among them
	d      *Disk
}

// Node is one file of a [Tree].
type Node struct {
	*ext4.Inode
	Path   string // without symbolic links, but for itself
	Volume *Volume
	inner  string // its path in the volume
}

// Tree finds the root file system, the one that looks most like the root of a
// Linux, and joins to it what its /etc/fstab mounts from this disk. It is
// Unsupported when there is none, with what there is in the sentence.
func (d *Disk) Tree() (*Tree, error) {
	var best *Tree
	score := 0
	for _, v := range d.Volumes {
		if v.fs == nil {
			continue
		}
		t := d.on(v)
		if s := t.rootScore(); best == nil || s > score {
			best, score = t, s
		}
	}
	if best == nil {
		return nil, d.noFiles()
	}
	best.mountAll()
	return best, nil
}

// TreeOf is the tree of one file system alone; nil if it cannot be read.
func (d *Disk) TreeOf(v *Volume) *Tree {
	if v.fs == nil {
		return nil
	}
	return d.on(v)
}

func (d *Disk) on(v *Volume) *Tree {
	return &Tree{Root: v, Mounts: map[string]*Volume{"/": v}, d: d}
}

func (d *Disk) noFiles() error {
	var have []string
	for _, v := range d.Volumes {
		have = append(have, fmt.Sprintf("partition %d (%s)", v.Partition, orUnknown(v.Content)))
	}
	return &disk.Error{Kind: disk.Unsupported, Op: "open disk",
		Reason: "the disk has no file system whose files are read here, and others are not touched; it has: " + orUnknown(strings.Join(have, ", "))}
}

func orUnknown(s string) string {
	if s == "" {
		return "nothing known"
	}
	return s
}

// rootScore counts what a root has.
func (t *Tree) rootScore() (n int) {
	for _, name := range []string{"/etc", "/usr", "/etc/os-release", "/etc/fstab", "/sbin", "/bin", "/etc/passwd", "/var"} {
		if _, err := t.Lstat(name); err == nil {
			n++
		}
	}
	return n
}

// mountAll reads fstab.
func (t *Tree) mountAll() {
	for _, line := range t.Fstab() {
		if line.Dir == "/" || !strings.HasPrefix(line.Dir, "/") || path.Clean(line.Dir) != line.Dir {
			continue
		}
		if v := t.d.byName(line.Device); v != nil && v.fs != nil && v != t.Root {
			t.Mounts[line.Dir] = v
		}
	}
}

// Mount is a line of /etc/fstab.
type Mount struct{ Device, Dir, Type, Options string }

// Fstab reads /etc/fstab; it is empty if there is none.
func (t *Tree) Fstab() (list []Mount) {
	b, err := t.ReadFile("/etc/fstab", 64<<10)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") {
			continue
		}
		list = append(list, Mount{f[0], f[1], f[2], f[3]})
	}
	return list
}

// byName finds what fstab calls a volume: by UUID, by label, or by the number
// of its partition at the end of a name in /dev. Other names are not followed.
func (d *Disk) byName(name string) *Volume {
	key, value, _ := strings.Cut(name, "=")
	value = strings.Trim(value, `"`)
	digits := name[len(strings.TrimRight(name, "0123456789")):]
	for _, v := range d.Volumes {
		switch {
		case key == "UUID" && strings.EqualFold(v.UUID, value), key == "LABEL" && v.Label == value,
			v.Logical == "" && strings.HasPrefix(name, "/dev/") && !strings.HasPrefix(name, "/dev/mapper/") && digits != "" && digits == strconv.Itoa(v.Partition),
			v.Logical != "" && (name == "/dev/"+v.Group+"/"+v.Logical || name == "/dev/mapper/"+mapped(v.Group)+"-"+mapped(v.Logical)):
			return v
		}
	}
	return nil
}

// mapped is how device mapper writes a name of LVM.
func mapped(s string) string { return strings.ReplaceAll(s, "-", "--") }

// OnDisk tells whether what fstab calls by a name lies on this disk, of whatever
// kind it is.
func (t *Tree) OnDisk(name string) bool { return t.d.byName(name) != nil }

// Lstat finds a file and does not follow it if it is a symbolic link itself.
// What is not there is fs.ErrNotExist.
func (t *Tree) Lstat(name string) (*Node, error) { return t.find(name, false) }

// Stat finds a file and follows symbolic links.
func (t *Tree) Stat(name string) (*Node, error) { return t.find(name, true) }

func (t *Tree) root(dir string, v *Volume) (*Node, error) {
	n, err := v.fs.Inode(ext4.Root)
	if err == nil && !n.IsDir() {
		err = &disk.Error{Kind: disk.Refused, Op: "open disk", Reason: "the root of the file system is no folder"}
	}
	return &Node{Inode: n, Path: dir, Volume: v, inner: "/"}, err
}

func (t *Tree) find(name string, follow bool) (*Node, error) {
	top, err := t.root("/", t.Root)
	if err != nil {
		return nil, err
	}
	at, links := top, 0
	todo := strings.Split(name, "/")
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			if at, err = t.find(path.Dir(at.Path), false); err != nil {
				return nil, err
			}
			continue
		}
		next, err := t.child(at, part)
		if err != nil {
			return nil, err
		}
		if !next.IsLink() || len(todo) == 0 && !follow {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return nil, &fs.PathError{Op: "stat", Path: name, Err: errors.New("too many symbolic links")}
		}
		target, err := next.Volume.fs.Readlink(next.Inode)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(target, "/") {
			at = top
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, nil
}

// child finds a name in a folder, or what is mounted there.
func (t *Tree) child(dir *Node, name string) (*Node, error) {
	full := path.Join(dir.Path, name)
	if !dir.IsDir() {
		return nil, &fs.PathError{Op: "stat", Path: full, Err: fs.ErrNotExist}
	}
	if v := t.Mounts[full]; v != nil {
		return t.root(full, v)
	}
	n, err := dir.Volume.fs.Lookup(dir.Inode, name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: full, Err: err}
	}
	return &Node{Inode: n, Path: full, Volume: dir.Volume, inner: path.Join(dir.inner, name)}, nil
}

// ReadFile reads a file of at most limit bytes; it follows symbolic links.
func (t *Tree) ReadFile(name string, limit int64) ([]byte, error) {
	n, err := t.Stat(name)
	if err != nil {
		return nil, err
	}
	if !n.IsRegular() || n.Size > limit {
		return nil, &disk.Error{Kind: disk.Refused, Op: "read " + name, Reason: fmt.Sprintf("it is no file of at most %d bytes", limit)}
	}
	data, err := t.Data(n)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(data.Reader())
}

// Data gives the content of a file.
func (t *Tree) Data(n *Node) (*ext4.Data, error) { return n.Volume.fs.Data(n.Inode) }

// Xattrs gives the extended attributes of a file.
func (t *Tree) Xattrs(n *Node) (map[string][]byte, error) { return n.Volume.fs.Xattrs(n.Inode) }

// Readlink gives the target of a symbolic link.
func (t *Tree) Readlink(n *Node) (string, error) { return n.Volume.fs.Readlink(n.Inode) }

// ReadDir lists the names in a folder, without what is mounted over them.
func (t *Tree) ReadDir(name string) ([]string, error) {
	n, err := t.Stat(name)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	list, err := n.Volume.fs.ReadDir(n.Inode)
	var names []string
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names, err
}

// Walk calls do for each file under the folder name, folders before what is in
// them, in the order of their names, itself first; what is mounted is gone into. fs.SkipDir from do leaves a
// folder out. A folder that is reached twice is Refused: a circle.
func (t *Tree) Walk(name string, do func(*Node) error) error {
	n, err := t.Lstat(name)
	if err != nil {
		return err
	}
	w := &walker{t: t, do: do, seen: map[walked]bool{}}
	err = w.walk(n)
	if errors.Is(err, fs.SkipDir) {
		return nil
	}
	return err
}

type walked struct {
	v *Volume
	n uint32
}

// WalkFS walks a file system that is not of an open [Disk], as [Tree.Walk] does.
func WalkFS(f *ext4.FS, do func(*Node) error) error {
	v := &Volume{fs: f}
	return (&Tree{Root: v, Mounts: map[string]*Volume{"/": v}}).Walk("/", do)
}

type walker struct {
	t     *Tree
	do    func(*Node) error
	seen  map[walked]bool
	count int
}

func (w *walker) walk(n *Node) error {
	if w.count++; w.count > maxFiles {
		return &disk.Error{Kind: disk.TooBig, Op: "walk", Reason: fmt.Sprintf("the tree has more than %d files", maxFiles)}
	}
	if err := w.do(n); err != nil || !n.IsDir() {
		return err
	}
	if w.seen[walked{n.Volume, n.Number}] || len(n.Path) > 4096 {
		return &disk.Error{Kind: disk.Refused, Op: "walk", Reason: "the folder " + n.Path + " is within itself"}
	}
	w.seen[walked{n.Volume, n.Number}] = true
	list, err := n.Volume.fs.ReadDir(n.Inode)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b ext4.Entry) int { return strings.Compare(a.Name, b.Name) })
	for _, e := range list {
		child, err := w.t.Child(n, e)
		if err != nil {
			return err
		}
		if err := w.walk(child); err != nil && !(errors.Is(err, fs.SkipDir) && child.IsDir()) {
			return err
		}
	}
	return nil
}

// Entries lists what is in a folder, without what is mounted over it.
func (t *Tree) Entries(dir *Node) ([]ext4.Entry, error) { return dir.Volume.fs.ReadDir(dir.Inode) }

// Child is the file of an entry of a folder, or what is mounted there. To find one by its
// name the whole folder is read.
func (t *Tree) Child(dir *Node, e ext4.Entry) (*Node, error) {
	full := path.Join(dir.Path, e.Name)
	if v := t.Mounts[full]; v != nil {
		return t.root(full, v)
	}
	n, err := dir.Volume.fs.Inode(e.Inode)
	return &Node{Inode: n, Path: full, Volume: dir.Volume, inner: path.Join(dir.inner, e.Name)}, err
}

// Glob lists the files that fit a pattern of path.Match, whose folders are no
// patterns but for the parts with * and ?; links in folders are followed.
func (t *Tree) Glob(pattern string) ([]string, error) {
	found := []string{"/"}
	for part := range strings.SplitSeq(strings.Trim(pattern, "/"), "/") {
		var next []string
		for _, dir := range found {
			names := []string{part}
			if strings.ContainsAny(part, `*?[\`) {
				list, err := t.ReadDir(dir)
				if err != nil && !Missing(err) {
					return nil, err
				}
				names = list
			}
			for _, name := range names {
				full := path.Join(dir, name)
				if ok, err := path.Match(part, name); err != nil || !ok && name != part {
					continue
				}
				if _, err := t.Lstat(full); err == nil {
					next = append(next, full)
				} else if !Missing(err) {
					return nil, err
				}
			}
		}
		found = next
	}
	return found, nil
}

// Missing tells whether an error says that a file is not there.
func Missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
