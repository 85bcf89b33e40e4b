package mount

import (
	"context"
	"path"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"hearth/internal/disk/guestfs"
)

// changing is a file in a tree that is mounted to be written. What it is, is looked up
// each time by the name that it has then. A file with several names is a node by each.
type changing struct {
	fs.Inode
	w *writer
}

var _ = interface {
	fs.NodeLookuper
	fs.NodeReaddirer
	fs.NodeGetattrer
	fs.NodeSetattrer
	fs.NodeReadlinker
	fs.NodeOpener
	fs.NodeCreater
	fs.NodeMkdirer
	fs.NodeMknoder
	fs.NodeSymlinker
	fs.NodeLinker
	fs.NodeUnlinker
	fs.NodeRmdirer
	fs.NodeRenamer
	fs.NodeGetxattrer
	fs.NodeListxattrer
	fs.NodeSetxattrer
	fs.NodeRemovexattrer
	fs.NodeStatfser
}(&changing{})

// name is the file's in the guest.
func (n *changing) name() string { return "/" + n.Path(nil) }

// now is the file as it is.
func (n *changing) now() (*node, syscall.Errno) { return n.at(n.name()) }

func (n *changing) at(name string) (*node, syscall.Errno) {
	found, err := n.w.tree.Lstat(name)
	if err != nil {
		return nil, errno(err)
	}
	return &node{t: n.w.tree, n: found, volumes: n.w.volumes}, fs.OK
}

// look asks the file as it is, while nobody changes it.
func (n *changing) look(ask func(now *node) syscall.Errno) syscall.Errno {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	now, errno := n.now()
	if errno != fs.OK {
		return errno
	}
	return ask(now)
}

// in is a name in this folder. A folder that only the appliance changes is read-only.
func (n *changing) in(name string) (string, syscall.Errno) {
	return path.Join(n.name(), name), n.writable()
}

func (n *changing) writable() syscall.Errno {
	now, errno := n.now()
	if errno == fs.OK && now.n.Volume.Mirrored() {
		return syscall.EROFS
	}
	return errno
}

// stat tells what a file is, with what is written to it by now.
func (n *changing) stat(name string, open *content, out *fuse.Attr) syscall.Errno {
	now, errno := n.at(name)
	if errno != fs.OK {
		return errno
	}
	now.attr(now.n, out)
	out.Uid = n.w.swapped(out.Uid)
	if open == nil {
		return fs.OK
	}
	return open.stat(out)
}

// stat tells the length of a content; of a file that was removed while it is open, the
// kind as well.
func (c *content) stat(out *fuse.Attr) syscall.Errno {
	st, err := c.f.Stat()
	if err != nil {
		return syscall.EIO
	}
	if c.gone {
		out.Mode = syscall.S_IFREG | 0o600
	}
	out.Size, out.Blocks = uint64(st.Size()), uint64(st.Size()+511)/512
	return fs.OK
}

// child is the node of a name in this folder, which is a file of the mode of out.
func (n *changing) child(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	kept := n.GetChild(name)
	var open *content
	if kept != nil {
		c, _ := kept.Operations().(*changing)
		open = n.w.open[c]
	}
	if errno := n.stat(path.Join(n.name(), name), open, &out.Attr); errno != fs.OK {
		return nil, errno
	}
	if kind := out.Mode & syscall.S_IFMT; kept == nil || kept.Mode() != kind {
		return n.NewInode(ctx, &changing{w: n.w}, fs.StableAttr{Mode: kind}), fs.OK
	}
	return kept, fs.OK
}

// Lookup implements fs.NodeLookuper.
func (n *changing) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	return n.child(ctx, name, out)
}

// Readdir implements fs.NodeReaddirer.
func (n *changing) Readdir(ctx context.Context) (fs.DirStream, syscall.Errno) {
	var list fs.DirStream
	errno := n.look(func(now *node) (e syscall.Errno) { list, e = now.Readdir(ctx); return e })
	return list, errno
}

// Getattr implements fs.NodeGetattrer.
func (n *changing) Getattr(_ context.Context, h fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	open := n.w.open[n]
	if f, ok := h.(*writing); ok && f.c.gone {
		return f.c.stat(&out.Attr)
	}
	return n.stat(n.name(), open, &out.Attr)
}

// Readlink implements fs.NodeReadlinker.
func (n *changing) Readlink(ctx context.Context) ([]byte, syscall.Errno) {
	var target []byte
	errno := n.look(func(now *node) (e syscall.Errno) { target, e = now.Readlink(ctx); return e })
	return target, errno
}

// Getxattr implements fs.NodeGetxattrer.
func (n *changing) Getxattr(ctx context.Context, attr string, dest []byte) (uint32, syscall.Errno) {
	var size uint32
	errno := n.look(func(now *node) (e syscall.Errno) { size, e = now.Getxattr(ctx, attr, dest); return e })
	return size, errno
}

// Listxattr implements fs.NodeListxattrer.
func (n *changing) Listxattr(ctx context.Context, dest []byte) (uint32, syscall.Errno) {
	var size uint32
	errno := n.look(func(now *node) (e syscall.Errno) { size, e = now.Listxattr(ctx, dest); return e })
	return size, errno
}

// Statfs implements fs.NodeStatfser.
func (n *changing) Statfs(ctx context.Context, out *fuse.StatfsOut) syscall.Errno {
	errno := n.look(func(now *node) syscall.Errno { return now.Statfs(ctx, out) })
	out.Bavail = out.Bfree
	return errno
}

