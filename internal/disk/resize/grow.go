package resize

import (
	"context"
	"os"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
	"hearth/internal/disk/guestfs"
)

// Grow gives the disk of an image opt.Size bytes, and what is new to its last ext file
// system: in place, if that ends the disk, else as [Shrink] does, with swap and the like
// behind it moved to the new end. A disk without one becomes larger too, if it is
// changed in place; the note says that its guest has the rest to do.
func Grow(ctx context.Context, run *disk.Runner, opt Options) (r *Result, note string, err error) {
	if opt.Size <= 0 || opt.Size%512 != 0 {
		return nil, "", refuse("the size %d is not a whole number of sectors of 512 bytes", opt.Size)
	}
	if opt.Target == "" {
		r, note, err = inPlace(ctx, run, opt)
		if r != nil || err != nil {
			return r, note, err
		}
	}
	r, err = work(ctx, run, opt, (*job).grow)
	return r, "", err
}

// inPlace grows an image that needs nothing moved. A nil Result without an error says
// that it is not one, or that this user cannot work on it in place.
func inPlace(ctx context.Context, run *disk.Runner, opt Options) (*Result, string, error) {
	layer, held, err := guestfs.HoldToChange(opt.Source)
	if err != nil {
		return nil, "", err
	}
	defer held.Close()
	d, err := guestfs.Open(ctx, bare(run), []disk.Layer{layer}, guestfs.ReadOnly)
	if err != nil {
		return nil, "", err
	}
	defer d.Close()
	if last := lastVolume(d); d.Broken == nil && last != nil && last.FS() == nil && (hasExt(d) || hasForeign(d, run) || hasLogical(d)) {
		return nil, "", nil
	}
	was := d.Size
	if opt.Size < was {
		return nil, "", refuse("the disk has %d bytes already; 'hearth image shrink' makes it smaller", was)
	}
	g, err := run.GrowRoot(ctx, []disk.Layer{layer}, opt.Size)
	if disk.KindOf(err) == disk.Unsupported && layer.Format == disk.QCOW2 && hasExt(d) {
		return nil, "", nil // no FUSE for this user
	}
	if err != nil {
		return nil, "", err
	}
	r := &Result{File: layer.Path, Format: layer.Format, Was: was, Size: g.Size, Volumes: []Volume{}}
	if g.Content == disk.Ext {
		r.Volumes = append(r.Volumes, Volume{Partition: g.Partition, Content: string(g.Content), Size: g.FSSize})
	}
	if st, err := os.Stat(layer.Path); err == nil {
		r.Stored = blocks(st)
	}
	return r, g.Note, nil
}

func lastVolume(d *guestfs.Disk) (last *guestfs.Volume) {
	for _, v := range d.Volumes {
		if v.Logical == "" && (last == nil || v.Start > last.Start) {
			last = v
		}
	}
	return last
}

// hasForeign tells whether there is a file system that the appliance grows.
func hasForeign(d *guestfs.Disk, run *disk.Runner) bool {
	for _, v := range d.Volumes {
		if mounted[v.Content] && run.FileSystems != nil {
			return true
		}
	}
	return false
}

func hasExt(d *guestfs.Disk) bool {
	for _, v := range d.Volumes {
		if v.FS() != nil && v.Logical == "" {
			return true
		}
	}
	return false
}

// hasLogical tells whether LVM has a file system that is read here.
func hasLogical(d *guestfs.Disk) bool {
	for _, v := range d.Volumes {
		if v.Logical != "" && (v.FS() != nil || mounted[v.Content]) {
			return true
		}
	}
	return false
}

// grow gives the last file system that grows all the room there is.
func (j *job) grow(ctx context.Context) error {
	if j.Size < j.d.Size {
		return refuse("the disk has %d bytes already; 'hearth image shrink' makes it smaller", j.d.Size)
	}
	list := j.exts()
	if len(list) == 0 {
		return j.none()
	}
	p := list[len(list)-1]
	j.size, p.size = j.Size, j.Size/grainOf(p)*grainOf(p)
	if j.table != nil {
		j.toEnd(p)
	}
	if p.size < p.part.Size {
		return refuse("a disk of %d bytes has no more room for partition %d; ask for some MiB more", j.Size, p.part.Number)
	}
	return j.growPiece(ctx, p)
}

// growPiece lets what a piece has be of p.size bytes.
func (j *job) growPiece(ctx context.Context, p *piece) error {
	j.tell("%s: check %s and grow it", p.name(), p.content())
	if p.v.Content == "lvm" {
		return j.growLogical(ctx, p)
	}
	if err := j.takeOut(ctx, p); err != nil {
		return err
	}
	if j.foreign(p) {
		return j.growForeign(ctx, p)
	}
	f, err := os.OpenFile(p.file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	fs, err := disk.ReadExt(f, 0, p.v.FS().Size)
	if err != nil || fs == nil {
		return refuse("the file system cannot be read any more: %v", err)
	}
	if err := j.run.CheckExt(ctx, f, fs); err != nil {
		return err
	}
	if err := resizeExt(ctx, j.run, f, fs, p.size/fs.BlockSize*fs.BlockSize); err != nil {
		return err
	}
	now, err := ext4.Open(f, 0, p.size)
	if err != nil || now == nil {
		return refuse("the file system cannot be read any more: %v", err)
	}
	p.used = now.Used()
	return f.Truncate(p.size)
}

func grainOf(p *piece) int64 {
	if fs := p.v.FS(); fs != nil {
		return fs.BlockSize
	}
	return 64 << 10 // no file system here has larger blocks
}

// toEnd moves what lies behind p to the end of the disk, and lets p reach to it.
func (j *job) toEnd(p *piece) {
	end := j.table.End(j.size)
	for i := len(j.pieces) - 1; j.pieces[i] != p; i-- {
		q := j.pieces[i]
		q.to = (end - q.size) / align * align
		end = q.to
	}
	p.size = end - p.to
}
