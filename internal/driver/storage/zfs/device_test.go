package zfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestWatch waits for a path whose folders come one after another, each after the watch saw that
// the one before was not enough.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "zvol", "tank", "d-a")
	steps := []func() error{
		func() error { return os.Mkdir(filepath.Join(dir, "zvol"), 0o700) },
		func() error { return os.Mkdir(filepath.Join(dir, "zvol", "tank"), 0o700) },
		func() error { return os.Symlink("nowhere", path) },
		func() error { return errors.Join(os.Symlink("/", path+".tmp"), os.Rename(path+".tmp", path)) }, // as udev does it
	}
	err := watch(t.Context(), path, func() bool {
		if _, err := os.Stat(path); err == nil {
			return true
		}
		if len(steps) > 0 {
			if err := steps[0](); err != nil {
				t.Error(err)
			}
			steps = steps[1:]
		}
		return false
	})
	if err != nil || len(steps) > 0 {
		t.Errorf("%v, %d steps left", err, len(steps))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := watch(ctx, path, func() bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("what never comes: %v", err)
	}
}

func TestUser(t *testing.T) {
	f, err := os.Open("/dev/full") // which hardly anybody has open
	if err != nil {
		t.Skip(err)
	}
	if who, err := (linux{}).user("/dev/full"); err != nil || who != fmt.Sprintf("process %d", os.Getpid()) {
		t.Errorf("%q, %v", who, err)
	}
	f.Close()
	if who, err := (linux{}).user("/dev/full"); err != nil || who != "" {
		t.Errorf("%q, %v", who, err)
	}
	if err := isVolume("/dev/full", "tank/a"); err == nil {
		t.Error("it is no volume")
	}
}