// Setattr implements fs.NodeSetattrer.
func (n *changing) Setattr(_ context.Context, h fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	if f, ok := h.(*writing); ok && f.c.gone {
		if size, ok := in.GetSize(); ok && f.c.f.Truncate(int64(size)) != nil {
			return syscall.EIO
		}
		return f.c.stat(&out.Attr)
	}
	if errno := n.writable(); errno != fs.OK {
		return errno
	}
	if size, ok := in.GetSize(); ok {
		if errno := n.resize(int64(size)); errno != fs.OK {
			return errno
		}
	}
	if in.Valid&(fuse.FATTR_MODE|fuse.FATTR_UID|fuse.FATTR_GID|fuse.FATTR_MTIME) != 0 {
		if errno := n.w.settle(n); errno != fs.OK { // or the file would be written after its time is set
			return errno
		}
	}
	if errno := n.setOwner(in); errno != fs.OK {
		return errno
	}
	if t, ok := in.GetMTime(); ok {
		if in.Valid&fuse.FATTR_MTIME_NOW != 0 {
			t = time.Now()
		}
		if errno := n.w.edit(n.name(), func(e *guestfs.Edit) { e.SetTime(n.name(), t) }); errno != fs.OK {
			return errno
		}
	}
	errno := n.stat(n.name(), n.w.open[n], &out.Attr)
	if in.Valid&fuse.FATTR_UID != 0 { // what gives a file to another sets its access control list next
		out.Uid = n.w.user
	}
	return errno
}

func (n *changing) setOwner(in *fuse.SetAttrIn) syscall.Errno {
	mode, chmod := in.GetMode()
	uid, chown := in.GetUID()
	gid, chgrp := in.GetGID()
	if !chmod && !chown && !chgrp {
		return fs.OK
	}
	now, errno := n.now()
	if errno != fs.OK {
		return errno
	}
	o := guestfs.Owner{UID: now.n.UID, GID: now.n.GID, Mode: now.n.Mode & 0o7777}
	var list []byte
	if chmod {
		o.Mode = mode & 0o7777
		all, err := n.w.tree.Xattrs(now.n)
		if err != nil {
			return n.w.result(n.name(), err)
		}
		list = all[accessList]
	}
	if chown {
		o.UID = n.w.swapped(uid)
	}
	if chgrp {
		o.GID = gid
	}
	return n.w.edit(n.name(), func(e *guestfs.Edit) {
		if e.SetOwner(n.name(), o); list != nil {
			e.PutXattr(n.name(), accessList, withMode(list, mode))
		}
	})
}

// resize cuts a file off, or has it end with a hole. That of one that is open is in the
// image when it is closed.
func (n *changing) resize(size int64) syscall.Errno {
	open := n.w.open[n] != nil
	c, errno := n.w.hold(n, n.name(), size == 0)
	if errno != fs.OK {
		return errno
	}
	defer n.w.release(n, c)
	if err := c.f.Truncate(size); err != nil {
		return n.w.result(n.name(), err)
	}
	if c.dirty = true; open {
		return fs.OK
	}
	return n.w.flush(n, c)
}

// Setxattr implements fs.NodeSetxattrer.
func (n *changing) Setxattr(_ context.Context, attr string, data []byte, flags uint32) syscall.Errno {
	return n.xattr(attr, func(now *node, has bool) syscall.Errno {
		const create, replace = 1, 2 // setxattr(2)
		switch {
		case flags == create && has:
			return syscall.EEXIST
		case flags == replace && !has:
			return syscall.ENODATA
		case attr == accessList:
			return n.setList(now, has, data)
		}
		return n.w.edit(n.name(), func(e *guestfs.Edit) { e.PutXattr(n.name(), attr, data) })
	})
}

// setList gives a file an access control list, and the mode by it; one that says no more
// than a mode is not kept.
func (n *changing) setList(now *node, has bool, list []byte) syscall.Errno {
	mode, all, errno := modeOf(list)
	if errno != fs.OK {
		return errno
	}
	return n.w.edit(n.name(), func(e *guestfs.Edit) {
		e.SetOwner(n.name(), guestfs.Owner{UID: now.n.UID, GID: now.n.GID, Mode: now.n.Mode&0o7000 | mode})
		switch {
		case !all:
			e.PutXattr(n.name(), accessList, list)
		case has:
			e.RemoveXattr(n.name(), accessList)
		}
	})
}

// Removexattr implements fs.NodeRemovexattrer.
func (n *changing) Removexattr(_ context.Context, attr string) syscall.Errno {
	return n.xattr(attr, func(_ *node, has bool) syscall.Errno {
		if !has {
			return syscall.ENODATA
		}
		return n.w.edit(n.name(), func(e *guestfs.Edit) { e.RemoveXattr(n.name(), attr) })
	})
}

// xattr does something to an attribute, after what is written to the file: that keeps
// the attributes that the file has then.
func (n *changing) xattr(attr string, do func(now *node, has bool) syscall.Errno) syscall.Errno {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	if errno := n.writable(); errno != fs.OK {
		return errno
	}
	if errno := n.w.settle(n); errno != fs.OK {
		return errno
	}
	now, errno := n.now()
	if errno != fs.OK {
		return errno
	}
	all, err := n.w.tree.Xattrs(now.n)
	if err != nil {
		return n.w.result(n.name(), err)
	}
	_, has := all[attr]
	return do(now, has)
}
