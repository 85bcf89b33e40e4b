// Package plugin keeps disks where a program of somebody else's puts them: a
// storage plug-in, which Hearth starts and asks over its standard input and output.
// docs/storage-plugins.md is the protocol for those who write one; Client speaks it,
// Driver makes of its few verbs what a storage.Driver is to do.
//
// The plug-in makes, grows, clones, renames and removes; what is on a disk Hearth
// writes itself, to the path that the plug-in gives. These are the names of its disks:
//
//	d-<id>                  a disk
//	i-<digest>.<bytes>      a cached image
//	p-<owner>.<id>          what is in the making, or to be read and forgotten
//
// A disk gets its name when all is on it; what a crash leaves has the name of a part,
// and is removed by New.
package plugin

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/namelock"
)

// Config is what a Driver is made of.
type Config struct {
	Path    string            // of the program, absolute
	Options map[string]string // for the program
	Owner   string            // who names what is in the making, and sweeps it: letters, digits and -
	Tmp     string            // a folder for what is converted; it is made
	Kitchen file.Kitchen
	Clock   cloud.Clock
	Log     *slog.Logger
	// Quick and Long are how long the program may take: to say something, and to
	// make, clone, grow or remove a disk. One that takes longer is killed. 0: 30
	// seconds and 10 minutes.
	Quick, Long time.Duration
}

// Driver keeps disks by a plug-in. It is safe for concurrent use.
type Driver struct {
	Config
	client *Client
	locks  namelock.Locks
}

var _ storage.Driver = (*Driver)(nil)

// New starts the program, asks what it can do, and sweeps what a crash left.
// Unavailable, Unsupported.
func New(ctx context.Context, cfg Config) (*Driver, error) {
	if cfg.Quick == 0 {
		cfg.Quick = 30 * time.Second
	}
	if cfg.Long == 0 {
		cfg.Long = 10 * time.Minute
	}
	if err := os.MkdirAll(cfg.Tmp, 0o700); err != nil {
		return nil, cloud.E("storage.New", cloud.Internal, "the folder for what is converted cannot be made: %w", err)
	}
	d := &Driver{Config: cfg, client: NewClient(cfg)}
	all, err := d.list(ctx)
	for _, one := range all {
		if err == nil && strings.HasPrefix(one.Name, "p-"+cfg.Owner+".") {
			err = d.drop(ctx, one.Name)
		}
	}
	if err != nil {
		d.client.abandon()
		return nil, err
	}
	return d, nil
}

// Close ends the program.
func (d *Driver) Close() { d.client.Close() }

// Thin tells whether disks take what was written to them, as far as the program has
// said.
func (d *Driver) Thin() bool { return d.client.Can("thin") }

// The verbs, with their answers checked.

type one struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// check refuses what cannot be the answer for a disk of that name and size.
func (o one) check(name string, size int64) error {
	if o.Name == name && strings.HasPrefix(o.Path, "/") && o.Size > 0 && o.Size%512 == 0 && o.Size >= size {
		return nil
	}
	return cloud.E("storage.Plugin", cloud.Internal, "the storage plug-in gives the disk %s of %d bytes at %q where %s of at least %d, in sectors of 512, with an absolute path was asked for", o.Name, o.Size, o.Path, name, size)
}

func (d *Driver) get(ctx context.Context, name string) (o one, err error) {
	if err = d.client.Call(ctx, d.Quick, "get", map[string]any{"name": name}, &o); err == nil {
		err = o.check(name, 0)
	}
	return o, err
}

func (d *Driver) list(ctx context.Context) ([]one, error) {
	var answer struct {
		Disks []one `json:"disks"`
	}
	err := d.client.Call(ctx, d.Quick, "list", map[string]any{}, &answer)
	for _, o := range answer.Disks {
		if err == nil {
			err = o.check(o.Name, 0)
		}
	}
	return answer.Disks, err
}

// slow calls a verb that may take long, and checks the disk that it answers.
func (d *Driver) slow(ctx context.Context, verb, name string, size int64, params map[string]any) (o one, err error) {
	if err = d.client.Call(ctx, d.Long, verb, params, &o); err == nil {
		err = o.check(name, size)
	}
	return o, err
}

func (d *Driver) drop(ctx context.Context, name string) error {
	return d.client.Call(ctx, d.Long, "remove", map[string]any{"name": name}, nil)
}

// Usage implements storage.Driver.
func (d *Driver) Usage(ctx context.Context) (total, free int64, err error) {
	var answer struct {
		Total int64 `json:"total"`
		Free  int64 `json:"free"`
	}
	err = d.client.Call(ctx, d.Quick, "usage", map[string]any{}, &answer)
	if err == nil && (answer.Total < 0 || answer.Free < 0 || answer.Free > answer.Total) {
		err = cloud.E("storage.Usage", cloud.Internal, "the storage plug-in says that %d of %d bytes are free", answer.Free, answer.Total)
	}
	return answer.Total, answer.Free, err
}
