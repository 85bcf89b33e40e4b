// Package guestfs looks into the disk of a guest and changes files on it,
// offline: without root, mounts, loop devices or trust in what the disk says.
//
// [Open] finds the partition table (MBR with logical partitions, GPT, or none)
// and the file systems. [Disk.Tree] joins those of the guest as its /etc/fstab
// mounts them. ext2, ext3 and ext4 are read and written here, XFS, btrfs and f2fs
// by [disk.Runner].FileSystems, from a copy; all others are named, with the reason in
// [Volume.Note], and never touched.
//
// Changes are gathered in an [Edit] and carried out at once by debugfs in the
// sandbox of [disk.Runner].
package guestfs

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
	"hearth/internal/disk/workdir"
)

// Mode says what may become of the image.
type Mode int

// The modes of [Open].
const (
	ReadOnly Mode = iota // nothing is written; a journal is not replayed
	ReadWrite
	Scratch // changes, and the replay of journals, go to an overlay that Close throws away
)

// Disk is an open disk of a guest.
type Disk struct {
	Scheme  disk.Scheme // "" without a partition table
	Size    int64       // bytes
	Volumes []*Volume   // in the order of the disk
	Broken  error       // why the partition table cannot be read; nil if it can, or there is none

	run      *disk.Runner
	r        io.ReaderAt
	file     *os.File   // of the raw disk when it can be written to
	layer    disk.Layer // where the whole disk lies, in one file
	mode     Mode
	closers  []func() error
	repaired bool
	changed  bool
}

// Image is an image as a user names it: a file, whose format was sniffed from
// its bytes or is claimed.
func Image(path string) (disk.Layer, disk.Info, error) {
	path, err := filepath.Abs(path) // tools run in another folder
	if err != nil {
		return disk.Layer{}, disk.Info{}, err
	}
	f, err := disk.Open(path)
	if err != nil {
		return disk.Layer{}, disk.Info{}, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd) // of a block device too
	if err != nil {
		return disk.Layer{}, disk.Info{}, err
	}
	info, err := disk.Detect(f, size)
	format := info.Format
	if format == disk.ISO {
		format = disk.Raw
	}
	return disk.Layer{Path: path, Format: format}, info, err
}

// Open opens the disk of an image: its layers by absolute paths, the topmost first, as
// [disk.Runner.Attach] has them. An image of another format than raw and qcow2
// can be opened ReadOnly, as a copy in the folder for temporary files.
func Open(ctx context.Context, run *disk.Runner, chain []disk.Layer, mode Mode) (*Disk, error) {
	d := &Disk{run: run, mode: mode}
	err := d.open(ctx, chain)
	if err == nil {
		err = d.scan()
	}
	if err == nil {
		err = d.mirrors(ctx)
	}
	if err == nil && mode != ReadOnly {
		err = d.replay(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Disk) open(ctx context.Context, chain []disk.Layer) error {
	if len(chain) == 0 {
		return &disk.Error{Kind: disk.Unsupported, Op: "open disk", Reason: "no image was given"}
	}
	switch {
	case d.mode == ReadOnly && len(chain) == 1 && chain[0].Format == disk.Raw:
		return d.openFile(chain[0].Path, os.O_RDONLY)
	case d.mode == ReadOnly && len(chain) == 1 && chain[0].Format == disk.QCOW2:
		return d.openQCOW2(chain[0].Path)
	case d.mode == ReadOnly:
		return d.openCopy(ctx, chain[0])
	case d.mode == Scratch:
		dir, err := d.tempDir()
		if err != nil {
			return err
		}
		size, err := virtualSize(chain[0])
		if err != nil {
			return err
		}
		over := disk.Layer{Path: filepath.Join(dir, "scratch"), Format: disk.QCOW2}
		if err := d.run.CreateOverlay(ctx, over.Path, chain[0], size); err != nil {
			return err
		}
		chain = append([]disk.Layer{over}, chain...)
	}
	a, err := d.run.Attach(ctx, chain)
	if bare := chain[len(chain)-1]; disk.KindOf(err) == disk.Unsupported && bare.Format == disk.QCOW2 && (len(chain) == 1 || d.mode == Scratch && len(chain) == 2) {
		return d.openUnpacked(ctx, bare)
	}
	if err != nil {
		return err
	}
	d.closers = append(d.closers, a.Close)
	return d.openFile(a.Path, os.O_RDWR)
}

func (d *Disk) tempDir() (string, error) {
	work, err := workdir.Make("", "hearth-disk-", nil)
	if err != nil {
		return "", err
	}
	d.closers = append(d.closers, work.Close)
	return work.Path, nil
}

func virtualSize(l disk.Layer) (int64, error) {
	_, info, err := Image(l.Path)
	if err == nil && l.Format == disk.Raw {
		st, err := os.Stat(l.Path)
		if err != nil {
			return 0, err
		}
		return st.Size(), nil
	}
	return info.VirtualSize, err
}

func (d *Disk) openFile(path string, flag int) error {
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, f.Close)
	if d.Size, err = f.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	d.r = f
	d.layer = disk.Layer{Path: path, Format: disk.Raw}
	if flag == os.O_RDWR {
		d.file = f
	}
	return nil
}

func (d *Disk) openQCOW2(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, f.Close)
	st, err := f.Stat()
	if err != nil {
		return err
	}
	q, err := disk.NewQCOW2Reader(f, st.Size())
	if err != nil {
		return err
	}
	d.r, d.Size, d.layer = q, q.Size(), disk.Layer{Path: path, Format: disk.QCOW2}
	return nil
}

