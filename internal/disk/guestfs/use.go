package guestfs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"hearth/internal/disk"
)

// ToChange is [Image] of one that is to be changed in place: Unsupported, with what to do, if
// it is no disk, of a format that is only read here, or in use.
func ToChange(path string) (disk.Layer, error) {
	layer, info, err := Image(path)
	if err != nil {
		return layer, err
	}
	if what := info.NoDisk(); what != "" {
		return layer, unfit("%s cannot be changed as a disk: %s", path, what)
	}
	if layer.Format != disk.Raw && layer.Format != disk.QCOW2 {
		return layer, unfit("%s is %s, which cannot be changed in place: 'hearth image convert' makes a raw or qcow2 image of it", path, layer.Format)
	}
	return layer, Unused(layer.Path)
}

// Unused looks for locks of others on an image, as QEMU holds them (fcntl_locking(2),
// F_OFD_GETLK).
func Unused(path string) error {
	f, err := disk.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l); err == nil && l.Type != unix.F_UNLCK {
		return unfit("%s is in use, by a guest that runs or a tool: shut that down first", path)
	}
	return nil
}

func unfit(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "change image", Reason: fmt.Sprintf(format, args...)}
}
