package mount

import (
	"context"
	"errors"
	"io"
	"path"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"hearth/internal/disk/guestfs"
)

// add makes a new name in this folder, and gives its node.
func (n *changing) add(ctx context.Context, name string, out *fuse.EntryOut, change func(e *guestfs.Edit, full string)) (*fs.Inode, syscall.Errno) {
	full, errno := n.in(name)
	if errno != fs.OK {
		return nil, errno
	}
	if errno := n.w.edit(full, func(e *guestfs.Edit) { change(e, full) }); errno != fs.OK {
		return nil, errno
	}
	return n.child(ctx, name, out)
}

// Mkdir implements fs.NodeMkdirer.
func (n *changing) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	return n.add(ctx, name, out, func(e *guestfs.Edit, full string) { e.Mkdir(full, guestfs.Owner{Mode: mode & 0o7777}) })
}

// Symlink implements fs.NodeSymlinker.
func (n *changing) Symlink(ctx context.Context, target, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	return n.add(ctx, name, out, func(e *guestfs.Edit, full string) { e.Symlink(full, target) })
}

// Mknod implements fs.NodeMknoder. Devices are for guests to make: the folder is nodev.
func (n *changing) Mknod(ctx context.Context, name string, mode, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	owner := guestfs.Owner{Mode: mode & 0o7777}
	switch mode & syscall.S_IFMT {
	case syscall.S_IFREG:
		return n.add(ctx, name, out, func(e *guestfs.Edit, full string) { e.Write(full, nil, owner) })
	case syscall.S_IFIFO:
		return n.add(ctx, name, out, func(e *guestfs.Edit, full string) { e.Fifo(full, owner) })
	}
	return nil, syscall.EPERM
}

// Create implements fs.NodeCreater.
func (n *changing) Create(ctx context.Context, name string, _, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	inode, errno := n.add(ctx, name, out, func(e *guestfs.Edit, full string) { e.Write(full, nil, guestfs.Owner{Mode: mode & 0o7777}) })
	if errno != fs.OK {
		return nil, nil, 0, errno
	}
	file := inode.Operations().(*changing)
	c, errno := n.w.hold(file, path.Join(n.name(), name), true)
	if errno != fs.OK {
		return nil, nil, 0, errno
	}
	c.dirty = false // it is there already, with nothing in it
	return inode, &writing{n: file, c: c}, 0, fs.OK
}

// Link implements fs.NodeLinker.
func (n *changing) Link(ctx context.Context, target fs.InodeEmbedder, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	full, errno := n.in(name)
	if errno != fs.OK {
		return nil, errno
	}
	of := target.(*changing)
	if errno := n.w.settle(of); errno != fs.OK {
		return nil, errno
	}
	if errno := n.w.result(full, n.w.tree.Link(n.w.ctx, of.name(), full)); errno != fs.OK {
		return nil, errno
	}
	return n.child(ctx, name, out)
}

// Unlink implements fs.NodeUnlinker.
func (n *changing) Unlink(_ context.Context, name string) syscall.Errno { return n.remove(name) }

// Rmdir implements fs.NodeRmdirer.
func (n *changing) Rmdir(_ context.Context, name string) syscall.Errno { return n.remove(name) }

func (n *changing) remove(name string) syscall.Errno {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	full, errno := n.in(name)
	if errno != fs.OK {
		return errno
	}
	if errno := n.w.edit(full, func(e *guestfs.Edit) { e.RemoveOne(full) }); errno != fs.OK {
		return errno
	}
	n.lost(name)
	return fs.OK
}

// lost notes that nothing has a name any more.
func (n *changing) lost(name string) {
	if kept := n.GetChild(name); kept != nil {
		c, _ := kept.Operations().(*changing)
		n.w.forget(c)
	}
}

