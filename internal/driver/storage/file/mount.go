package file

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
)

// CheckMount looks whether a directory is what an operator says it is: a share of
// another machine (NFS), mounted there, that takes writes and knows locks. A share
// that is not mounted would have volumes be written to the host's own disk
// beneath, and lost from sight when it is. Hearth mounts nothing itself.
func CheckMount(dir string) error {
	if err := Mounted(dir); err != nil {
		return err
	}
	return tryLock("storage.CheckMount", dir)
}

// Mounted looks whether something is mounted at a directory, as is to be asked
// before every use of it; it is quick. Unavailable.
func Mounted(dir string) error {
	const op = "storage.CheckMount"
	here, err := device(dir)
	if err != nil {
		return cloud.E(op, cloud.Unavailable, "the directory of the volumes %s cannot be read: %w", dir, err)
	}
	above, err := device(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return cloud.E(op, cloud.Unavailable, "the directory above %s cannot be read: %w", dir, err)
	}
	if here == above {
		return cloud.E(op, cloud.Unavailable, "nothing is mounted at %s: mount the share there first, so that volumes are not written beneath it", dir)
	}
	return nil
}

func device(dir string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(dir, &st)
	return st.Dev, err
}

// tryLock writes a file and locks it (fcntl(2), which QEMU uses too) against
// itself as another would.
func tryLock(op, dir string) error {
	f, err := os.CreateTemp(dir, ".hearth-lock")
	if err != nil {
		return cloud.E(op, cloud.Unavailable, "hearth cannot write to %s: %w", dir, err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.WriteString("hearth"); err != nil {
		return cloud.E(op, cloud.Unavailable, "hearth cannot write to %s: %w", dir, err)
	}
	if err := f.Sync(); err != nil {
		return cloud.E(op, cloud.Unavailable, "%s does not keep what is written: %w", dir, err)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: 0, Start: 0, Len: 0}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
		return cloud.E(op, cloud.Unavailable, "files in %s cannot be locked: %w; mount it without nolock, and see that the server's lock service runs", dir, err)
	}
	other, err := os.OpenFile(f.Name(), os.O_RDWR, 0)
	if err != nil {
		return cloud.E(op, cloud.Unavailable, "%s: %w", dir, err)
	}
	defer other.Close()
	lock = unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(other.Fd(), unix.F_OFD_SETLK, &lock)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return nil
	}
	return cloud.E(op, cloud.Unavailable, "%s gives a lock to two at once (%v): two guests could write to one volume", dir, err)
}
