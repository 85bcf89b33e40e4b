package guestfs

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"time"

	"hearth/internal/disk"
)

// WriteFile is [Edit.Write] of what the file local of this host holds when the changes
// are committed. Other names of what was there, hard links to it, keep naming the same.
func (e *Edit) WriteFile(name, local string, o Owner) {
	p, old, err := e.place(name)
	if e.fail(err); e.err != nil {
		return
	}
	var others []string
	if old != nil && old.Links > 1 && old.IsRegular() {
		if others, err = e.t.namesOf(old); err != nil {
			e.fail(err)
			return
		}
	}
	e.write(name, content{path: local}, o)
	for _, other := range others {
		if other != p.inner {
			e.say(p.volume, "rm %s\nln %s %s", quote(other), quote(p.inner), quote(other))
		}
	}
	if len(others) > 1 {
		e.say(p.volume, "sif %s links_count %d", quote(p.inner), len(others))
	}
}

// namesOf finds all names of a file in its volume.
func (t *Tree) namesOf(n *Node) (names []string, err error) {
	err = t.d.on(n.Volume).Walk("/", func(f *Node) error {
		if f.Number != n.Number {
			return nil
		}
		_, err := disk.QuoteExt(f.inner)
		names = append(names, f.inner)
		return err
	})
	return names, err
}

// at finds a file as it is, without following it.
func (e *Edit) at(name string) (*Node, place) {
	if e.err != nil {
		return nil, place{}
	}
	n, err := e.t.Lstat(name)
	if err == nil {
		_, err = disk.QuoteExt(n.inner)
		if n.inner == "/" {
			err = nil
		}
	}
	if e.fail(err); err != nil {
		return nil, place{}
	}
	return n, place{n.Volume, n.inner}
}

// SetOwner sets to whom a file belongs, and its permission bits. A symbolic link is not
// followed.
func (e *Edit) SetOwner(name string, o Owner) {
	if n, p := e.at(name); n != nil {
		e.owner(p, n.Mode&0xf000, o)
	}
}

// SetTime sets when a file was last changed. A symbolic link is not followed.
func (e *Edit) SetTime(name string, t time.Time) {
	n, p := e.at(name)
	switch {
	case n == nil:
	case t.Unix() < 0 || t.Unix() >= 1<<32: // what debugfs writes
		e.fail(syscall.EINVAL)
	default:
		e.say(p.volume, "sif %s mtime @%d", quote(p.inner), t.Unix())
	}
}

// PutXattr is [Edit.SetXattr] that follows no symbolic link.
func (e *Edit) PutXattr(name, attr string, value []byte) {
	if n, p := e.at(name); n != nil {
		e.xattr(p, attr, value)
	}
}

// RemoveXattr removes an extended attribute that a file has.
func (e *Edit) RemoveXattr(name, attr string) {
	n, p := e.at(name)
	switch {
	case n == nil:
	case !plain(attr):
		e.fail(syscall.EINVAL)
	default:
		e.say(p.volume, "ea_rm %s %s", quote(p.inner), attr)
	}
}

// Fifo makes a named pipe where nothing is.
func (e *Edit) Fifo(name string, o Owner) {
	p, old, err := e.place(name)
	if err == nil && old != nil {
		err = fs.ErrExist
	}
	if e.fail(err); e.err != nil {
		return
	}
	e.say(p.volume, "cd %s\nmknod %s p\ncd /", quote(path.Dir(p.inner)), quote(path.Base(p.inner)))
	e.takes(p.volume, 0)
	e.owner(p, 0o010000, o)
	e.label(p, nil, 0o010000)
}

// Link gives a file a second name, which nothing has, in the same file system, and
// commits that. Paths follow no symbolic link at their ends.
func (t *Tree) Link(ctx context.Context, name, second string) error {
	e := t.Edit()
	n, from := e.at(name)
	p, old, err := e.place(second)
	switch err = errors.Join(e.err, err); {
	case err != nil:
		return err
	case old != nil:
		return fs.ErrExist
	case n.IsDir():
		return fs.ErrPermission
	case p.volume != from.volume:
		return syscall.EXDEV
	}
	e.say(p.volume, "sif %s links_count %d", quote(from.inner), n.Links+1)
	if err := t.link(ctx, e, from, p); err != nil {
		back := t.Edit()
		back.say(from.volume, "sif %s links_count %d", quote(from.inner), n.Links)
		return errors.Join(err, back.Commit(ctx))
	}
	return nil
}

// link commits an edit and one more name of a file, for which the folder gets room if it
// has none: debugfs gives it that for new files alone.
func (t *Tree) link(ctx context.Context, e *Edit, from, to place) error {
	command := "ln " + quote(from.inner) + " " + quote(to.inner)
	e.say(to.volume, "%s", command)
	err := e.Commit(ctx)
	if err == nil || !strings.Contains(err.Error(), "No free space in the directory") {
		return err
	}
	again := t.Edit()
	again.say(to.volume, "expand_dir %s\n%s", quote(path.Dir(to.inner)), command)
	return again.Commit(ctx)
}

// Rename gives a file another name, in place of what has it, and commits that; a name
// goes only when the other is there. Within a file system; a folder only within its
// folder, for debugfs cannot change what it calls its parent: else syscall.EXDEV, upon
// which mv(1) copies.
func (t *Tree) Rename(ctx context.Context, name, to string) error {
	e := t.Edit()
	n, from := e.at(name)
	p, old, err := e.place(to)
	switch err = errors.Join(e.err, err); {
	case err != nil:
		return err
	case p == from || old != nil && old.Number == n.Number && old.Volume == n.Volume:
		return nil
	case n.inner == "/" || old != nil && old.inner == "/":
		return syscall.EBUSY
	case p.volume != from.volume, n.IsDir() && path.Dir(p.inner) != path.Dir(from.inner):
		return syscall.EXDEV
	}
	if old != nil {
		if err := e.giveWay(n, old); err != nil {
			return err
		}
	}
	if err := t.link(ctx, e, from, p); err != nil {
		return err
	}
	last := t.Edit()
	last.say(from.volume, "unlink %s", quote(from.inner))
	return last.Commit(ctx)
}

// giveWay removes what is in the way of a file that gets its name.
func (e *Edit) giveWay(n, old *Node) error {
	switch {
	case old.IsDir() && !n.IsDir():
		return syscall.EISDIR
	case !old.IsDir() && n.IsDir():
		return syscall.ENOTDIR
	case !old.IsDir():
		e.say(old.Volume, "rm %s", quote(old.inner))
		return nil
	}
	return e.rmdir(old)
}

// RemoveOne removes a file, or a folder in which nothing is, and not what it links to.
func (e *Edit) RemoveOne(name string) {
	n, p := e.at(name)
	switch {
	case n == nil:
	case n.inner == "/":
		e.fail(syscall.EBUSY)
	case n.IsDir():
		e.fail(e.rmdir(n))
	default:
		e.say(p.volume, "rm %s", quote(p.inner))
	}
}

func (e *Edit) rmdir(n *Node) error {
	list, err := n.Volume.fs.ReadDir(n.Inode)
	if err != nil {
		return err
	}
	for _, d := range list {
		if d.Name != "." && d.Name != ".." {
			return syscall.ENOTEMPTY
		}
	}
	e.say(n.Volume, "rmdir %s", quote(n.inner))
	return nil
}

// Changed tells whether something was changed since the disk was opened.
func (d *Disk) Changed() bool { return d.changed }

// plain tells whether the name of an extended attribute can be given to debugfs.
func plain(attr string) bool {
	return attr != "" && !strings.ContainsFunc(attr, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' })
}
