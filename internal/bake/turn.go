package bake

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// turn waits until no other bake fetches or installs packages by the same cache: apt locks the folders in
// it, and fails where another has them. What is installed elsewhere meanwhile goes on. done is for after it.
func (o *oven) turn(ctx context.Context) (done func(), err error) {
	f, err := os.OpenFile(filepath.Join(o.CacheDir, "packages.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	done = func() { f.Close() }
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
		return done, nil // ours, or a file system without locks
	}
	wait := o.steps.begin("wait for another bake, which has the cache of packages", 0)
	ours := make(chan struct{})
	go func() {
		for errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX), unix.EINTR) {
			continue
		}
		close(ours)
	}()
	select {
	case <-ours:
		return done, wait.end(nil)
	case <-ctx.Done():
		go func() { <-ours; f.Close() }()
		return nil, wait.end(context.Cause(ctx))
	}
}