// openCopy reads a foreign format by way of a qcow2 made in the sandbox.
func (d *Disk) openCopy(ctx context.Context, src disk.Layer) error {
	dir, err := d.tempDir()
	if err != nil {
		return err
	}
	copied := filepath.Join(dir, "copy")
	if err := d.run.Convert(ctx, src, disk.Target{Path: copied, Format: disk.QCOW2}, nil); err != nil {
		return err
	}
	return d.openQCOW2(copied)
}

// Unclean are the file systems that were not unmounted: there may be more in them than
// is seen until their journals are replayed.
func (d *Disk) Unclean() (list []*Volume) {
	for _, v := range d.Volumes {
		if v.fs != nil && v.mirror == nil && (!v.fs.Clean || v.fs.NeedsRecovery) {
			list = append(list, v)
		}
	}
	return list
}

// replay has e2fsck bring the file systems in order that were not unmounted.
func (d *Disk) replay(ctx context.Context) error {
	for _, v := range d.Unclean() {
		if err := d.run.CheckExt(ctx, d.file, v.fs.ExtFS); err != nil {
			return err
		}
		if err := v.reload(d.r); err != nil {
			return err
		}
		d.repaired, d.changed = true, true
	}
	return nil
}

// Repaired tells whether a file system was brought in order by Open.
func (d *Disk) Repaired() bool { return d.repaired }

// Reader reads the whole disk as the guest sees it.
func (d *Disk) Reader() io.ReaderAt { return d.r }

// File is the raw disk, for tools; nil when it is ReadOnly.
func (d *Disk) File() *os.File { return d.file }

// Close writes all to the image and lets it go.
func (d *Disk) Close() error {
	var err error
	for i := len(d.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, d.closers[i]())
	}
	d.closers = nil
	return err
}

// Volume is a partition, or the whole of a disk without a partition table.
type Volume struct {
	Partition int    // 0: the whole disk
	Group     string // of LVM, and
	Logical   string // the name in it of a logical volume within the partition; "" of all else
	Start     int64
	Size      int64
	Type      string // of the partition, see [disk.Partition]
	Bootable  bool
	Content   string // "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "vfat", "ntfs", "swap", "lvm", "luks" …; "" if it is not known
	Label     string
	UUID      string // as fstab has it
	Used      int64  // bytes; 0 if it is not known
	Note      string // why its files cannot be read; "" if they can

	fs     *ext4.FS
	mirror *mirror // of a file system that the host does not read itself
}

// FS is the file system to read; nil with a Note. That of a [Volume.Mirrored] one has
// its files, but not its place.
func (v *Volume) FS() *ext4.FS { return v.fs }

// Mirrored tells whether the files are read from a copy that the appliance made.
func (v *Volume) Mirrored() bool { return v.mirror != nil }

// reload reads the superblock again.
func (v *Volume) reload(r io.ReaderAt) error {
	if v.mirror != nil {
		return v.mirror.reload(v)
	}
	fs, err := ext4.Open(r, v.Start, v.Size)
	if err != nil || fs == nil {
		return errors.Join(err, &disk.Error{Kind: disk.Refused, Op: "open disk", Reason: "a file system cannot be read any more"})
	}
	v.fs, v.Used = fs, fs.Used()
	if !fs.NeedsRecovery {
		v.Note = ""
	}
	return nil
}
