package bake

import (
	"archive/tar"
	"context"
	"fmt"
	"io"

	"hearth/internal/bake/layer"
	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	tarfile "hearth/internal/disk/tarball"
)

// imageBase makes the layer of the system in a disk. The disk is only read.
func (k *kitchen) imageBase(ctx context.Context, file string, l layer.Layer) (*layer.Layer, error) {
	at, _, err := guestfs.Image(file)
	if err != nil {
		return nil, err
	}
	d, err := guestfs.Open(ctx, &k.run, []disk.Layer{at}, guestfs.ReadOnly)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	t, err := d.Tree()
	if err != nil {
		return nil, err
	}
	done := k.steps.begin("read the system in the image", 0)
	made, err := k.put(l, func(w *tar.Writer) error {
		c := &treeCopy{t: t, w: w, seen: map[string]string{}}
		return t.Walk("/", c.file)
	})
	return made, done.end(err)
}

// treeCopy writes the files of a disk into a layer.
type treeCopy struct {
	t    *guestfs.Tree
	w    *tar.Writer
	seen map[string]string // files with more than one name, by volume and inode
}

func (c *treeCopy) file(n *guestfs.Node) error {
	name := layer.Clean(n.Path)
	if name == "" || dropped("/"+name) || name == "lost+found" {
		return nil
	}
	h := &tar.Header{Name: name, Mode: int64(n.Mode & 0o7777), Uid: int(n.UID), Gid: int(n.GID), ModTime: n.MTime}
	attributes, err := c.t.Xattrs(n)
	if err != nil {
		return err
	}
	if h.PAXRecords, err = tarfile.Records(attributes); err != nil {
		return err
	}
	switch {
	case n.IsDir():
		h.Typeflag = tar.TypeDir
	case n.IsLink():
		target, err := c.t.Readlink(n)
		if err != nil {
			return err
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, target
	case n.IsRegular():
		return c.regular(n, h)
	default: // devices, pipes
		return nil
	}
	return c.w.WriteHeader(h)
}

func (c *treeCopy) regular(n *guestfs.Node, h *tar.Header) error {
	if n.Links > 1 {
		id := fmt.Sprintf("%p %d", n.Volume, n.Number)
		if first, ok := c.seen[id]; ok {
			h.Typeflag, h.Linkname = tar.TypeLink, first
			return c.w.WriteHeader(h)
		}
		c.seen[id] = h.Name
	}
	data, err := c.t.Data(n)
	if err != nil {
		return err
	}
	h.Typeflag, h.Size = tar.TypeReg, data.Size()
	if err := c.w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(c.w, data.Reader())
	return err
}
