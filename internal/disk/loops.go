package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// DetachLoops lets go of all loop devices of this host that are of files below dir:
// scripts that run as root may leave some, which outlive them. One that is gone
// meanwhile is none.
func DetachLoops(dir string) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil //nolint:nilerr // there is no such folder, nor any file in it
	}
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return err
	}
	var failed []error
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(b), dir+"/") {
			continue
		}
		device := filepath.Join("/dev", filepath.Base(filepath.Dir(filepath.Dir(name))))
		if err := detach(device); err != nil {
			failed = append(failed, fmt.Errorf("%s is still of a file in %s: %w", device, dir, err))
		}
	}
	return errors.Join(failed...)
}

// detach frees a loop device; one that is in use is freed when it no longer is.
func detach(device string) error {
	f, err := os.OpenFile(device, os.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0); err != nil && !errors.Is(err, unix.ENXIO) {
		return err
	}
	return nil
}
