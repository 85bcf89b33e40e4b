package disk

import (
	"errors"
	"os"
)

// Publish gives a whole file, in a folder for work, its name, and the mode that a new file
// has by this process's umask: an image may hold secrets. A file that came there meanwhile stays.
func Publish(made, name string) error {
	mode, err := NewMode(made + ".mode")
	if err != nil {
		return err
	}
	if err := os.Chmod(made, mode); err != nil {
		return err
	}
	if err := os.Link(made, name); err == nil || errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Rename(made, name) // a file system without hard links
}

// NewMode is the mode that a new file has by this process's umask. It makes a file, the probe, to see
// that, and removes it: the umask itself cannot be asked for without setting it, for all threads.
func NewMode(probe string) (os.FileMode, error) {
	f, err := os.OpenFile(probe, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return 0, err
	}
	st, err := f.Stat()
	if err = errors.Join(err, f.Close(), os.Remove(probe)); err != nil {
		return 0, err
	}
	return st.Mode().Perm(), nil
}
