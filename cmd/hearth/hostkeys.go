package main

import (
	"context"
	"path/filepath"

	"hearth/internal/agent/instance"
	"hearth/internal/disk"
	"hearth/internal/disk/inject"
	"hearth/internal/driver/storage"
)

// hostKeys makes the ssh host keys of root disks their own, where there are some and
// nothing in the guest that makes others.
type hostKeys struct{ run *disk.Runner }

var _ instance.HostKeys = hostKeys{}

// chainOf are the layers of a disk.
func chainOf(d storage.Disk) []disk.Layer {
	chain := []disk.Layer{{Path: d.Path, Format: disk.Format(d.Format)}}
	if d.Backing != "" {
		chain = append(chain, disk.Layer{Path: d.Backing, Format: disk.Raw})
	}
	return chain
}

// Renew implements instance.HostKeys.
func (h hostKeys) Renew(ctx context.Context, image storage.Image, root storage.Disk) ([]string, error) {
	if !inject.SharesHostKeys(ctx, h.run, disk.Layer{Path: image.Path, Format: disk.Format(image.Format)}) {
		return nil, nil
	}
	return inject.RenewHostKeys(ctx, h.run, chainOf(root))
}

// Draft implements instance.HostKeys. A disk that cannot be read, or is broken, or so
// large that its check takes longer than tools may, is the guest's own affair.
func (h hostKeys) Draft(ctx context.Context, root storage.Disk, log string) (shown []string, left string, err error) {
	if !filepath.IsAbs(root.Path) {
		return nil, "its storage shows it neither as a file nor as a block device of this host", nil
	}
	shown, err = inject.DraftHostKeys(ctx, h.run, chainOf(root), root.Size, log)
	if ctx.Err() != nil { // given up: that says nothing of the disk
		return nil, "", err
	}
	switch disk.KindOf(err) {
	case disk.Unsupported, disk.Refused, disk.TooBig, disk.ToolMissing, disk.TimedOut:
		return nil, err.Error(), nil
	}
	return shown, "", err
}

// Apply implements instance.HostKeys.
func (h hostKeys) Apply(ctx context.Context, root storage.Disk, log string) error {
	return h.run.Redo(ctx, chainOf(root), log)
}
