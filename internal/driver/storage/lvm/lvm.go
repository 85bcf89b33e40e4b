// Package lvm keeps disks as logical volumes of a volume group that an operator
// gave: thick ones, or thin ones of a thin pool in it, where clones and snapshots
// share what they have in common.
//
// The group is named by its UUID, for names change hands; it is never renamed,
// extended, wiped or made. Of the logical volumes in it, those with a tag of
// Hearth's are Hearth's, and no other is ever changed, but for one that an
// operator asks to have adopted.
//
//	h-<id>   tag hearth.disk    a disk
//	i-<…>    tag hearth.image   a cached image; hearth.digest=… and hearth.size=… say which
//	p-<…>    tag hearth.part    what is to take the place of a disk; or to be read and forgotten
//
// A volume becomes a disk by its tag, when all is on it; until then it has the tag
// hearth.part, and is removed by New. Thick ones are zeroed before, so that nobody
// reads what others have left.
package lvm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/namelock"
)

// Config is what a Driver is made of.
type Config struct {
	Group   string // the UUID of the volume group
	Pool    string // the thin pool in it; "" for thick volumes
	Tmp     string // a folder for what is converted; it is made
	Kitchen file.Kitchen
}

// Driver keeps disks in a volume group. It is safe for concurrent use.
type Driver struct {
	Config
	locks namelock.Locks
}

// The tags of Hearth's volumes.
const (
	tagDisk   = "hearth.disk"
	tagImage  = "hearth.image"
	tagPart   = "hearth.part"
	tagDigest = "hearth.digest="
	tagSize   = "hearth.size="
	tagWas    = "hearth.was=" // the size, in bytes, before a growth that is under way
)

var (
	idForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,100}$`)
)

// New makes a driver over a volume group that is there. What was in the making when
// the last process died is removed, and disks that the host did not activate when
// it booted are. NotFound, Conflict, Unavailable, Unsupported.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	d := &Driver{Config: cfg}
	g, err := d.writable(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.checkPool(g); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.Tmp, 0o700); err != nil {
		return nil, hostError(err)
	}
	for _, v := range g.LVs {
		switch {
		case v.has(tagPart):
			err = d.lvm(ctx, "lvremove", "--yes", g.Name+"/"+v.Name)
		case v.own() && !v.active():
			err = d.lvm(ctx, "lvchange", "--activate", "y", "--ignoreactivationskip", g.Name+"/"+v.Name)
		}
		if err != nil {
			return nil, err
		}
	}
	return d, nil
}

// checkPool looks whether the thin pool is there and zeroes what it gives, so that
// nobody reads what others have left.
func (d *Driver) checkPool(g group) error {
	const op = "storage.New"
	v, there := g.find(d.Pool)
	switch {
	case d.Pool == "":
		return nil
	case !there || !v.pool():
		return cloud.E(op, cloud.NotFound, "the volume group %s has no thin pool %s: make one with 'lvcreate --type thin-pool', or name another", g.Name, d.Pool)
	case at(v.Attr, 7) != 'z':
		return cloud.E(op, cloud.Conflict, "the thin pool %s/%s does not zero new blocks, so that volumes would show what others have left: 'lvchange --zero y %s/%s'", g.Name, d.Pool, g.Name, d.Pool)
	}
	return nil
}

// command runs a tool of LVM's and gives what it printed.
func (d *Driver) command(ctx context.Context, name string, args ...string) (out []byte, warned string, err error) {
	const op = "storage.lvm"
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "LVM_SUPPRESS_FD_WARNINGS=1")
	var printed, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &errs
	err = cmd.Run()
	switch said := strings.TrimSpace(errs.String()); {
	case err == nil:
		return printed.Bytes(), said, nil
	case ctx.Err() != nil:
		return nil, said, cloud.E(op, cloud.Unavailable, "stopped before it was done: %w", ctx.Err())
	case strings.Contains(said, "nsufficient free space") || strings.Contains(said, "nsufficient free extents"):
		return nil, said, cloud.E(op, cloud.NoCapacity, "the volume group is full: %s", said)
	case cmd.ProcessState == nil:
		return nil, said, cloud.E(op, cloud.Unsupported, "%s cannot be run: %w; install the package lvm2", name, err)
	default:
		return nil, said, cloud.E(op, cloud.Internal, "%s: %w: %s", name, err, said)
	}
}

// lvm runs a tool for what it does.
func (d *Driver) lvm(ctx context.Context, name string, args ...string) error {
	_, _, err := d.command(ctx, name, append([]string{"--quiet"}, args...)...)
	return err
}

// group finds the volume group by its UUID, whatever its name is by now.
func (d *Driver) group(ctx context.Context) (group, error) {
	out, warned, err := d.command(ctx, "lvm", append([]string{"fullreport", "--reportformat", "json", "--units", "b", "--nosuffix"}, reportFields...)...)
	if err != nil {
		return group{}, err
	}
	all, err := parseReport(out)
	if err != nil {
		return group{}, err
	}
	return choose(all, warned, d.Group)
}

// writable is group for those who will change something in it.
func (d *Driver) writable(ctx context.Context) (group, error) {
	g, err := d.group(ctx)
	return g, errors.Join(err, g.changeable())
}

// fullAt is how full a thin pool, in percent, gets no more volumes: one that is
// full fails the writes of all guests.
const fullAt = 97

// room is NoCapacity for a thin pool that is as good as full.
func (d *Driver) room(g group) error {
	if d.Pool == "" {
		return nil
	}
	v, _ := g.find(d.Pool)
	if v.DataPercent < fullAt && v.Metadata < fullAt {
		return nil
	}
	return cloud.E("storage.lvm", cloud.NoCapacity, "the thin pool %s/%s is full: %.0f %% of its data and %.0f %% of its metadata; extend it with lvextend, or remove volumes", g.Name, d.Pool, v.DataPercent, v.Metadata)
}

// bytesOf writes a size as LVM takes it.
func bytesOf(n int64) string { return fmt.Sprintf("%db", n) }
