// Package resize makes the disk in an image smaller or larger, with its partition
// table, its logical volumes and its ext2, ext3 and ext4 file systems, as any user and
// without mounts.
//
// The image is only read: its file systems are taken out, checked and changed on
// their own, and put together anew with what else the disk has. What is made gets
// its name when it is whole. Partitions behind one that changes its size move, a
// swap partition or an extended one with such among them; its swap is empty then.
//
// XFS, btrfs and f2fs are changed by [disk.Runner].FileSystems. Logical volumes are laid out
// anew by package lvm where they are linear and on this disk alone.
package resize

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/workdir"
)

// Options says what is made.
type Options struct {
	Source   string
	Target   string       // the file to be made, which must not exist; "": Source is replaced
	Format   disk.Format  // of Target, see [disk.Target]; "": that of Source
	Compress string       // of a qcow2: "zstd" or "zlib"; "": as Source is, if it is a qcow2
	Size     int64        // of the disk, bytes; [Grow] only
	Tell     func(string) // is given each long step as it begins; may be nil
	// Progress is told how many bytes of a step are done, of total; may be nil. Copies are
	// counted, and what is written in another format; the work of e2fsck and resize2fs is not.
	Progress func(step string, done, total int64)
}

// Result is what was made.
type Result struct {
	File    string      `json:"file"`
	Format  disk.Format `json:"format"`
	Was     int64       `json:"was"`    // bytes of the disk before
	Size    int64       `json:"size"`   // bytes of the disk now
	Used    int64       `json:"used"`   // of Size, what cannot be had back: used blocks of file systems, and all else
	Stored  int64       `json:"stored"` // bytes that the file takes
	Volumes []Volume    `json:"volumes"`
}

// Volume is a partition, or the whole disk.
type Volume struct {
	Partition int    `json:"partition"`         // 0: the whole disk
	Logical   string `json:"logical,omitempty"` // GROUP/NAME of a logical volume in it
	Content   string `json:"content"`
	Was       int64  `json:"was"`
	Size      int64  `json:"size"`
	Used      int64  `json:"used"` // 0 if it is not known
	Moved     bool   `json:"moved"`
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "resize image", Reason: fmt.Sprintf(format, args...)}
}

// bare is a runner that reads no files: what is resized is not looked into.
func bare(run *disk.Runner) *disk.Runner {
	b := *run
	b.FileSystems = nil
	return &b
}

// Shrink makes the disk of an image as small as its contents allow: at most 5 % more
// than what is used. All ext file systems become smaller but those before a partition
// that must stay where it is. Unsupported, with what to do, if there is none.
func Shrink(ctx context.Context, run *disk.Runner, opt Options) (*Result, error) {
	return work(ctx, run, opt, (*job).shrink)
}

// job is one run.
type job struct {
	Options
	run    *disk.Runner
	dir    string // for files in between
	d      *guestfs.Disk
	layer  disk.Layer
	table  *disk.Table // nil: none
	pieces []*piece
	size   int64 // of the disk that is made
	whyNot error // a volume group stays as it is; nil if none does

	snapshots int // in the image
}

func (j *job) tell(format string, args ...any) {
	if j.Tell != nil {
		j.Tell(fmt.Sprintf(format, args...))
	}
}

// upTo tells how far a step of so many bytes is.
func (j *job) upTo(step string, total int64) func(done int64) {
	if j.Progress == nil {
		return nil
	}
	return func(done int64) { j.Progress(step, done, total) }
}

// work opens the image, has change prepare the pieces, and puts them together.
func work(ctx context.Context, run *disk.Runner, opt Options, change func(*job, context.Context) error) (*Result, error) {
	source, err := filepath.EvalSymlinks(opt.Source)
	if err != nil {
		return nil, err
	}
	layer, info, err := guestfs.Image(source)
	if err != nil {
		return nil, err
	}
	if what := info.NoDisk(); what != "" {
		return nil, refuse("%s is no disk: %s", opt.Source, what)
	}
	if err := guestfs.Whole(layer, info); err != nil {
		return nil, err
	}
	j := &job{Options: opt, run: run, layer: layer}
	if info.QCOW2 != nil {
		j.snapshots = info.QCOW2.Snapshots
	}
	if err := j.target(); err != nil {
		return nil, err
	}
	dir, remove, err := workdir.Temp(filepath.Dir(j.Target), ".hearth-resize-")
	if err != nil {
		return nil, err
	}
	defer remove()
	j.dir = dir
	if j.d, err = guestfs.Open(ctx, bare(run), []disk.Layer{layer}, guestfs.ReadOnly); err != nil {
		return nil, err
	}
	defer j.d.Close()
	if err := j.scan(); err != nil {
		return nil, err
	}
	if err := change(j, ctx); err != nil {
		return nil, err
	}
	made, err := j.build(ctx)
	if err != nil {
		return nil, err
	}
	return j.finish(made)
}

