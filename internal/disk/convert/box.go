package convert

import (
	"context"
	"os"

	"hearth/internal/disk"
	"hearth/internal/disk/ova"
)

// Box makes a box of Vagrant, for libvirt or for VirtualBox, with the source as its
// disk. Of what m does not say, a source that is a package itself does.
func Box(ctx context.Context, run *disk.Runner, opt Options, m ova.Machine, provider string) (*Result, error) {
	opt.Format, m.Name = disk.QCOW2, "box"
	switch {
	case provider == ova.VirtualBox:
		opt.Format, opt.Compress = disk.VMDK, ""
	case provider != ova.Libvirt:
		return nil, refuse("a box is made for %s or %s, not for %.40q", ova.Libvirt, ova.VirtualBox, provider)
	case opt.Output != nil || opt.Device:
		return nil, refuse("a box is made as a file: its disk's size comes before the disk")
	}
	return packaged(ctx, run, opt, "box", m, func(f *os.File, m *ova.Machine, image string, size int64) error {
		return ova.WriteBox(ctx, f, *m, provider, image, size)
	})
}
