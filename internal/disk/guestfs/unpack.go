package guestfs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"hearth/internal/disk"
	"hearth/internal/disk/workdir"
)

// openUnpacked works on a raw copy of a qcow2, where a user may not use FUSE. Close
// packs it again and puts it in place of the image, if it was changed: until then
// the image is as it was. One with snapshots, which would be lost, is Unsupported.
func (d *Disk) openUnpacked(ctx context.Context, image disk.Layer) (err error) {
	if image.Path, err = filepath.EvalSymlinks(image.Path); err != nil {
		return err
	}
	_, info, err := Image(image.Path)
	if err != nil {
		return err
	}
	if d.mode == ReadWrite && info.QCOW2 != nil && info.QCOW2.Snapshots > 0 {
		return unfit("%s has snapshots (%d), which would be lost where FUSE cannot be used, as here; convert it to another image, which has the disk as it is now", image.Path, info.QCOW2.Snapshots)
	}
	place := filepath.Dir(image.Path)
	if d.mode == Scratch {
		place = ""
	}
	work, err := workdir.Make(place, ".hearth-unpacked-", nil)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, work.Close)
	dir := work.Path
	raw := filepath.Join(dir, "disk")
	method, packed, err := unpack(ctx, image.Path, raw)
	if err != nil {
		return err
	}
	if d.mode == ReadWrite {
		target := disk.Target{Path: filepath.Join(dir, "packed"), Format: disk.QCOW2, Compress: packed, Method: method}
		d.closers = append(d.closers, func() error { return d.repack(ctx, raw, image.Path, target) })
	}
	return d.openFile(raw, os.O_RDWR)
}

// repack replaces the image.
func (d *Disk) repack(ctx context.Context, raw, image string, target disk.Target) error {
	if !d.changed {
		return nil
	}
	was, err := os.Stat(image)
	if err != nil {
		return err
	}
	if err := d.run.Convert(ctx, disk.Layer{Path: raw, Format: disk.Raw}, target, nil); err != nil {
		return err
	}
	if s, ok := was.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := os.Chown(target.Path, int(s.Uid), int(s.Gid)); err != nil {
			return err
		}
	}
	if err := os.Chmod(target.Path, was.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(target.Path, image)
}

// unpack writes the disk in a qcow2 to the new raw file dst.
func unpack(ctx context.Context, src, dst string) (method string, packed bool, err error) {
	in := &Disk{}
	if err := in.openQCOW2(src); err != nil {
		return "", false, errors.Join(err, in.Close())
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	q, _ := in.r.(*disk.QCOW2Reader)
	b := make([]byte, 2<<20)
	for off := int64(0); off < q.Size(); {
		if err := ctx.Err(); err != nil {
			return "", false, err
		}
		stored, n, err := q.Stored(off)
		if err != nil {
			return "", false, err
		}
		if stored {
			if _, err := q.ReadAt(b[:n], off); err != nil {
				return "", false, err
			}
			if _, err := out.WriteAt(b[:n], off); err != nil {
				return "", false, err
			}
		}
		off += n
	}
	method, packed = q.Packed()
	return method, packed, out.Truncate(q.Size())
}
