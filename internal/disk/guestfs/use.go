package guestfs

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"hearth/internal/disk"
)

// ToChange is [Image] of one that is to be changed in place: Unsupported, with what to do, if
// it is no disk, of a format that is only read here, or in use; Refused if it is not [Whole].
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
	if err := Whole(layer, info); err != nil {
		return layer, err
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
		return inUse(path)
	}
	return nil
}

// HoldToChange is [ToChange] and keeps the image from others of our tools, until held is closed.
func HoldToChange(path string) (layer disk.Layer, held *Held, err error) {
	if layer, err = ToChange(path); err == nil {
		held, err = Hold(layer)
	}
	return layer, held, err
}

// Held is an image that is kept from others.
type Held struct {
	l       disk.Layer
	f       *os.File
	release func()
}

// ours is how many bytes at the begin of an image Hold locks. QEMU locks those from 100 on
// (RAW_LOCK_PERM_BASE of its block/file-posix.c) and no others.
const ours = 100

// Hold keeps others of our tools from an image that is changed for long, until Close or the
// end of the process, and of a tool that outlives it to bring a change to its end: [Unused] sees
// it. Unsupported if somebody has it.
func Hold(l disk.Layer) (*Held, error) {
	f, err := os.OpenFile(l.Path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	h := &Held{l: l, f: f}
	if err := h.lock(ours); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	h.release = disk.Keep(l.Path, f)
	return h, nil
}

// Rest keeps QEMU from the image too, once nothing of it works on the image for us. The
// QEMU that shows a qcow2 goes on doing so, and has locks of its own.
func (h *Held) Rest() error {
	if err := h.lock(0); err != nil && h.l.Format == disk.Raw {
		return err
	}
	return nil
}

// lock locks the first bytes, 0 all, where the file system has locks.
func (h *Held) lock(bytes int64) error {
	err := unix.FcntlFlock(h.f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: bytes})
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return inUse(h.l.Path)
	}
	return nil
}

// Close lets the image go.
func (h *Held) Close() error {
	h.release()
	return h.f.Close()
}

func inUse(path string) error {
	return unfit("%s is in use, by a guest that runs or a tool: shut that down first", path)
}

func unfit(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "change image", Reason: fmt.Sprintf(format, args...)}
}
