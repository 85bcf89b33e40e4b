package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/fake"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/lvm"
	"hearth/internal/driver/storage/plugin"
	"hearth/internal/driver/storage/pools"
	"hearth/internal/driver/storage/rbd"
	"hearth/internal/driver/storage/zfs"
)

// backends are the pools for volumes that the configuration names, beside the
// node's own directory.
func backends(cfg *config.Config, log *slog.Logger) (list []pools.Pool) {
	for _, b := range cfg.Volume.Backends {
		if b.Name == config.HostBackend {
			continue
		}
		p := pools.Pool{Name: b.Name, Protocol: b.Kind(), Thin: b.Kind() != "lvm" || b.Pool != ""}
		p.Open = func(ctx context.Context) (storage.Driver, error) {
			return openBackend(ctx, b, place{sub: "hearth", owner: cfg.Node, tmp: filepath.Join(cfg.Paths().Node(), "tmp", b.Name), log: log})
		}
		if b.Kind() == "nfs" {
			p.Ready = func() error { return file.Mounted(b.Dir) }
		}
		list = append(list, p)
	}
	return list
}

// place is where in a backend a driver works.
type place struct {
	sub   string // of a directory
	owner string // of what is in the making
	tmp   string // a folder for what is converted
	log   *slog.Logger
}

// openBackend opens the driver of a backend.
func openBackend(ctx context.Context, b config.Backend, at place) (storage.Driver, error) {
	kitchen := file.DiskRoom{Runner: &disk.Runner{}}
	switch b.Kind() {
	case "lvm":
		return lvm.New(ctx, lvm.Config{Group: b.Group, Pool: b.Pool, Tmp: at.tmp, Kitchen: kitchen})
	case "zfs":
		return zfs.New(ctx, zfs.Config{Dataset: b.Dataset, BlockSize: b.Options["volblocksize"], Owner: at.owner, Tmp: at.tmp, Kitchen: kitchen})
	case "rbd":
		return rbd.New(ctx, rbd.Config{
			Pool: b.Pool, User: b.Options["user"], Conf: b.Options["conf"], Keyring: b.Options["keyring"], Owner: at.owner, Tmp: at.tmp, Kitchen: kitchen,
		})
	case "plugin":
		return plugin.New(ctx, plugin.Config{
			Path: b.Plugin, Options: b.Options, Owner: at.owner, Tmp: at.tmp, Kitchen: kitchen, Clock: cloud.SystemClock{}, Log: at.log,
		})
	case "nfs":
		if err := file.CheckMount(b.Dir); err != nil {
			return nil, err
		}
	}
	return openDir(b.Dir, at.sub)
}

// openDir opens a directory of the operator's. That it is missing is his mistake,
// or a disk that is not mounted: it is not made.
func openDir(dir, sub string) (storage.Driver, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, cloud.E("storage.New", cloud.Unavailable, "the directory of the volumes cannot be read: %w", err)
	}
	at := filepath.Join(dir, sub)
	return file.New(file.Config{
		Paths:   file.Paths{Images: filepath.Join(at, "images"), Disks: filepath.Join(at, "disks"), Tmp: filepath.Join(at, "tmp")},
		Kitchen: file.DiskRoom{Runner: &disk.Runner{}},
	})
}

// fakeBackends are those of a cloud in memory: whatever their drivers, they are as
// the rest of it is.
func fakeBackends(list config.Backends, dir string) (out []pools.Pool) {
	for _, b := range list {
		if b.Name == config.HostBackend {
			continue
		}
		out = append(out, pools.Pool{Name: b.Name, Protocol: b.Kind(), Thin: b.Kind() != "lvm" || b.Pool != "", Open: func(context.Context) (storage.Driver, error) {
			return fake.Open(filepath.Join(dir, "backends", b.Name))
		}})
	}
	return out
}
