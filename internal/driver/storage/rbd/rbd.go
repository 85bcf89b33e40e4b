// Package rbd keeps disks as images of a Ceph cluster's RADOS block device (RBD), in a pool
// that an operator gave: by the commands rbd and ceph, for no module of this kernel and no
// library is needed; guests open them by QEMU's own driver.
//
//	d-<id>               a disk
//	i-<digest>.<bytes>   a cached image
//	p-<owner>.<…>        what is to become one of these; or to be read and forgotten
//
// Clones share blocks with the image that they are of. What has clones when it is removed goes
// to the pool's trash, and from there when the last of them does. What is in the making when a
// process dies is swept by New.
package rbd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/namelock"
)

// Config is what a Driver is made of.
type Config struct {
	Pool    string // of the cluster; made for RBD ('rbd pool init')
	User    string // without "client."; "" is admin
	Conf    string // the cluster's configuration; "" is /etc/ceph/ceph.conf
	Keyring string // with the user's key; "" is /etc/ceph/ceph.client.USER.keyring
	Owner   string // who names what is in the making, and sweeps it: letters, digits and -
	Tmp     string // a folder for what is converted; it is made
	Kitchen file.Kitchen
}

// Driver keeps disks in a pool. It is safe for concurrent use.
type Driver struct {
	Config
	locks namelock.Locks
}

var _ storage.Driver = (*Driver)(nil)

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
	pathForm = regexp.MustCompile(`^/[A-Za-z0-9._/-]+$`)
)

// New makes a driver over a pool that is there, and sweeps what a crash left. Invalid,
// NotFound, Unavailable, Unsupported.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	const op = "storage.New"
	if cfg.User == "" {
		cfg.User = "admin"
	}
	if cfg.Conf == "" {
		cfg.Conf = "/etc/ceph/ceph.conf"
	}
	if cfg.Keyring == "" {
		cfg.Keyring = "/etc/ceph/ceph.client." + cfg.User + ".keyring"
	}
	if !nameForm.MatchString(cfg.Pool) || !nameForm.MatchString(cfg.User) || !pathForm.MatchString(cfg.Conf) || !pathForm.MatchString(cfg.Keyring) {
		return nil, cloud.E(op, cloud.Invalid, "the pool %q, the user %q, the configuration %q or the keyring %q is malformed: names have letters, digits, '.', '_' and '-', files an absolute path of these", cfg.Pool, cfg.User, cfg.Conf, cfg.Keyring)
	}
	if err := os.MkdirAll(cfg.Tmp, 0o700); err != nil {
		return nil, cloud.E(op, cloud.Internal, "the folder for what is converted cannot be made: %w", err)
	}
	d := &Driver{Config: cfg}
	return d, d.sweep(ctx)
}

// sweep finishes what has all its bytes and only lacks its name, and removes the rest of what
// was in the making.
func (d *Driver) sweep(ctx context.Context) error {
	all, err := d.list(ctx)
	if err != nil {
		return err
	}
	for name := range all {
		if !strings.HasPrefix(name, "p-"+d.Owner+".") {
			continue
		}
		if to, err := d.rbd(ctx, "image-meta", "get", d.at(name), metaTo); err == nil {
			if _, there := all[strings.TrimSpace(to)]; !there {
				if _, err := d.rbd(ctx, "rename", d.at(name), d.at(strings.TrimSpace(to))); err != nil {
					return err
				}
				continue
			}
		}
		if err := d.drop(ctx, name); err != nil {
			return err
		}
	}
	return d.emptyTrash(ctx)
}

// metaTo is the note of a part that it is whole, and what it is to be called.
const metaTo = "hearth.to"

// at is an image as the commands name it.
func (d *Driver) at(name string) string { return d.Pool + "/" + name }

// path is an image as QEMU names it (https://www.qemu.org/docs/master/system/images.html).
func (d *Driver) path(name string) string {
	return fmt.Sprintf("rbd:%s/%s:id=%s:conf=%s:keyring=%s", d.Pool, name, d.User, d.Conf, d.Keyring)
}

// command is a tool of Ceph's. A cluster that does not answer is given up after half a minute.
func (d *Driver) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	words := append([]string{"--conf", d.Conf, "--id", d.User, "--keyring", d.Keyring, "--client-mount-timeout", "30"}, args...)
	cmd := exec.CommandContext(ctx, name, words...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "CEPH_ARGS=")
	return cmd
}

// rbd runs the command rbd and gives what it printed.
func (d *Driver) rbd(ctx context.Context, args ...string) (string, error) {
	return d.run(ctx, nil, "rbd", args...)
}

