package file

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// probeReflink tries FICLONE in dir (ioctl_ficlonerange(2)).
func probeReflink(dir string) bool {
	src, dst := filepath.Join(dir, "probe-a"), filepath.Join(dir, "probe-b")
	defer os.Remove(src)
	defer os.Remove(dst)
	if err := os.WriteFile(src, make([]byte, 4096), 0o600); err != nil {
		return false
	}
	return reflinkFile(src, dst) == nil
}

// reflinkFile makes dst share the blocks of src.
func reflinkFile(src, dst string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.IoctlFileClone(int(out.Fd()), int(in.Fd())); err != nil {
		return errors.Join(err, out.Close(), os.Remove(dst))
	}
	return out.Close()
}

// copyFile copies src to the new file dst: by reflink where that works, else
// its data without its holes.
func (d *Driver) copyFile(ctx context.Context, src, dst string) error {
	if d.reflink && reflinkFile(src, dst) == nil {
		return nil
	}
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(copySparse(ctx, out, in), out.Close())
}

// copySparse copies the data of in, extent by extent (lseek(2), SEEK_DATA).
func copySparse(ctx context.Context, out, in *os.File) error {
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	if err := out.Truncate(fi.Size()); err != nil {
		return err
	}
	for at := int64(0); at < fi.Size(); {
		start, end, err := nextExtent(in, at, fi.Size())
		if err != nil || start >= fi.Size() {
			return err
		}
		if err := copyExtent(ctx, out, in, start, end); err != nil {
			return err
		}
		at = end
	}
	return nil
}

func nextExtent(in *os.File, at, size int64) (start, end int64, err error) {
	start, err = unix.Seek(int(in.Fd()), at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size, nil // only holes from here on
	}
	if err != nil {
		return at, size, nil // a file system that knows no holes: all is data
	}
	if end, err = unix.Seek(int(in.Fd()), start, unix.SEEK_HOLE); err != nil {
		return 0, 0, err
	}
	return start, min(end, size), nil
}

func copyExtent(ctx context.Context, out, in *os.File, start, end int64) error {
	const chunk = 8 << 20 // how much is copied before ctx is asked again
	for at := start; at < end; at += chunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(chunk, end-at)
		section := io.NewSectionReader(in, at, n)
		if _, err := io.Copy(io.NewOffsetWriter(out, at), section); err != nil {
			return err
		}
	}
	return nil
}
