package qemu

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// defaultConsoleMax is how large a console log may grow before its head is cut off, in bytes.
const defaultConsoleMax = 1 << 20

// trim cuts the head off a log that has grown beyond max bytes, so that about half of max is left. Another process
// is appending to it meanwhile (O_APPEND), which goes on at the new end.
//
// Where the file system can take blocks out of a file (ext4, XFS) nothing is lost. Elsewhere the tail is read,
// the file emptied and the tail written back; what is printed in between, microseconds, may come before it or be lost.
func trim(path string, max int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= max {
		return err
	}
	excess := info.Size() - max/2
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err == nil && fs.Bsize > 0 {
		whole := excess - excess%fs.Bsize
		if whole > 0 && unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_COLLAPSE_RANGE, 0, whole) == nil {
			return nil
		}
	}
	return rewrite(f, excess)
}

// rewrite keeps what is after the first excess bytes.
func rewrite(f *os.File, excess int64) error {
	tail, err := io.ReadAll(io.NewSectionReader(f, excess, 1<<62-excess))
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.Write(tail)
	return err
}