func (d *Driver) run(ctx context.Context, in io.Reader, name string, args ...string) (string, error) {
	cmd := d.command(ctx, name, args...)
	var printed, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &printed, &errs
	err := cmd.Run()
	return printed.String(), told(ctx, name, args[0], errs.String(), err)
}

// told gives the error of a command its kind: they end with the error's number.
func told(ctx context.Context, name, verb, said string, err error) error {
	const op = "storage.rbd"
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return cloud.E(op, cloud.Unavailable, "stopped before it was done: %w", ctx.Err())
	case errors.Is(err, exec.ErrNotFound):
		return cloud.E(op, cloud.Unsupported, "%s cannot be run: %w; install the package ceph-common", name, err)
	case !errors.As(err, &ended):
		return hostError(err)
	}
	said = strings.TrimSpace(said)
	if lines := strings.Split(said, "\n"); len(lines) > 3 {
		said = strings.Join(lines[len(lines)-3:], "\n")
	}
	kind := cloud.Internal
	switch syscall.Errno(ended.ExitCode()) {
	case syscall.ENOENT:
		kind = cloud.NotFound
	case syscall.ENOSPC, syscall.EDQUOT:
		kind = cloud.NoCapacity
	case syscall.ENOTEMPTY, syscall.EBUSY, syscall.EEXIST:
		kind = cloud.Conflict
	case syscall.ETIMEDOUT, syscall.ECONNREFUSED, syscall.ENOTCONN:
		kind = cloud.Unavailable
	}
	return cloud.E(op, kind, "%s %s: %w: %s", name, verb, err, said)
}

// hostError gives an error of the operating system its kind.
func hostError(err error) error {
	if known := storage.HostError("storage.rbd", "the disk where images are converted is full", err); known != nil || err == nil {
		return known
	}
	return cloud.E("storage.rbd", cloud.Unavailable, "%w", err)
}

// list gives the sizes of the pool's images, in bytes.
func (d *Driver) list(ctx context.Context) (map[string]int64, error) {
	out, err := d.rbd(ctx, "ls", "--long", "--format", "json", d.Pool)
	if cloud.Is(err, cloud.NotFound) {
		if _, missing := d.rbd(ctx, "pool", "stats", d.Pool); cloud.Is(missing, cloud.NotFound) {
			return nil, cloud.E("storage.rbd", cloud.NotFound, "the cluster has no pool %s: make one with 'ceph osd pool create' and 'rbd pool init'", d.Pool)
		}
		out, err = d.rbd(ctx, "ls", "--long", "--format", "json", d.Pool) // an image went while they were listed
	}
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Image    string `json:"image"`
		Snapshot string `json:"snapshot"`
		Size     int64  `json:"size"`
	}
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		return nil, cloud.E("storage.rbd", cloud.Internal, "rbd ls printed what is no list: %w", err)
	}
	all := map[string]int64{}
	for _, r := range rows {
		if r.Snapshot == "" {
			all[r.Image] = r.Size
		}
	}
	return all, nil
}

// info is what is known of an image.
type info struct {
	Size   int64           `json:"size"`
	Parent json.RawMessage `json:"parent"` // of a clone
}

func (d *Driver) info(ctx context.Context, name string) (i info, err error) {
	out, err := d.rbd(ctx, "info", "--format", "json", d.at(name))
	if err != nil {
		return i, err
	}
	if err := json.Unmarshal([]byte(out), &i); err != nil {
		return i, cloud.E("storage.rbd", cloud.Internal, "rbd info printed what is no image: %w", err)
	}
	return i, nil
}

// Usage implements storage.Driver.
func (d *Driver) Usage(ctx context.Context) (total, free int64, err error) {
	out, err := d.run(ctx, nil, "ceph", "df", "--format", "json", "--connect-timeout", "30")
	if err != nil {
		return 0, 0, err
	}
	var df struct {
		Pools []struct {
			Name  string `json:"name"`
			Stats struct {
				Stored   int64 `json:"stored"`
				MaxAvail int64 `json:"max_avail"`
			} `json:"stats"`
		} `json:"pools"`
	}
	if err := json.Unmarshal([]byte(out), &df); err != nil {
		return 0, 0, cloud.E("storage.rbd", cloud.Internal, "ceph df printed what is no usage: %w", err)
	}
	for _, p := range df.Pools {
		if p.Name == d.Pool {
			return p.Stats.Stored + p.Stats.MaxAvail, p.Stats.MaxAvail, nil
		}
	}
	return 0, 0, cloud.E("storage.Usage", cloud.Unavailable, "the cluster does not say yet how full the pool %s is; does its manager (ceph-mgr) run?", d.Pool)
}
