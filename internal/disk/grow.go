package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Grown says what [Runner.GrowRoot] found and did.
type Grown struct {
	Size      int64   // of the disk now
	Content   Content // Ext when the root file system is one that can be grown here
	Partition int     // number of the partition that holds it; 0: the whole disk
	FSSize    int64   // of the file system now; 0 when it is not known
	Grown     bool    // the file system was grown
	Note      string  // why not, for people; "" when all is done
}

// GrowRoot gives the disk of chain (the layer to change first, its backing
// files after it) the size of size bytes, and lets its last partition and the
// ext file system in it, or the file system that is the whole disk, fill it.
// Other file systems and partition tables are left as they are, with a Note: the
// guest's own growpart does those at boot. A size smaller than the disk is refused.
// It may be repeated after it was cut off at any point.
func (r *Runner) GrowRoot(ctx context.Context, chain []Layer, size int64) (Grown, error) {
	if len(chain) == 0 || size <= 0 || size%sectorSize != 0 {
		return Grown{}, fail(Unsupported, "grow disk", "the size %d is not a whole number of sectors of %d bytes", size, sectorSize)
	}
	now, err := sizeOf(chain[0])
	if err != nil {
		return Grown{}, err
	}
	if size < now {
		return Grown{}, fail(TooBig, "grow disk", "the image needs a disk of %d bytes, the flavor gives %d; choose a larger flavor", now, size)
	}
	a, err := r.Attach(ctx, chain)
	if err != nil {
		return Grown{}, err
	}
	g, err := r.growAttached(ctx, a.Path, size)
	if cerr := a.Close(); err == nil {
		err = cerr
	}
	return g, err
}

// sizeOf is the size a guest sees. The header of an overlay of our own names
// its backing file, so only the size is read.
func sizeOf(l Layer) (int64, error) {
	f, err := os.Open(l.Path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if l.Format == Raw {
		st, err := f.Stat()
		if err != nil {
			return 0, err
		}
		return st.Size(), nil
	}
	head := make([]byte, 512)
	if _, err := f.ReadAt(head, 0); err != nil {
		return 0, err
	}
	if info := Sniff(head); info.Format == l.Format && info.VirtualSize > 0 {
		return info.VirtualSize, nil
	}
	return 0, fail(Refused, "read disk size", "%s is not of format %s", filepath.Base(l.Path), l.Format)
}

func (r *Runner) growAttached(ctx context.Context, path string, size int64) (Grown, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return Grown{}, err
	}
	defer f.Close()
	g := Grown{Size: size}
	root, err := findRoot(f, size)
	if k := KindOf(err); k == Refused || k == Unsupported {
		g.Note = err.Error() + "; the guest may grow it at boot"
		return g, f.Truncate(size)
	}
	if err != nil {
		return g, err
	}
	if root == nil {
		g.Note = "no ext file system ends this disk; the guest may grow it at boot"
		return g, f.Truncate(size)
	}
	g.Content, g.Partition, g.FSSize = Ext, root.partition, root.fs.Size
	st, err := f.Stat()
	if err != nil {
		return g, err
	}
	if g.FSSize, g.Grown, err = r.growTo(ctx, f, root); err != nil {
		return g, errors.Join(err, untouched(f, root.fs, st.Size()))
	}
	if err := f.Truncate(size); err != nil {
		return g, err
	}
	if root.partition > 0 {
		if _, err := GrowLast(f, size); err != nil {
			return g, err
		}
	}
	return g, f.Sync()
}

// untouched gives a disk its size back whose file system could not grow, and did not.
func untouched(f *os.File, was *ExtFS, size int64) error {
	if now, err := ReadExt(f, was.Offset, size-was.Offset); err != nil || now == nil || now.Size != was.Size {
		return nil
	}
	return f.Truncate(size)
}

// growTo lets the file system of root have all its room. resize2fs cuts a file
// that is longer than the new file system and forgets the offset in that sum,
// so the file is given just that length meanwhile. The partition follows last: a
// repeated call finds either the old file system or one that is done.
func (r *Runner) growTo(ctx context.Context, f *os.File, root *rootFS) (int64, bool, error) {
	room := root.room / root.fs.BlockSize * root.fs.BlockSize
	if room-root.fs.Size < 1<<20 || room < root.fs.Offset+root.fs.Size {
		return root.fs.Size, false, nil
	}
	if err := f.Truncate(room); err != nil {
		return root.fs.Size, false, err
	}
	if err := f.Sync(); err != nil {
		return root.fs.Size, false, err
	}
	size, err := r.growExt(ctx, f, root.fs, room)
	return size, err == nil, err
}

