package resize

import (
	"context"
	"math"
	"os"
	"strconv"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
)

// room is what a file system keeps free, in parts of what is used: a guest that boots
// before it is grown wants to write host keys and logs. Of that ext4 of Linux gives 2 %
// of its size (16 MiB at most) to nobody, root included (ext4_set_resv_clusters).
const room = 33 // 3 %

// shrink makes all ext file systems small.
func (j *job) shrink(ctx context.Context) error {
	list := j.exts()
	if len(list) == 0 {
		return j.none()
	}
	for _, p := range list {
		if err := j.shrinkPiece(ctx, p); err != nil {
			return err
		}
	}
	j.settle()
	last := j.pieces[len(j.pieces)-1]
	if j.size = last.end(); j.table != nil {
		j.size = up(j.table.Room(last.end()), grain)
	}
	if j.size > j.d.Size {
		j.size = j.d.Size
	}
	return nil
}

func (j *job) shrinkPiece(ctx context.Context, p *piece) error {
	j.tell("%s: check %s and make it small", p.name(), p.content())
	switch {
	case j.foreign(p):
		return j.shrinkForeign(ctx, p)
	case p.v.Content == "lvm":
		return j.shrinkLogical(ctx, p)
	}
	if err := j.takeOut(ctx, p); err != nil {
		return err
	}
	return j.minimise(ctx, p)
}

// takeOut copies the file system of a piece to a file of its own.
func (j *job) takeOut(ctx context.Context, p *piece) error {
	p.file = j.fileOf(p)
	f, err := os.OpenFile(p.file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	size := p.part.Size
	if fs := p.v.FS(); fs != nil {
		size = fs.Size
	}
	if err := copyData(ctx, f, 0, j.d.Reader(), p.part.Start, size, j.upTo(p.name()+": copy", size)); err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Close()
}

// minimise shrinks the file system that was taken out, and keeps it as it is if that
// would save nothing.
func (j *job) minimise(ctx context.Context, p *piece) error {
	before, err := j.loaderAt(ctx, p)
	if err != nil {
		return err
	}
	size, err := j.run.ShrinkExt(ctx, p.file)
	if err != nil {
		return err
	}
	if size, p.used, err = leaveRoom(ctx, j.run, p.file, size, p.part.Size); err != nil {
		return err
	}
	after, err := j.loaderAt(ctx, p)
	if err != nil {
		return err
	}
	if before != after {
		return refuse("%s is booted by extlinux, which finds ldlinux.sys by its place, and that would move; make it boot by GRUB first", p.name())
	}
	p.size = up(size, 4096)
	if p.size > p.part.Size {
		p.size = p.part.Size
	}
	return nil
}

// Ext makes the ext file system that is the whole of a raw file small, but for what a
// guest writes before it is grown: one without any free block gives its guest no state
// folder, and cloud-init in it ends before it could grow its root or set up a network.
// It gives the size in bytes, which the file has too.
func Ext(ctx context.Context, run *disk.Runner, path string) (int64, error) {
	size, err := run.ShrinkExt(ctx, path)
	if err != nil {
		return 0, err
	}
	size, _, err = leaveRoom(ctx, run, path, size, math.MaxInt64)
	return size, err
}

// leaveRoom lets the smallest file system have a little free, up to most bytes in all,
// checks it, and makes holes of what nobody uses.
func leaveRoom(ctx context.Context, run *disk.Runner, path string, size, most int64) (now, used int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	fs, err := ext4.Open(f, 0, size)
	if err != nil || fs == nil {
		return 0, 0, refuse("the file system cannot be read any more: %v", err)
	}
	want := up(fs.Used()+fs.Used()/room, fs.BlockSize)
	if want = min(want, most/fs.BlockSize*fs.BlockSize); want > size {
		if err := resizeExt(ctx, run, f, fs.ExtFS, want); err != nil {
			return 0, 0, err
		}
	}
	if _, err := run.Run(ctx, disk.Command{Name: "e2fsck", Args: []string{"-f", "-y", "-E", "discard", disk.DiskPath}, Disk: f, OK: []int{1}}); err != nil {
		return 0, 0, err
	}
	if fs, err = ext4.Open(f, 0, max(want, size)); err != nil || fs == nil {
		return 0, 0, refuse("the file system cannot be read any more: %v", err)
	}
	return fs.Size, fs.Used(), nil
}

// resizeExt gives the file system that is the whole of f so many bytes, and f too.
func resizeExt(ctx context.Context, run *disk.Runner, f *os.File, fs *disk.ExtFS, size int64) error {
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := run.ReleaseGroupTable(ctx, f, fs, size); err != nil {
		return err
	}
	_, err := run.Run(ctx, disk.Command{Name: "resize2fs", Args: []string{disk.DiskPath, strconv.FormatInt(size/fs.BlockSize, 10)}, Disk: f})
	return err
}

// loaders are files that boot code finds by their place in the partition.
var loaders = []string{"/boot/ldlinux.sys", "/boot/extlinux/ldlinux.sys", "/boot/syslinux/ldlinux.sys", "/extlinux/ldlinux.sys", "/syslinux/ldlinux.sys", "/ldlinux.sys"}

// loaderAt tells where such files lie; "" without one, or if the partition does not
// begin with extlinux.
func (j *job) loaderAt(ctx context.Context, p *piece) (string, error) {
	f, err := os.Open(p.file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 512)
	if _, err := f.ReadAt(head, 0); err != nil {
		return "", err
	}
	if s := string(head[3:11]); s != "EXTLINUX" && s != "SYSLINUX" {
		return "", nil
	}
	var all strings.Builder
	for _, name := range loaders {
		out, err := j.run.Run(ctx, disk.Command{Name: "debugfs", Args: []string{"-R", "blocks " + name, p.file}, Read: []string{p.file}})
		if err != nil {
			return "", err
		}
		all.WriteString(name + " " + strings.TrimSpace(out.Stdout) + "\n")
	}
	return all.String(), nil
}
