package tree

import (
	"context"
	"io"
	"path"

	"hearth/internal/disk/ext4"
	"hearth/internal/disk/guestfs"
)

// guest is the tree of a guest's disk.
type guest struct{ t *guestfs.Tree }

// FromDisk is the tree that a guest sees: its root with what its /etc/fstab mounts
// of the disk, in the order of the names. The folder lost+found of each file
// system is left out while it is empty: each file system makes its own.
func FromDisk(t *guestfs.Tree) Source { return &guest{t} }

type inodeOf struct {
	v      *guestfs.Volume
	number uint32
}

// Walk implements [Source].
func (g *guest) Walk(ctx context.Context, visit Visit) error {
	first := map[inodeOf]string{}
	return g.t.Walk("/", func(n *guestfs.Node) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if g.spare(n) {
			return nil
		}
		e := &Entry{Path: n.Path, Mode: n.Mode, UID: int(n.UID), GID: int(n.GID), MTime: n.MTime, Major: n.Major, Minor: n.Minor}
		if n.Links > 1 && !n.IsDir() {
			at := inodeOf{n.Volume, n.Number}
			if e.Same = first[at]; e.Same == "" {
				first[at] = n.Path
			}
		}
		content, err := g.fill(n, e)
		if err != nil {
			return err
		}
		return visit(e, content)
	})
}

// fill reads what is beside the inode.
func (g *guest) fill(n *guestfs.Node, e *Entry) (io.Reader, error) {
	var err error
	if e.Xattrs, err = g.t.Xattrs(n); err != nil {
		return nil, err
	}
	if len(e.Xattrs) == 0 {
		e.Xattrs = nil
	}
	switch {
	case n.IsLink():
		e.Link, err = g.t.Readlink(n)
		return nil, err
	case !n.IsRegular():
		return nil, nil
	}
	e.Size = n.Size
	if e.Same != "" {
		return nil, nil
	}
	data, err := g.t.Data(n)
	if err != nil {
		return nil, err
	}
	e.Stored = []Stretch{}
	for _, s := range data.Stretches() {
		e.Stored = append(e.Stored, Stretch(s))
	}
	return data.Reader(), nil
}

// spare tells whether it is the empty lost+found of a file system.
func (g *guest) spare(n *guestfs.Node) bool {
	if path.Base(n.Path) != "lost+found" || !n.IsDir() || g.t.Mounts[path.Dir(n.Path)] == nil {
		return false
	}
	list, err := g.t.ReadDir(n.Path)
	return err == nil && len(list) == 0 && n.Number != ext4.Root
}
