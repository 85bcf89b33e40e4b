package zfs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// links is where udev's rules (60-zvol.rules of zfsutils-linux) have a link to each zvol's device.
const links = "/dev/zvol"

func (linux) path(volume string) string { return filepath.Join(links, volume) }

// patience is how long a device may take to appear, on a host that is busy.
const patience = time.Minute

// appear implements host. A link may still lead to what had its name before: the device itself
// is asked what it is.
func (h linux) appear(ctx context.Context, volume string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	path := h.path(volume)
	last := isVolume(path, volume)
	if last == nil {
		return path, nil
	}
	err := watch(ctx, path, func() bool { last = isVolume(path, volume); return last == nil })
	if err != nil {
		return "", cloud.E("storage.zfs", cloud.Unavailable, "the volume %s has no device (%w): %w; does udev run, with the rules of zfsutils-linux?", volume, last, err)
	}
	return path, nil
}

// nameOfVolume is BLKZNAME of ZFS's sys/fs/zfs.h: _IOR(0x12, 125, char[256]).
const nameOfVolume = 2<<30 | 256<<16 | 0x12<<8 | 125

// isVolume is nil for the device of a volume.
func isVolume(path, volume string) error {
	dev, err := os.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer dev.Close()
	var name [256]byte
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dev.Fd(), nameOfVolume, uintptr(unsafe.Pointer(&name))); errno != 0 {
		return errno
	}
	if is, _, _ := bytes.Cut(name[:], []byte{0}); string(is) != volume {
		return errors.New("its link leads to " + string(is))
	}
	return nil
}

// watch waits until something is so which comes about by a change in the folder of a path. That
// may not be there yet, nor the one that it is in.
func watch(ctx context.Context, path string, so func() bool) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return err
	}
	events := os.NewFile(uintptr(fd), "inotify")
	defer events.Close()
	defer context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) })()
	buf := make([]byte, 64<<10)
	for {
		for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) { // again each time: one further down may be there by now
			_, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_DELETE)
			if err == nil {
				break
			}
			if !errors.Is(err, fs.ErrNotExist) || dir == "/" {
				return err
			}
		}
		if so() { // what came before the watch was set
			return nil
		}
		if _, err := events.Read(buf); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
	}
}

// settle implements host. Without udev nobody is waited for.
func (linux) settle(ctx context.Context) {
	_ = exec.CommandContext(ctx, "udevadm", "settle", "--timeout=20").Run()
}

// user implements host, as fuser(1) does: by what processes have open.
func (linux) user(path string) (string, error) {
	var device syscall.Stat_t
	if err := syscall.Stat(path, &device); err != nil {
		return "", err
	}
	open, err := filepath.Glob("/proc/[0-9]*/fd/[0-9]*")
	if err != nil {
		return "", err
	}
	for _, fd := range open {
		var st syscall.Stat_t
		if syscall.Stat(fd, &st) == nil && st.Mode&syscall.S_IFMT == device.Mode&syscall.S_IFMT && st.Rdev == device.Rdev {
			return "process " + filepath.Base(filepath.Dir(filepath.Dir(fd))), nil
		}
	}
	dev, err := os.OpenFile(path, os.O_RDONLY|syscall.O_EXCL, 0)
	if errors.Is(err, syscall.EBUSY) {
		return "the kernel: it is mounted, or a part of another device", nil
	}
	if err != nil {
		return "", err
	}
	return "", dev.Close()
}
