package disk

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// FillDevice writes a disk to the block device path, from its beginning on, zeros
// too; what the device has behind the disk stays. Refused if nobody may write to it now,
// being mounted for example; TooBig if the disk is larger. Giving up leaves the part
// that was written.
func FillDevice(ctx context.Context, path string, feed Feed, done func(int64)) (size int64, err error) {
	const op = "write device"
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return 0, fail(Refused, op, "%s is in use: mounted, or part of something else", path)
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if st, err := f.Stat(); err != nil || !IsDevice(st) {
		return 0, errors.Join(err, fail(Unsupported, op, "%s is no block device", path))
	}
	room, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	if feed.Size > room {
		return 0, fail(TooBig, op, "the disk has %d bytes, %s has %d", feed.Size, path, room)
	}
	put := func(p []byte) (int, error) {
		if size+int64(len(p)) > room {
			return 0, fail(TooBig, op, "the disk is larger than %s, which has %d bytes", path, room)
		}
		n, err := f.WriteAt(p, size)
		size += int64(n)
		return n, err
	}
	err = pour(ctx, feed, done, put, func(n int64) error {
		if unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_ZERO_RANGE|unix.FALLOC_FL_KEEP_SIZE, size, n) == nil {
			size += n
			return nil
		}
		return writeZeros(writer(put), n)
	})
	if err == nil {
		err = f.Sync()
	}
	return size, err
}

// IsDevice tells whether a file is a block device.
func IsDevice(st os.FileInfo) bool {
	return st.Mode()&os.ModeDevice != 0 && st.Mode()&os.ModeCharDevice == 0
}

type writer func([]byte) (int, error)

// Write implements io.Writer.
func (w writer) Write(p []byte) (int, error) { return w(p) }
