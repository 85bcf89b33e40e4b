package mount

import (
	"context"
	"errors"
	iofs "io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"hearth/internal/disk/ext4"
	"hearth/internal/disk/guestfs"
)

// node is a file in the mounted tree. It does not change.
type node struct {
	fs.Inode
	t       *guestfs.Tree
	n       *guestfs.Node
	volumes map[*guestfs.Volume]uint64

	once    sync.Once // of a folder: its entries are read
	entries map[string]ext4.Entry
	err     error
}

var _ = interface {
	fs.NodeLookuper
	fs.NodeReaddirer
	fs.NodeGetattrer
	fs.NodeReadlinker
	fs.NodeOpener
	fs.NodeGetxattrer
	fs.NodeListxattrer
	fs.NodeStatfser
}(&node{})

// number gives each volume one of its own, so that inode numbers are: the root's first.
func number(t *guestfs.Tree) map[*guestfs.Volume]uint64 {
	all := map[*guestfs.Volume]uint64{}
	for _, dir := range slices.Sorted(maps.Keys(t.Mounts)) {
		if v := t.Mounts[dir]; all[v] == 0 && v != t.Root {
			all[v] = uint64(len(all) + 1)
		}
	}
	all[t.Root] = 0
	return all
}

func (n *node) ino(of *guestfs.Node) uint64 { return n.volumes[of.Volume]<<32 | uint64(of.Number) }

// errno is what a program is told; what is broken in the image is an input/output error.
func errno(err error) syscall.Errno {
	switch {
	case err == nil:
		return fs.OK
	case errors.Is(err, iofs.ErrNotExist):
		return syscall.ENOENT
	}
	return syscall.EIO
}

func (n *node) attr(of *guestfs.Node, out *fuse.Attr) {
	out.Ino, out.Mode, out.Nlink = n.ino(of), of.Mode, uint32(max(1, of.Links))
	out.Size, out.Blocks = uint64(max(0, of.Size)), uint64(max(0, of.Blocks)) // by which cp sees that there are holes
	out.Owner = fuse.Owner{Uid: of.UID, Gid: of.GID}
	out.Blksize = 4096
	out.SetTimes(&of.MTime, &of.MTime, &of.MTime)
	if of.IsDevice() {
		out.Rdev = (of.Minor & 0xff) | of.Major<<8 | (of.Minor&^0xff)<<12
	}
}

// find finds a name in a folder, which is read but once: programs ask for each of thousands
// of names by itself.
func (n *node) find(name string) (*guestfs.Node, error) {
	n.once.Do(func() {
		var list []ext4.Entry
		list, n.err = n.t.Entries(n.n)
		n.entries = make(map[string]ext4.Entry, len(list))
		for _, e := range slices.Backward(list) { // of two of a name the first counts
			n.entries[e.Name] = e
		}
	})
	e, ok := n.entries[name]
	switch {
	case n.err != nil:
		return nil, n.err
	case !ok:
		return nil, iofs.ErrNotExist
	}
	return n.t.Child(n.n, e)
}

// Lookup implements fs.NodeLookuper.
func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	found, err := n.find(name)
	if err != nil {
		return nil, errno(err)
	}
	n.attr(found, &out.Attr)
	child := &node{t: n.t, n: found, volumes: n.volumes}
	return n.NewInode(ctx, child, fs.StableAttr{Mode: found.Mode & syscall.S_IFMT, Ino: n.ino(found)}), fs.OK
}

// Getattr implements fs.NodeGetattrer.
func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.attr(n.n, &out.Attr)
	return fs.OK
}

// Readdir implements fs.NodeReaddirer.
func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	entries, err := n.t.Entries(n.n)
	if err != nil {
		return nil, errno(err)
	}
	list := make([]fuse.DirEntry, 0, len(entries))
	for _, entry := range entries {
		if entry.Name == "" || strings.ContainsAny(entry.Name, "/\x00") {
			continue // no kernel made such
		}
		e := fuse.DirEntry{Name: entry.Name}
		if f, err := n.t.Child(n.n, entry); err == nil {
			e.Mode, e.Ino = f.Mode&syscall.S_IFMT, n.ino(f)
		}
		list = append(list, e)
	}
	return fs.NewListDirStream(list), fs.OK
}

// Readlink implements fs.NodeReadlinker.
func (n *node) Readlink(context.Context) ([]byte, syscall.Errno) {
	target, err := n.t.Readlink(n.n)
	return []byte(target), errno(err)
}

// Open implements fs.NodeOpener.
func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return nil, 0, syscall.EROFS
	}
	data, err := n.t.Data(n.n)
	if err != nil {
		return nil, 0, errno(err)
	}
	return &file{data}, fuse.FOPEN_KEEP_CACHE, fs.OK
}

// file is an open file.
type file struct{ data *ext4.Data }

var _ fs.FileReader = (*file)(nil)

// Read implements fs.FileReader.
func (f *file) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if off < 0 || off >= f.data.Size() {
		return fuse.ReadResultData(nil), fs.OK
	}
	n := min(int64(len(dest)), f.data.Size()-off)
	if m, err := f.data.ReadAt(dest[:n], off); err != nil && int64(m) < n {
		return nil, errno(err)
	}
	return fuse.ReadResultData(dest[:n]), fs.OK
}

// Getxattr implements fs.NodeGetxattrer.
func (n *node) Getxattr(_ context.Context, attr string, dest []byte) (uint32, syscall.Errno) {
	all, err := n.t.Xattrs(n.n)
	if err != nil {
		return 0, errno(err)
	}
	value, ok := all[attr]
	if !ok {
		return 0, syscall.ENODATA
	}
	return fill(dest, value)
}

// Listxattr implements fs.NodeListxattrer.
func (n *node) Listxattr(_ context.Context, dest []byte) (uint32, syscall.Errno) {
	all, err := n.t.Xattrs(n.n)
	if err != nil {
		return 0, errno(err)
	}
	var names []byte
	for _, name := range slices.Sorted(maps.Keys(all)) {
		names = append(append(names, name...), 0)
	}
	return fill(dest, names)
}

// fill answers as getxattr(2) does: how long a value is if nobody has room for it.
func fill(dest, value []byte) (uint32, syscall.Errno) {
	if len(dest) > 0 && len(dest) < len(value) {
		return uint32(len(value)), syscall.ERANGE
	}
	copy(dest, value)
	return uint32(len(value)), fs.OK
}

// Statfs implements fs.NodeStatfser.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	f := n.n.Volume.FS()
	out.Bsize, out.Frsize, out.NameLen = uint32(f.BlockSize), uint32(f.BlockSize), 255
	out.Blocks = uint64(f.Size / f.BlockSize)
	out.Bfree = uint64((f.Size - f.Used()) / f.BlockSize)
	return fs.OK
}
