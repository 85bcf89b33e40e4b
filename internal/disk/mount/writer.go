package mount

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
	"hearth/internal/disk/guestfs"
)

// writer makes the changes of a mounted image, one at a time.
type writer struct {
	mu      sync.Mutex // of all here, and of the tree, which is read anew after each change
	ctx     context.Context
	tree    *guestfs.Tree
	volumes map[*guestfs.Volume]uint64
	tell    func(error)
	user    uint32 // who mounts it
	dir     string // of the contents of files that are open to be written
	number  int
	open    map[*changing]*content
}

// content is what a file that is open to be written holds by now.
type content struct {
	f       *os.File
	handles int
	dirty   bool // it is not in the image yet
	gone    bool // nothing has its name any more
}

// openToWrite opens the image itself. Refused are images that somebody writes to, as
// QEMU's locks tell, and what cannot be changed here.
func (i *Image) openToWrite(ctx context.Context, run *disk.Runner, layer disk.Layer, opt Options) (err error) {
	if layer, i.held, err = guestfs.HoldToChange(layer.Path); err != nil {
		return err
	}
	if i.d, err = guestfs.Open(ctx, run, []disk.Layer{layer}, guestfs.ReadWrite); err != nil {
		return errors.Join(err, i.held.Close())
	}
	if err = i.held.Rest(); err == nil {
		i.Tree, err = tree(i.d, opt.Partition)
	}
	if err == nil && i.Tree.Root.Mirrored() {
		err = refuse("its files are in %s, where each change would take a start of the appliance: 'hearth image inject' changes many at once", i.Tree.Root.Content)
	}
	dir := ""
	if err == nil {
		dir, err = os.MkdirTemp("", "hearth-mount-")
	}
	if err != nil {
		return errors.Join(err, i.d.Close(), i.held.Close())
	}
	i.writer = &writer{ctx: context.WithoutCancel(ctx), tree: i.Tree, volumes: number(i.Tree), tell: opt.Tell, user: uint32(os.Geteuid()), dir: dir, open: map[*changing]*content{}}
	i.Replayed = i.d.Repaired()
	return nil
}

// swapped is the owner of a file as who mounts it sees him, and the other way round: root's
// files seem to be his, and his root's. The kernel lets none but the owner of a file set
// its access control list, as 'sed -i' and 'cp -p' do.
func (w *writer) swapped(uid uint32) uint32 {
	switch uid {
	case 0:
		return w.user
	case w.user:
		return 0
	}
	return uid
}

func (w *writer) close() error { return os.RemoveAll(w.dir) }

// result is what a program is told of a change, and what whoever mounted is.
func (w *writer) result(name string, err error) syscall.Errno {
	var e syscall.Errno
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e
	case errors.Is(err, os.ErrExist):
		return syscall.EEXIST
	case errors.Is(err, os.ErrPermission):
		return syscall.EPERM
	case guestfs.Missing(err):
		return syscall.ENOENT
	case disk.KindOf(err) == disk.TooBig, strings.Contains(err.Error(), "Could not allocate"): // a block, or an inode: debugfs
		return syscall.ENOSPC
	}
	if w.tell != nil {
		w.tell(errors.Join(errors.New("change "+name), err))
	}
	if disk.KindOf(err) == disk.Refused { // a name that debugfs cannot be given
		return syscall.EINVAL
	}
	return syscall.EIO
}

// edit makes a change.
func (w *writer) edit(name string, change func(e *guestfs.Edit)) syscall.Errno {
	e := w.tree.Edit()
	change(e)
	return w.result(name, e.Commit(w.ctx))
}

// fits tells whether a file system has room for size bytes in place of those that it has;
// in ext2 and ext3 with the blocks that tell where those beyond the first twelve lie.
func fits(f *ext4.FS, size, has int64) bool {
	blocks, per := (size+f.BlockSize-1)/f.BlockSize, f.BlockSize/4
	if rest := blocks - 12; rest > 0 && f.Flavour() != "ext4" {
		blocks += rest/per + rest/per/per + 3
	}
	return blocks <= (f.Size-f.Used()+has)/f.BlockSize
}

// hold opens the content of the file n, of that name, to be written; empty leaves out
// what it holds.
func (w *writer) hold(n *changing, name string, empty bool) (*content, syscall.Errno) {
	c := w.open[n]
	if c == nil {
		path := filepath.Join(w.dir, strconv.Itoa(w.number))
		w.number++
		if err := w.fill(path, name, empty); err != nil {
			return nil, w.result(name, err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return nil, w.result(name, err)
		}
		c = &content{f: f}
		w.open[n] = c
	}
	if empty {
		if err := c.f.Truncate(0); err != nil {
			return nil, w.result(name, err)
		}
		c.dirty = true
	}
	c.handles++
	return c, 0
}

// fill makes the file in which a content lies while it changes.
func (w *writer) fill(path, name string, empty bool) error {
	if empty {
		return os.WriteFile(path, nil, 0o600)
	}
	n, err := w.tree.Lstat(name)
	if err != nil {
		return err
	}
	data, err := w.tree.Data(n)
	if err != nil {
		return err
	}
	return disk.CopySparse(w.ctx, path, data.Reader())
}

// flush puts a content into the image.
func (w *writer) flush(n *changing, c *content) syscall.Errno {
	if !c.dirty || c.gone {
		return 0
	}
	name := n.name()
	old, err := w.tree.Lstat(name)
	if err != nil {
		return w.result(name, err)
	}
	st, err := c.f.Stat()
	if err != nil {
		return w.result(name, err)
	}
	if !fits(old.Volume.FS(), st.Size(), old.Size) && !sparse(st) {
		return syscall.ENOSPC
	}
	errno := w.edit(name, func(e *guestfs.Edit) {
		e.WriteFile(name, c.f.Name(), guestfs.Owner{UID: old.UID, GID: old.GID, Mode: old.Mode & 0o7777})
	})
	c.dirty = errno != 0
	return errno
}

// settle puts what is written to a file by now into the image.
func (w *writer) settle(n *changing) syscall.Errno {
	if c := w.open[n]; c != nil {
		return w.flush(n, c)
	}
	return 0
}

// sparse tells whether a file has holes, by which it may fit all the same.
func sparse(st os.FileInfo) bool {
	s, ok := st.Sys().(*syscall.Stat_t)
	return ok && s.Blocks*512 < st.Size()
}

// release lets a content go when nobody has it open.
func (w *writer) release(n *changing, c *content) {
	if c.handles--; c.handles > 0 {
		return
	}
	_ = os.Remove(c.f.Name())
	_ = c.f.Close()
	if w.open[n] == c {
		delete(w.open, n)
	}
}

// forget has what is open of a file that is gone end with its handles.
func (w *writer) forget(n *changing) {
	if c := w.open[n]; c != nil {
		c.gone = true
		delete(w.open, n)
	}
}
