// Package device writes to block devices, for drivers whose disks are such.
package device

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"hearth/internal/cloud"
)

// Open opens a block device, or a file, for reading and writing, and tells its size in bytes.
func Open(path string) (*os.File, int64, error) {
	dev, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	size, err := dev.Seek(0, io.SeekEnd)
	if err != nil {
		dev.Close()
		return nil, 0, err
	}
	return dev, size, nil
}

// block is how much is copied at once, and left out where it is all zero: what is
// copied to reads as zeros.
const block = 1 << 20

// Copy copies to the beginning of a device that reads as zeros. Unavailable when src breaks
// off; errors of the device are as the operating system gives them.
func Copy(ctx context.Context, dev *os.File, src io.Reader) error {
	buf, none := make([]byte, block), make([]byte, block)
	for at := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(src, buf)
		if n > 0 && !bytes.Equal(buf[:n], none[:n]) {
			if _, err := dev.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return cloud.E("storage.Write", cloud.Unavailable, "reading what is to be written broke off: %w", err)
		}
	}
}