// target settles what is made, before the long work.
func (j *job) target() (err error) {
	if j.Format == "" {
		j.Format = j.layer.Format
	}
	if !slices.Contains([]disk.Format{disk.Raw, disk.QCOW2, disk.VMDK, disk.VDI, disk.VHD, disk.VHDX}, j.Format) {
		return refuse("images are made as raw, qcow2, vmdk, vdi, vhd or vhdx, not as %s", j.Format)
	}
	if j.Compress != "" && (j.Format != disk.QCOW2 || j.Compress != "zstd" && j.Compress != "zlib") {
		return refuse("only a qcow2 can be compressed, by zstd or zlib; not a %s by %s", j.Format, j.Compress)
	}
	if j.Target == "" {
		if j.Format != j.layer.Format {
			return refuse("an image of another format needs a name of its own: say -o FILE")
		}
		j.Target = j.layer.Path
		if j.snapshots > 0 {
			return refuse("%s has snapshots (%d), which would be lost; say -o FILE for an image of the disk as it is now", j.Source, j.snapshots)
		}
		return guestfs.Unused(j.Target)
	}
	if j.Target, err = filepath.Abs(j.Target); err != nil { // tools run in another folder
		return err
	}
	if _, err := os.Lstat(j.Target); err == nil {
		return refuse("%s is there already; remove it, or choose another name", j.Target)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// smallDisk is how large a disk is, at most, that is packed as small as can be, which takes
// 10 s: the small guests that clouds are tested with.
const smallDisk = 64 << 20

// build puts the disk together and gives it its format.
func (j *job) build(ctx context.Context) (string, error) {
	raw := filepath.Join(j.dir, "disk")
	j.tell("put the disk of %d bytes together", j.size)
	if err := j.assemble(ctx, raw); err != nil {
		return "", err
	}
	if j.Format == disk.Raw {
		return raw, nil
	}
	if q, ok := j.d.Reader().(*disk.QCOW2Reader); ok && j.Compress == "" && j.Format == disk.QCOW2 {
		if method, packed := q.Packed(); packed {
			j.Compress = method
		}
	}
	made, step := filepath.Join(j.dir, "image"), "write it as "+string(j.Format)
	j.tell("%s", step)
	var tell disk.Progress
	if told := j.upTo(step, j.size); told != nil {
		tell = func(part float64) { told(int64(part * float64(j.size))) }
	}
	if j.size <= smallDisk && j.Compress == "zstd" { // else what was packed well would become larger
		return made, j.run.PackQCOW2(ctx, raw, made, j.dir, j.size, tell)
	}
	target := disk.Target{Path: made, Format: j.Format, Compress: j.Compress != "", Method: j.Compress}
	return made, j.run.Convert(ctx, disk.Layer{Path: raw, Format: disk.Raw}, target, tell)
}

// finish gives what was made its name.
func (j *job) finish(made string) (*Result, error) {
	r := &Result{File: j.Target, Format: j.Format, Was: j.d.Size, Size: j.size, Volumes: []Volume{}}
	for _, p := range j.pieces {
		v := Volume{Partition: p.part.Number, Content: p.content(), Was: p.part.Size, Size: p.size, Used: p.used, Moved: p.to != p.part.Start}
		r.Volumes = append(r.Volumes, v)
		for _, l := range p.logical {
			r.Volumes = append(r.Volumes, Volume{Partition: v.Partition, Logical: l.v.Group + "/" + l.v.Logical, Content: l.content(), Was: l.part.Size, Size: l.size, Used: l.used, Moved: p.to+l.to != l.part.Start})
		}
		if r.Used += p.size; p.used > 0 {
			r.Used += p.used - p.size
		}
	}
	if err := j.publish(made); err != nil {
		return nil, err
	}
	st, err := os.Stat(j.Target)
	if err != nil {
		return nil, err
	}
	r.Stored = st.Size()
	if s := blocks(st); s > 0 {
		r.Stored = min(r.Stored, s)
	}
	return r, nil
}

// publish names a whole file. A name that was free and is taken meanwhile is not
// taken over; the image itself is replaced at once.
func (j *job) publish(made string) error {
	if j.Target == j.layer.Path {
		st, err := os.Stat(j.Target)
		if err != nil {
			return err
		}
		if err := os.Chmod(made, st.Mode().Perm()); err != nil {
			return err
		}
		if err := keepOwner(made, st); err != nil {
			return err
		}
		return os.Rename(made, j.Target)
	}
	return disk.Publish(made, j.Target)
}
