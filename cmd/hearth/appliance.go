package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"hearth/internal/bake"
	"hearth/internal/disk"
	"hearth/internal/disk/appliance"
	"hearth/internal/driver/hypervisor/qemu"
)

// imageRunner runs the tools of an image command; one of them may take so long. XFS, btrfs
// and f2fs are worked on by the appliance, which is made at the first use.
func imageRunner(timeout time.Duration) *disk.Runner {
	a := &appliance.Appliance{Parts: applianceParts, Accel: func(ctx context.Context) string {
		caps, err := qemu.New(qemu.Options{Accel: cmp.Or(os.Getenv("HEARTH_APPLIANCE_ACCEL"), "auto"), CacheDir: cacheDir()}).Probe(ctx)
		if err != nil {
			return "tcg"
		}
		return caps.Accel
	}}
	return &disk.Runner{Timeout: timeout, FileSystems: a}
}

// toldRunner is imageRunner whose appliance says how far it is with copying files.
func toldRunner(w io.Writer, timeout time.Duration) *disk.Runner {
	run := imageRunner(timeout)
	if a, ok := run.FileSystems.(*appliance.Appliance); ok {
		tell := stepProgress(w)
		a.Tell = func(_, bytes int64) {
			if bytes > 0 { // it boots before
				tell("copy files", bytes, 0)
			}
		}
	}
	return run
}

// applianceParts gives those in the folder HEARTH_APPLIANCE, else makes some whose kernel
// mounts the kinds.
func applianceParts(ctx context.Context, kinds []string) (appliance.Parts, error) {
	if dir := os.Getenv("HEARTH_APPLIANCE"); dir != "" {
		return appliance.PartsIn(dir), nil
	}
	return bake.Appliance(ctx, bake.Options{CacheDir: filepath.Join(cacheDir(), "bake")}, kinds)
}

// cacheDir is the user's folder for what can be made again; a private one among the
// temporary files if the user has none.
func cacheDir() string {
	if home, err := os.UserCacheDir(); err == nil && os.MkdirAll(filepath.Join(home, "hearth"), 0o755) == nil {
		return filepath.Join(home, "hearth")
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("hearth-cache-%d", os.Geteuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return dir // its first user says what is wrong
	}
	st, err := os.Lstat(dir)
	if err != nil || !st.IsDir() || st.Mode().Perm()&0o077 != 0 || int(st.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		return filepath.Join(dir, "is-not-yours") // what others can write to is not started from
	}
	return dir
}
