package bake

import (
	"context"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
)

const gap = bootdisk.Gap

// bootable makes the raw disk: the root file system, with the boot files, in its
// one partition.
func (o *oven) bootable(ctx context.Context, sys *system, root string, size int64) (string, error) {
	if o.Firmware == firmwareHybrid {
		return o.hybrid(ctx, sys, root, size)
	}
	head, err := bootdisk.Head(ctx, &o.run, o.work, gap+size, 0)
	if err != nil {
		return "", err
	}
	path := filepath.Join(o.work, "disk")
	done := o.steps.begin("put the disk together", size)
	if err := bootdisk.Join(path, head, root); err != nil {
		return "", done.end(err)
	}
	err = o.run.Inject(ctx, []disk.Layer{{Path: path, Format: disk.Raw}}, sys.boot)
	return path, done.end(err)
}
