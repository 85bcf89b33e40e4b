package resize

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/lvm"
)

// name is what a person calls the piece.
func (p *piece) name() string {
	if p.v != nil && p.v.Logical != "" {
		return "logical volume " + p.v.Group + "/" + p.v.Logical
	}
	return fmt.Sprintf("partition %d", p.part.Number)
}

// fileOf is the file that the new content of a piece is made in.
func (j *job) fileOf(p *piece) string {
	return filepath.Join(j.dir, fmt.Sprintf("fs%d-%d", p.part.Number, p.part.Start))
}

// volumesIn are the logical volumes of a piece as pieces of their own, in the order in which
// they begin. What is not read here, such as one of several parts, keeps its size.
func (j *job) volumesIn(p *piece) (*lvm.Group, []*piece, error) {
	g, err := lvm.Open(j.d.Reader(), p.part.Start, p.part.Size)
	if err != nil {
		return nil, nil, err
	}
	places, _, err := g.Relay(nil)
	if err != nil {
		return nil, nil, err
	}
	var list []*piece
	for _, at := range places {
		q := &piece{part: disk.Partition{Number: p.part.Number, Start: at.From[0].Start, Size: at.To.Size}, size: at.To.Size, from: at.From, v: &guestfs.Volume{Logical: at.Name}}
		for _, v := range j.d.Volumes {
			if v.Logical == at.Name && v.Partition == p.part.Number {
				q.v = v
			}
		}
		if q.v.Content == "swap" && len(q.from) == 1 {
			q.swap = []span{{q.part.Start + swapHead, q.part.Start + q.part.Size}}
		}
		list = append(list, q)
	}
	return g, list, nil
}

// hasLogical tells whether a piece has logical volumes of which one can be changed.
func (j *job) hasLogical(p *piece) bool {
	if p.v.Content != "lvm" {
		return false
	}
	_, list, err := j.volumesIn(p)
	if err != nil {
		j.whyNot = err
	}
	for _, q := range list {
		if j.resizable(q) {
			return true
		}
	}
	return false
}

func (j *job) resizable(q *piece) bool { return q.v.FS() != nil || j.foreign(q) }

// shrinkLogical makes each logical volume small, and the physical volume that has them.
func (j *job) shrinkLogical(ctx context.Context, p *piece) error {
	g, list, err := j.volumesIn(p)
	if err != nil {
		return err
	}
	for _, q := range list {
		if !j.resizable(q) {
			continue
		}
		if err := j.shrinkPiece(ctx, q); err != nil {
			return err
		}
		if err := j.fillExtents(ctx, q, g.Extent()); err != nil {
			return err
		}
	}
	return j.relay(ctx, p, g, list, 0)
}

// fillExtents lets an ext file system that was made small have all of the extents that it
// needs a part of.
func (j *job) fillExtents(ctx context.Context, q *piece, extent int64) error {
	fs := q.v.FS()
	want := min(up(q.size, extent), q.part.Size)
	if fs == nil || want <= q.size {
		return nil
	}
	f, err := os.OpenFile(q.file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	q.size = want
	return resizeExt(ctx, j.run, f, fs.ExtFS, want/fs.BlockSize*fs.BlockSize)
}

// growLogical lets the logical volume with the system's root, or else the last that grows,
// have what is new.
func (j *job) growLogical(ctx context.Context, p *piece) error {
	g, list, err := j.volumesIn(p)
	if err != nil {
		return err
	}
	var last *piece
	free := (p.size - g.Data()) / g.Extent() * g.Extent()
	for _, q := range list {
		if j.resizable(q) && (last == nil || !j.isRoot(last)) {
			last = q
		}
		free -= q.size
	}
	if last == nil || free < 0 {
		return refuse("partition %d has no logical volume that could have more", p.part.Number)
	}
	last.size += free
	if err := j.growPiece(ctx, last); err != nil {
		return err
	}
	return j.relay(ctx, p, g, list, p.size)
}

// isRoot tells whether a piece is what the guest has as its root.
func (j *job) isRoot(q *piece) bool {
	t, err := j.d.Tree()
	return err == nil && t.Root == q.v
}

// relay lays the logical volumes of a piece out anew, in a file of its own. It has size
// bytes, or what they need.
func (j *job) relay(ctx context.Context, p *piece, g *lvm.Group, list []*piece, size int64) error {
	sizes := map[string]int64{}
	for _, q := range list {
		sizes[q.v.Logical] = q.size
	}
	places, need, err := g.Relay(sizes)
	if err != nil {
		return err
	}
	if p.size = max(need, size); p.size > max(p.part.Size, size) {
		return refuse("partition %d: its logical volumes need %d bytes", p.part.Number, need)
	}
	p.file, p.logical, p.used = j.fileOf(p)+"-lvm", list, g.Data()
	out, err := os.OpenFile(p.file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := out.Truncate(p.size); err != nil {
		return err
	}
	if err := copyData(ctx, out, 0, j.d.Reader(), p.part.Start, g.Data(), nil); err != nil {
		return err
	}
	for i, q := range list {
		q.to = places[i].To.Start
		if err := j.place(ctx, out, q, j.upTo(p.name()+": put together", p.size)); err != nil {
			return err
		}
		q.size = places[i].To.Size
		if p.used += q.used; q.used == 0 {
			p.used += q.size
		}
	}
	if err := g.Write(out, places, p.size); err != nil {
		return err
	}
	return out.Close()
}
