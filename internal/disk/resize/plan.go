package resize

import (
	"context"
	"os"
	"slices"
	"strings"
	"syscall"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/lvm"
)

const (
	// align is on what a partition begins that was moved: whole MiB, as all tools do now.
	align = 1 << 20
	// grain is on what a disk ends.
	grain = 64 << 10
	// swapHead is what is kept of swap: the page with its header, whatever the page size.
	swapHead = 64 << 10
)

// piece is a partition, an extended one with all that is in it, or the whole disk.
type piece struct {
	part disk.Partition
	v    *guestfs.Volume // nil of an extended one
	to   int64           // where it will begin
	size int64           // what it will have
	used int64           // of a file system that was changed; 0 if not known
	file string          // its new content; "": it is copied
	from []lvm.Span      // of a logical volume: its pieces in the old disk
	swap []span          // what of it is not copied

	logical []*piece // the logical volumes that were laid out anew in file; their to is from its begin
}

// span is from, to in bytes of the old disk.
type span struct{ from, to int64 }

func (p *piece) content() string {
	if p.v == nil {
		return "extended"
	}
	return p.v.Content
}

// end is where it will end.
func (p *piece) end() int64 { return p.to + p.size }

// scan finds the pieces of the disk.
func (j *job) scan() (err error) {
	if j.d.Broken != nil {
		return j.d.Broken
	}
	if len(j.d.Volumes) > 0 && j.d.Volumes[0].Partition == 0 { // with LVM on the whole disk there are more
		v := j.d.Volumes[0]
		j.pieces = []*piece{{part: disk.Partition{Size: j.d.Size}, v: v, size: j.d.Size}}
		return nil
	}
	if j.table, err = disk.ReadTable(j.d.Reader(), j.d.Size); err != nil {
		return err
	}
	if j.table == nil {
		return refuse("the image has neither a partition table nor a file system that is known here")
	}
	for _, part := range j.table.Partitions {
		p := &piece{part: part, to: part.Start, size: part.Size}
		for _, v := range j.d.Volumes {
			if v.Partition == part.Number && v.Start == part.Start && v.Logical == "" && !extended(j.table, part) {
				p.v = v
			}
			if v.Content == "swap" && v.Start >= part.Start && v.Start+v.Size <= part.Start+part.Size {
				p.swap = append(p.swap, span{v.Start + swapHead, v.Start + v.Size})
			}
		}
		j.pieces = append(j.pieces, p)
	}
	return nil
}

func extended(t *disk.Table, p disk.Partition) bool {
	return t.Scheme == disk.SchemeMBR && (p.Type == "05" || p.Type == "0f" || p.Type == "85")
}

// Types of GPT partitions that boot code finds by their place: BIOS boot, PReP.
var placed = []string{"21686148-6449-6E6F-744E-656564454649", "9E1A2D38-C612-4316-AA26-8B49521E5A8B"}

// stays tells whether a partition must lie where it does. NTFS and FAT write their
// place on the disk into their boot sectors.
func (p *piece) stays() bool {
	return slices.Contains(placed, p.part.Type) || p.part.Type == "41" ||
		p.v != nil && (p.v.Content == "ntfs" || p.v.Content == "vfat" || p.v.Content == "exfat")
}

// movable gives the pieces that nothing behind holds in their place.
func (j *job) movable() []*piece {
	for i := len(j.pieces) - 1; i >= 0; i-- {
		if j.pieces[i].stays() {
			return j.pieces[i+1:]
		}
	}
	return j.pieces
}

// exts are the pieces with a file system that can be changed, of those whose size may.
func (j *job) exts() (list []*piece) {
	for _, p := range j.movable() {
		if p.v != nil && (p.v.FS() != nil || j.foreign(p) || j.hasLogical(p)) {
			list = append(list, p)
		}
	}
	return list
}

// none says why nothing can be done.
func (j *job) none() error {
	var have []string
	for _, v := range j.d.Volumes {
		if v.FS() != nil && v.Logical == "" {
			return refuse("the ext file systems of this disk lie before a partition that boot code finds by its place, or within an extended one; those stay as they are")
		}
		name := v.Content
		if name == "" {
			name = "nothing known"
		}
		have = append(have, name)
	}
	for _, name := range []string{"xfs", "btrfs", "f2fs", "lvm", "luks"} {
		if slices.Contains(have, name) {
			if mounted[name] {
				return refuse("%s is resized by the appliance alone, which is not used here", name)
			}
			if name == "lvm" && j.whyNot != nil {
				return refuse("what LVM has here is not resized: %v", j.whyNot)
			}
			return refuse("%s cannot be resized here; copy its files to an ext4 file system first, or do it within the guest", name)
		}
	}
	return refuse("the disk has no ext2, ext3, ext4, XFS, btrfs or f2fs file system; it has: %s", strings.Join(have, ", "))
}

// settle gives each piece its place: those before the first change stay.
func (j *job) settle() {
	changed := false
	for i, p := range j.pieces {
		if p.to = p.part.Start; changed {
			p.to = up(j.pieces[i-1].end(), align)
		}
		changed = changed || p.size != p.part.Size
	}
}

func up(n, by int64) int64 { return (n + by - 1) / by * by }

// assemble writes the disk to the new file path.
func (j *job) assemble(ctx context.Context, path string) error {
	if j.table == nil && j.pieces[0].file != "" {
		return os.Rename(j.pieces[0].file, path)
	}
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := out.Truncate(j.size); err != nil {
		return err
	}
	if err := copyData(ctx, out, 0, j.d.Reader(), 0, j.pieces[0].part.Start, nil); err != nil { // boot code, the table
		return err
	}
	places := make([]disk.Partition, len(j.pieces))
	for i, p := range j.pieces {
		if err := j.place(ctx, out, p, j.upTo("put the disk together", j.size)); err != nil {
			return err
		}
		places[i] = p.part
		places[i].Start, places[i].Size = p.to, p.size
	}
	if err := j.table.Relayout(out, j.size, places); err != nil {
		return err
	}
	return out.Close()
}

// place writes one piece.
func (j *job) place(ctx context.Context, out *os.File, p *piece, tell func(at int64)) error {
	if p.file != "" {
		in, err := os.Open(p.file)
		if err != nil {
			return err
		}
		defer in.Close()
		st, err := in.Stat()
		if err != nil {
			return err
		}
		if err := copyData(ctx, out, p.to, in, 0, min(st.Size(), p.size), tell); err != nil {
			return err
		}
		return os.Remove(p.file)
	}
	if len(p.from) > 1 {
		at := p.to
		for _, s := range p.from {
			if err := copyData(ctx, out, at, j.d.Reader(), s.Start, s.Size, tell); err != nil {
				return err
			}
			at += s.Size
		}
		return nil
	}
	from := p.part.Start
	for _, s := range append(p.swap, span{p.part.Start + p.part.Size, 0}) {
		if s.from > from {
			if err := copyData(ctx, out, p.to+from-p.part.Start, j.d.Reader(), from, s.from-from, tell); err != nil {
				return err
			}
		}
		from = max(from, s.to)
	}
	return nil
}

// blocks is what a file takes on the host.
func blocks(st os.FileInfo) int64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return 0
}

// keepOwner gives a file the owner of another, where that is allowed.
func keepOwner(path string, st os.FileInfo) error {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	return os.Chown(path, int(s.Uid), int(s.Gid))
}
