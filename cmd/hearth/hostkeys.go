package main

import (
	"context"

	"hearth/internal/disk"
	"hearth/internal/disk/inject"
	"hearth/internal/driver/storage"
)

// hostKeys makes the ssh host keys of a new root disk its own, where its image has some
// and nothing in it that makes others.
func hostKeys(run *disk.Runner) func(context.Context, storage.Image, storage.Disk) ([]string, error) {
	return func(ctx context.Context, image storage.Image, root storage.Disk) ([]string, error) {
		if !inject.SharesHostKeys(ctx, run, disk.Layer{Path: image.Path, Format: disk.Format(image.Format)}) {
			return nil, nil
		}
		chain := []disk.Layer{{Path: root.Path, Format: disk.Format(root.Format)}}
		if root.Backing != "" {
			chain = append(chain, disk.Layer{Path: root.Backing, Format: disk.Raw})
		}
		return inject.RenewHostKeys(ctx, run, chain)
	}
}
