package zfs

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// host is what the driver asks of the machine.
type host interface {
	// run runs a command of ZFS's and gives what it printed.
	run(ctx context.Context, name string, args ...string) (string, error)
	// appear gives the path of the block device of a volume, by its whole name, when it is there.
	appear(ctx context.Context, volume string) (string, error)
	// path is where that is to be.
	path(volume string) string
	// settle waits until what has happened to devices is known to all who watch them.
	settle(ctx context.Context)
	// user says who has the device open; "" for nobody.
	user(path string) (string, error)
}

// linux is this host.
type linux struct{}

// mostPrinted is what a command may print, in bytes: about 100 000 volumes.
const mostPrinted = 256 << 20

func (linux) run(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = 10 * time.Second
	printed, errs := bounded{max: mostPrinted}, bounded{max: 64 << 10}
	cmd.Stdout, cmd.Stderr = &printed, &errs
	err := cmd.Run()
	return printed.String(), told(ctx, name+" "+args[0], errs.String(), err)
}

// bounded keeps what is written to it up to a limit.
type bounded struct {
	bytes.Buffer
	max int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.max {
		return 0, errors.New("more is printed than can be meant")
	}
	return b.Buffer.Write(p)
}

// sayings are what the commands say, in the language C and here in small letters, of errors that
// have a kind: their exit status is 1 for all of them. See zfs_standard_error and
// libzfs_error_description of libzfs_util.c.
var sayings = []struct {
	says string
	kind cloud.Kind
}{
	{"dataset does not exist", cloud.NotFound}, {"no such pool", cloud.NotFound}, {"could not find any snapshots to destroy", cloud.NotFound},
	{"dataset already exists", cloud.Conflict}, {"is busy", cloud.Conflict}, {"has children", cloud.Conflict}, {"dependent clones", cloud.Conflict},
	{"out of space", cloud.NoCapacity}, {"quota exceeded", cloud.NoCapacity}, {"no space left on device", cloud.NoCapacity},
	{"modules are not loaded", cloud.Unsupported}, {"cannot be auto-loaded", cloud.Unsupported}, {"/dev/zfs and /proc/self/mounts are required", cloud.Unsupported},
	{"permission denied", cloud.Unavailable}, {"is currently suspended", cloud.Unavailable}, {"is read only", cloud.Unavailable}, {"read-only", cloud.Unavailable},
	{"key must be loaded", cloud.Unavailable}, {"key is not loaded", cloud.Unavailable},
}

// told gives the error of a command its kind.
func told(ctx context.Context, what, said string, err error) error {
	const op = "storage.zfs"
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return cloud.E(op, cloud.Unavailable, "stopped before it was done: %w", ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return cloud.E(op, cloud.Unsupported, "%s cannot be run: %w; install the package zfsutils-linux, and ZFS for this kernel (zfs-dkms)", what, err)
	}
	said = strings.TrimSpace(said)
	for _, s := range sayings {
		if strings.Contains(strings.ToLower(said), s.says) {
			return cloud.E(op, s.kind, "%s: %w: %s", what, err, said)
		}
	}
	return cloud.E(op, cloud.Internal, "%s: %w: %s", what, err, said)
}

// hostError gives an error of the operating system its kind.
func hostError(err error) error {
	if known := storage.HostError("storage.zfs", "the pool is full, or the disk where images are converted", err); known != nil || err == nil {
		return known
	}
	return cloud.E("storage.zfs", cloud.Internal, "%w", err)
}

// zfs runs the command zfs for what it does.
func (d *Driver) zfs(ctx context.Context, args ...string) error {
	_, err := d.host.run(ctx, "zfs", args...)
	return err
}
