package bake

import (
	"context"
	"fmt"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/hybrid"
)

const (
	firmwareBIOS   = "bios"
	firmwareHybrid = "hybrid"
)

func checkFirmware(f string) error {
	switch f {
	case "", firmwareBIOS, firmwareHybrid:
		return nil
	}
	return fmt.Errorf("bake: the firmware %q is not known here; say bios, or hybrid for UEFI too", f)
}

// besides is what the disk has besides its root, bytes.
func (o *oven) besides() int64 {
	if o.Firmware == firmwareHybrid {
		return hybrid.Size(0) + 1<<20 // the root is rounded up to whole MiB
	}
	return gap
}

// hybrid makes the raw disk that boots under BIOS and UEFI.
func (o *oven) hybrid(ctx context.Context, sys *system, root string, size int64) (string, error) {
	path := filepath.Join(o.work, "disk")
	done := o.steps.begin("put the hybrid disk together", size)
	err := hybrid.Make(ctx, &o.run, hybrid.Disk{Path: path, Root: root, UUID: sys.uuid, Work: o.work})
	if err == nil {
		err = o.run.Inject(ctx, []disk.Layer{{Path: path, Format: disk.Raw}}, sys.boot)
	}
	return path, done.end(err)
}