// rootFS is an ext file system, where it lies and what room it can have.
type rootFS struct {
	fs        *ExtFS
	partition int
	room      int64
}

// findRoot looks for an ext file system on the bare disk, or in the last
// partition, on a disk that is to have size bytes. It returns nil when there is none.
func findRoot(f *os.File, size int64) (*rootFS, error) {
	fs, err := ReadExt(f, 0, size)
	if err != nil {
		return nil, err
	}
	if fs != nil {
		return &rootFS{fs: fs, room: size}, nil
	}
	t, err := ReadTable(f, size)
	last := t.Last()
	if last == nil || err != nil {
		return nil, err
	}
	room := max(t.end(size)-last.Start, last.Size)
	fs, err = ReadExt(f, last.Start, room)
	if fs == nil || err != nil {
		return nil, err
	}
	return &rootFS{fs: fs, partition: last.Number, room: room}, nil
}

// growExt checks and grows the file system to avail bytes, and says what it has
// then. resize2fs refuses a file system that was not checked.
func (r *Runner) growExt(ctx context.Context, f *os.File, fs *ExtFS, avail int64) (int64, error) {
	if err := r.CheckExt(ctx, f, fs); err != nil {
		return fs.Size, err
	}
	if err := r.ReleaseGroupTable(ctx, f, fs, avail); err != nil {
		return fs.Size, err
	}
	_, err := r.Run(ctx, Command{Name: "resize2fs", Args: []string{inDisk(fs), fmt.Sprintf("%dK", avail/1024)}, Disk: f})
	if err != nil {
		return fs.Size, err
	}
	now, err := ReadExt(f, fs.Offset, avail)
	if err != nil || now == nil {
		return fs.Size, fail(ToolFailed, "resize2fs", "the file system cannot be read any more: %v", err)
	}
	return now.Size, nil
}

// ReleaseGroupTable lets an ext file system give up the room that is reserved for its table
// of block groups, if size bytes need more: resize2fs 1.47.0 frees the last of it while the
// inode that owns it is still there, and leaves a file system that is beyond repair. Linux
// grows one without it all the same.
func (r *Runner) ReleaseGroupTable(ctx context.Context, f *os.File, fs *ExtFS, size int64) error {
	if fs.GrowsTo == 0 || size <= fs.GrowsTo {
		return nil
	}
	if _, err := r.Run(ctx, Command{Name: "debugfs", Args: []string{"-w", "-R", "feature -resize_inode", inDisk(fs)}, Disk: f}); err != nil {
		return err
	}
	return r.CheckExt(ctx, f, fs)
}

// CheckExt has e2fsck replay the journal of an ext file system of the open disk f and
// mend what is broken; 1 and 2 mean that it mended something.
func (r *Runner) CheckExt(ctx context.Context, f *os.File, fs *ExtFS) error {
	if fs.Offset > 0 && fs.NeedsRecovery {
		return r.checkApart(ctx, f, fs)
	}
	_, err := r.Run(ctx, Command{Name: "e2fsck", Args: []string{"-f", "-y", inDisk(fs)}, Disk: f, OK: []int{1, 2}})
	return err
}

// CheckExtIn is CheckExt for a file system in a partition of the disk of chain, by way of
// the partition alone: nothing is copied.
func (r *Runner) CheckExtIn(ctx context.Context, chain []Layer, fs *ExtFS) (err error) {
	a, err := r.AttachPart(ctx, chain, fs.Offset, fs.Size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	f, err := os.OpenFile(a.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	alone := *fs
	alone.Offset = 0
	return r.CheckExt(ctx, f, &alone)
}

// inDisk names a file system inside the disk of a Command as e2fsprogs want it.
func inDisk(fs *ExtFS) string {
	if fs.Offset == 0 {
		return DiskPath
	}
	return DiskPath + "?offset=" + strconv.FormatInt(fs.Offset, 10)
}
