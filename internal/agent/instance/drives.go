package instance

import (
	"context"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// rescued tells whether an instance is started by a rescue image now, before all
// else that it could boot from.
func rescued(spec cloud.InstanceSpec) bool { return spec.Intent.Disk.Why == cloud.DiskRescue }

// drives are the CD-ROMs that hold an image: the very file of the node's cache,
// which nobody writes to.
func (w *worker) drives(ctx context.Context, spec cloud.InstanceSpec) (out []hypervisor.Disk, err error) {
	for i, cd := range spec.CDs {
		image, err := w.image(ctx, cd.Image)
		if err != nil {
			return nil, err
		}
		d := hypervisor.Disk{ID: "cd" + strconv.Itoa(i), Path: image.Path, Format: hypervisor.FormatRaw, Bus: cd.Bus, CDROM: true, ReadOnly: true}
		if cd.BootIndex > 0 && !rescued(spec) {
			d.BootIndex = 1 + cd.BootIndex
		}
		out = append(out, d)
	}
	return out, nil
}
