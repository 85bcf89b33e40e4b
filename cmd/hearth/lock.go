package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"hearth/internal/paths"
)

// lockData makes the data directory and takes its lock, which the kernel drops
// with the process however it ends. Only one hearth works on a directory.
func lockData(dir paths.Data) (*os.File, error) {
	if err := os.MkdirAll(string(dir), 0o711); err != nil {
		return nil, fmt.Errorf("cannot make the data directory: %w", err)
	}
	f, err := os.OpenFile(dir.Lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the lock of %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &lockedError{dir: string(dir), pid: readPID(dir)}
		}
		return nil, err
	}
	return f, nil
}

// lockedError says that another process works on the directory.
type lockedError struct {
	dir string
	pid int
}

func (e *lockedError) Error() string {
	return fmt.Sprintf("another hearth (pid %d) works on %s: stop it with 'hearth down', or choose another --data", e.pid, e.dir)
}

// readPID is the process id that the directory's hearth wrote; 0 for none.
func readPID(dir paths.Data) int {
	body, err := os.ReadFile(dir.PID())
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(body)))
	if err != nil {
		return 0
	}
	return pid
}
