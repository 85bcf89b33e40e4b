package guestfs

import (
	"fmt"

	"hearth/internal/disk"
)

// Whole refuses an image (as [Image] has it) that is empty, or a qcow2 whose file ends before
// what its tables name: read on, what lacks would be zeros in whatever is made of it. Of a
// qcow2 all tables are read, 128 KiB for each GiB of disk, and nothing of the disk.
func Whole(layer disk.Layer, info disk.Info) error {
	if info.VirtualSize == 0 {
		return &disk.Error{Kind: disk.Refused, Op: "open image", Reason: fmt.Sprintf("%s is empty: a download or a conversion of it may have failed", layer.Path)}
	}
	if layer.Format != disk.QCOW2 {
		return nil
	}
	f, err := disk.Open(layer.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	source, err := disk.OpenSource(f, layer.Format)
	if err != nil {
		return err
	}
	q, ok := source.(*disk.QCOW2Reader)
	if !ok {
		return nil
	}
	if err := q.Whole(); err != nil {
		return fmt.Errorf("%s: fetch or make it again: %w", layer.Path, err)
	}
	return nil
}
