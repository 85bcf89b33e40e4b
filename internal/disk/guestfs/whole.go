package guestfs

import (
	"fmt"
	"io"

	"hearth/internal/disk"
)

// Whole refuses an image (as [Image] has it) that is empty, or a qcow2 whose file ends before
// what its tables name: read on, what lacks would be zeros in whatever is made of it. Of a
// qcow2 all tables are read, 128 KiB for each GiB of disk, and nothing of the disk.
func Whole(layer disk.Layer, info disk.Info) error {
	if info.VirtualSize == 0 {
		return &disk.Error{Kind: disk.Refused, Op: "open image", Reason: fmt.Sprintf("%s is empty: a download or a conversion of it may have failed", layer.Path)}
	}
	if info.QCOW2 == nil {
		return nil
	}
	f, err := disk.Open(layer.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		err = disk.Whole(f, size, info)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", layer.Path, err)
	}
	return nil
}
