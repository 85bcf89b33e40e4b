package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// inDir calls fn with a short name of a file in dir: the path of a unix socket has at most 107 bytes, and a data directory
// may lie deep.
func inDir(dir, name string, fn func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return fn(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
}

// listen makes a listening unix socket in dir, for another process to accept on. What had the name before is
// removed.
func listen(dir, name string) (*os.File, error) {
	var f *os.File
	err := inDir(dir, name, func(path string) error {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			return err
		}
		l.SetUnlinkOnClose(false)
		defer l.Close()
		f, err = l.File()
		return err
	})
	return f, err
}

// connect opens a connection to a socket in dir.
func connect(ctx context.Context, dir, name string) (net.Conn, error) {
	var conn net.Conn
	err := inDir(dir, name, func(path string) error {
		var err error
		conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
		return err
	})
	return conn, err
}
