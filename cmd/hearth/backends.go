package main

import (
	"context"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/fake"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/lvm"
	"hearth/internal/driver/storage/pools"
)

// backends are the pools for volumes that the configuration names, beside the
// node's own directory.
func backends(cfg *config.Config) (list []pools.Pool) {
	for _, b := range cfg.Volume.Backends {
		p := pools.Pool{Name: b.Name, Protocol: b.Driver, Thin: true}
		switch {
		case b.Name == config.HostBackend:
			continue
		case b.Driver == "lvm":
			p.Thin = b.Pool != ""
			p.Open = func(ctx context.Context) (storage.Driver, error) {
				return lvm.New(ctx, lvm.Config{
					Group: b.Group, Pool: b.Pool, Tmp: filepath.Join(cfg.Paths().Node(), "tmp", b.Name), Kitchen: file.DiskRoom{Runner: &disk.Runner{}},
				})
			}
		case b.Driver == "nfs":
			p.Open, p.Ready = func(context.Context) (storage.Driver, error) { return openShare(b.Dir) }, func() error { return file.Mounted(b.Dir) }
		default:
			p.Open = func(context.Context) (storage.Driver, error) { return openDir(b.Dir) }
		}
		list = append(list, p)
	}
	return list
}

// openShare opens a share that is mounted and knows locks.
func openShare(dir string) (storage.Driver, error) {
	if err := file.CheckMount(dir); err != nil {
		return nil, err
	}
	return openDir(dir)
}

// openDir opens a directory of the operator's. That it is missing is his mistake,
// or a disk that is not mounted: it is not made.
func openDir(dir string) (storage.Driver, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, cloud.E("storage.New", cloud.Unavailable, "the directory of the volumes cannot be read: %w", err)
	}
	at := filepath.Join(dir, "hearth")
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
		out = append(out, pools.Pool{Name: b.Name, Protocol: b.Driver, Thin: b.Driver != "lvm" || b.Pool != "", Open: func(context.Context) (storage.Driver, error) {
			return fake.Open(filepath.Join(dir, "backends", b.Name))
		}})
	}
	return out
}
