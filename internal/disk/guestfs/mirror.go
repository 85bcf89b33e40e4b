package guestfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
)

// mirror is a copy, as ext4, of a file system that only the appliance reads.
type mirror struct {
	f    *os.File
	size int64
	of   disk.FileSystem
}

// mirrored are the contents that are read by way of a copy.
var mirrored = map[string]bool{"xfs": true, "btrfs": true, "f2fs": true}

// mirrors copies what the host does not read. A file system that is broken, or has a
// partner on another disk, only gets a Note.
func (d *Disk) mirrors(ctx context.Context) error {
	for _, v := range d.Volumes {
		if !mirrored[v.Content] || d.run.FileSystems == nil {
			continue
		}
		m, err := d.mirror(ctx, v)
		if disk.KindOf(err) == disk.Refused {
			v.Note = err.Error()
			continue
		}
		if err == nil {
			err = m.reload(v)
		}
		if err != nil {
			return fmt.Errorf("partition %d, %s: %w", v.Partition, v.Content, err)
		}
		v.mirror, v.Note = m, ""
	}
	return nil
}

// mirror makes the copy: a file of holes but for the files' contents, in the folder
// for temporary files.
func (d *Disk) mirror(ctx context.Context, v *Volume) (*mirror, error) {
	dir, err := d.tempDir()
	if err != nil {
		return nil, err
	}
	size, inodes := 2*v.Size+1<<30, min(max(v.Size/2048, 1<<16), 1<<24)
	if v.Content != "xfs" { // it may have packed what it has
		size *= 2
	}
	size = min(size, 8<<40) / 4096 * 4096
	path := filepath.Join(dir, "mirror")
	if err := d.run.MakeMirror(ctx, path, size, inodes); err != nil {
		return nil, err
	}
	m := &mirror{size: size, of: d.FileSystem(v)}
	m.of.Tree = true
	to := disk.FileSystem{Layer: disk.Layer{Path: path, Format: disk.Raw}, Size: size, Kind: "ext4"}
	if _, err := d.run.FileSystems.Copy(ctx, m.of, to); err != nil {
		return nil, err
	}
	if m.f, err = os.OpenFile(path, os.O_RDWR, 0); err == nil {
		d.closers = append(d.closers, m.f.Close)
	}
	return m, err
}

// FileSystem says where a volume lies, for [disk.FileSystems].
func (d *Disk) FileSystem(v *Volume) disk.FileSystem {
	return disk.FileSystem{Layer: d.layer, File: d.file, Offset: v.Start, Size: v.Size, Kind: v.Content, UUID: v.UUID}
}

func (m *mirror) reload(v *Volume) error {
	fs, err := ext4.Open(m.f, 0, m.size)
	if err == nil && fs == nil {
		err = &disk.Error{Kind: disk.ToolFailed, Op: "open disk", Reason: "the copy of a file system cannot be read"}
	}
	v.fs = fs
	return err
}

// draft makes of commands of debugfs, whose files lie in the folder dir, a change of a volume.
// For a mirrored one the appliance writes what they come to into the new redo log over, and they
// are carried out on the copy, so that it reads alike; the image is as it was.
func (d *Disk) draft(ctx context.Context, v *Volume, dir, script, over string) (disk.Change, error) {
	if v.mirror == nil {
		return disk.Change{Ext: v.fs.ExtFS, Commands: script}, nil
	}
	fs := v.mirror.of
	fs.Over = over
	if err := d.run.FileSystems.Edit(ctx, fs, dir, script); err != nil {
		return disk.Change{}, err
	}
	err := d.run.EditExt(ctx, v.mirror.f, v.fs.ExtFS, dir, script)
	return disk.Change{Log: over, Offset: fs.Offset, Size: fs.Size / 512 * 512}, err
}

// usedOf reads from the superblock at the begin of b what a file system has given
// away; 0 if that is not known.
// Sources: struct xfs_dsb of fs/xfs/libxfs/xfs_format.h; struct btrfs_super_block.
func usedOf(content string, b []byte, size int64) (used int64) {
	switch content {
	case "xfs":
		be := binary.BigEndian
		block, all, free := int64(be.Uint32(b[4:])), int64(be.Uint64(b[8:])), int64(be.Uint64(b[144:]))
		if block >= 512 && block <= 64<<10 && all > 0 && all <= size/block && free >= 0 && free <= all {
			used = (all - free) * block
		}
	case "btrfs":
		used = int64(binary.LittleEndian.Uint64(b[0x10078:]))
	}
	if used < 0 || used > size {
		return 0
	}
	return used
}

// noteOf says why the files of a content are not read.
func noteOf(content string) string {
	if mirrored[content] {
		return "files in " + content + " are read and changed by the appliance alone, which is not used here"
	}
	return "files in " + content + " are neither read nor changed here"
}
