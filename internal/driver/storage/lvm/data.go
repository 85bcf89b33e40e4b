package lvm

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// zero has a device read as zeros from one byte to another, both of whole sectors
// (BLKZEROOUT of linux/fs.h: the device does it where it can, else the kernel
// writes them).
func zero(dev *os.File, from, to int64) error {
	const step = 64 << 20
	for ; from < to; from += step {
		span := [2]uint64{uint64(from), uint64(min(step, to-from))}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dev.Fd(), unix.BLKZEROOUT, uintptr(unsafe.Pointer(&span))); errno != 0 {
			return errno
		}
	}
	return nil
}

// block is how much is copied at once, and left out where it is all zero: what is
// copied to reads as zeros.
const block = 1 << 20

// copyData copies to the beginning of a device that reads as zeros.
func copyData(ctx context.Context, dev *os.File, src io.Reader) error {
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

// hostError gives an error of the operating system its kind.
func hostError(err error) error {
	var known *cloud.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC):
		return cloud.E("storage.lvm", cloud.NoCapacity, "the thin pool is full, or the disk where images are converted: %w", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return cloud.E("storage.lvm", cloud.Unavailable, "stopped before it was done: %w", err)
	}
	return cloud.E("storage.lvm", cloud.Internal, "%w", err)
}
