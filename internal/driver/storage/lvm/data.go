package lvm

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
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

// hostError gives an error of the operating system its kind.
func hostError(err error) error {
	if known := storage.HostError("storage.lvm", "the thin pool is full, or the disk where images are converted", err); known != nil || err == nil {
		return known
	}
	return cloud.E("storage.lvm", cloud.Internal, "%w", err)
}
