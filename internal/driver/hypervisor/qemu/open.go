package qemu

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// open opens what a guest's process is to have, in order. The files opened so far are returned with an error too.
func open(cfg hypervisor.Config, lock *os.File, list []passed, user uint32) ([]*os.File, error) {
	var files []*os.File
	for _, p := range list {
		f, err := p.open(cfg, lock, user)
		if err != nil {
			return files, err
		}
		files = append(files, f)
	}
	return files, nil
}

func (p passed) open(cfg hypervisor.Config, lock *os.File, user uint32) (*os.File, error) {
	var f *os.File
	var err error
	switch p.role {
	case roleLock:
		return lock, nil
	case roleMonitor:
		f, err = listen(cfg.Dir, hypervisor.FileMonitor)
	case roleSerial:
		f, err = listen(cfg.Dir, hypervisor.FileSerial)
	case roleAgent:
		f, err = listen(cfg.Dir, hypervisor.FileAgent)
	case roleTap:
		f, err = duplicate(p.tap)
	case roleSecret:
		f, err = pipeOf(p.text, user)
	case roleKeyring:
		f, err = clusterKey(p.path, user)
	case roleIdentity:
		f, err = identityDir(filepath.Join(cfg.Dir, p.copy), p.identity, user)
	case roleBoot:
		f, err = openBoot(p.path, filepath.Join(cfg.Dir, p.copy), user)
	default:
		f, err = openPath(p.path, p.flags)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, cloud.E(opStart, cloud.NotFound, "%w", err)
	case err != nil:
		return nil, cloud.E(opStart, cloud.Internal, "%w", err)
	}
	return f, nil
}

// pipeOf makes a pipe with a secret in it, which is gone once the guest's process, which runs as user, has read it: there
// is no file, and no descriptor, by which it could be read again.
func pipeOf(text cloud.Secret, user uint32) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = w.WriteString(string(text)) // much less than a pipe holds
	err = errors.Join(err, w.Close())
	if err == nil && user != 0 { // it is opened a second time, by its name in /proc
		err = r.Chown(int(user), -1)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// clusterKey is a pipe with the key to the cluster that an image is in.
func clusterKey(path string, user uint32) (*os.File, error) {
	r, _ := hypervisor.RBDOf(path) // it is one, for a disk of it was described
	key, err := r.Key()
	if err != nil {
		return nil, err
	}
	return pipeOf(key, user)
}

// openPath opens a file or a block device, and nothing that could block or answer back.
func openPath(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && info.Mode().Type() != os.ModeDevice {
		err = fmt.Errorf("%s is neither a file nor a block device", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openBoot opens a kernel or initrd, which QEMU opens a second time by name and as its own user: where
// the rights of the file do not let it, it gets a copy.
func openBoot(path, copyName string, user uint32) (*os.File, error) {
	f, err := openPath(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || user == 0 || info.Mode()&0o004 != 0 {
		return f, err
	}
	defer f.Close()
	if err := os.Remove(copyName); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	c, err := os.OpenFile(copyName, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o400)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(c, f) // copy_file_range: shares the blocks where the file system can
	if err == nil {
		err = c.Chown(int(user), int(user))
	}
	c.Close()
	if err != nil {
		return nil, err
	}
	return openPath(copyName, os.O_RDONLY)
}

// duplicate makes a descriptor of our own of a caller's, which may close his.
func duplicate(f *os.File) (*os.File, error) {
	if f == nil {
		return nil, errors.New("a NIC without an open tap device")
	}
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("the NIC's tap device: %w", err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// closeAll closes the files, but for one that others still need. Closing twice is harmless.
func closeAll(files []*os.File, but *os.File) {
	for _, f := range files {
		if f != but {
			f.Close()
		}
	}
}