// Rename implements fs.NodeRenamer.
func (n *changing) Rename(_ context.Context, name string, parent fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	const noReplace = 1 // renameat2(2)
	folder := parent.(*changing)
	from, errno := n.in(name)
	if errno != fs.OK {
		return errno
	}
	full, errno := folder.in(to)
	switch {
	case errno != fs.OK:
		return errno
	case flags&^noReplace != 0:
		return syscall.EINVAL
	case flags == noReplace:
		if _, errno := n.at(full); errno == fs.OK {
			return syscall.EEXIST
		}
	}
	if kept := n.GetChild(name); kept != nil {
		if errno := n.w.settle(kept.Operations().(*changing)); errno != fs.OK {
			return errno
		}
	}
	if errno := n.w.result(full, n.w.tree.Rename(n.w.ctx, from, full)); errno != fs.OK {
		return errno
	}
	folder.lost(to)
	return fs.OK
}

// Open implements fs.NodeOpener.
func (n *changing) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	if flags&syscall.O_ACCMODE == syscall.O_RDONLY && n.w.open[n] == nil {
		now, errno := n.now()
		if errno != fs.OK {
			return nil, 0, errno
		}
		h, _, errno := now.Open(ctx, flags&^syscall.O_TRUNC)
		if errno != fs.OK {
			return nil, 0, errno
		}
		return &reading{h.(*file), n}, 0, fs.OK
	}
	if errno := n.writable(); errno != fs.OK {
		return nil, 0, errno
	}
	c, errno := n.w.hold(n, n.name(), flags&syscall.O_TRUNC != 0)
	if errno != fs.OK {
		return nil, 0, errno
	}
	return &writing{n: n, c: c, appends: flags&syscall.O_APPEND != 0}, 0, fs.OK
}

// reading is a file that is open for reading: what it held when it was opened, or what
// is being written to it.
type reading struct {
	f *file
	n *changing
}

// Read implements fs.FileReader.
func (r *reading) Read(ctx context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	r.n.w.mu.Lock()
	defer r.n.w.mu.Unlock()
	if c := r.n.w.open[r.n]; c != nil {
		return readAt(c, dest, off)
	}
	now, errno := r.n.now()
	if errno != fs.OK {
		return nil, syscall.ESTALE // it was removed, and its blocks may be another's by now
	}
	data, err := r.n.w.tree.Data(now.n) // it may have been written anew
	if err != nil {
		return nil, r.n.w.result(r.n.name(), err)
	}
	r.f.data = data
	return r.f.Read(ctx, dest, off)
}

func readAt(c *content, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n, err := c.f.ReadAt(dest, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, syscall.EIO
	}
	return fuse.ReadResultData(dest[:n]), fs.OK
}

// writing is a file that is open to be written.
type writing struct {
	n       *changing
	c       *content
	appends bool
}

var _ = interface {
	fs.FileReader
	fs.FileWriter
	fs.FileFlusher
	fs.FileFsyncer
	fs.FileReleaser
}(&writing{})

// Read implements fs.FileReader.
func (h *writing) Read(_ context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	h.n.w.mu.Lock()
	defer h.n.w.mu.Unlock()
	return readAt(h.c, dest, off)
}

// Write implements fs.FileWriter.
func (h *writing) Write(_ context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	h.n.w.mu.Lock()
	defer h.n.w.mu.Unlock()
	if h.appends {
		st, err := h.c.f.Stat()
		if err != nil {
			return 0, syscall.EIO
		}
		off = st.Size()
	}
	n, err := h.c.f.WriteAt(data, off)
	h.c.dirty = true
	return uint32(n), h.n.w.result(h.n.name(), err)
}

// Flush implements fs.FileFlusher.
func (h *writing) Flush(context.Context) syscall.Errno { return h.sync() }

// Fsync implements fs.FileFsyncer.
func (h *writing) Fsync(context.Context, uint32) syscall.Errno { return h.sync() }

func (h *writing) sync() syscall.Errno {
	h.n.w.mu.Lock()
	defer h.n.w.mu.Unlock()
	return h.n.w.flush(h.n, h.c)
}

// Release implements fs.FileReleaser.
func (h *writing) Release(context.Context) syscall.Errno {
	h.n.w.mu.Lock()
	defer h.n.w.mu.Unlock()
	errno := h.n.w.flush(h.n, h.c)
	h.n.w.release(h.n, h.c)
	return errno
}
