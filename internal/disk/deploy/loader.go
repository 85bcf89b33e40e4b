package deploy

import (
	"context"
	"path/filepath"

	"hearth/internal/disk/bootloader"
	"hearth/internal/disk/convert"
	"hearth/internal/disk/tree"
)

// byLoader tells whether the definition names a boot loader: the image of a tree is
// then made a whole disk first, by package convert, and goes the way of those.
func (b *build) byLoader() bool { return b.spec.ByLoader() && b.report.Type != "qemu" }

// checkLoader refuses what a loader's own layout has no place for.
func (b *build) checkLoader() error {
	loader, firmware, err := bootloader.Settle(b.spec.Settings["LOADER"], b.spec.Settings["FIRMWARE"])
	if err != nil {
		return err
	}
	own := b.opt.Definition.Settings
	switch {
	case b.opt.KernelPath != "":
		return refuse("LOADER is %s, but the kernel lies outside of the disk", loader)
	case b.spec.Layout != nil:
		return refuse("LOADER %s lays the disk out by itself, and the definition has a layout of its own: say one of them", loader)
	case own["SWAP"] == "yes" || b.opt.Settings["SWAP"] == "yes":
		return refuse("LOADER %s lays the disk out with one file system: say SWAP=no", loader)
	case !b.spec.On("grub"):
		return refuse("LOADER is %s, but the feature grub, which is all boot loaders, is off", loader)
	case own["FILESYSTEM"] != "" && own["FILESYSTEM"] != "ext4":
		return refuse("the file system that LOADER %s starts is ext4, FILESYSTEM is %s", loader, own["FILESYSTEM"])
	}
	b.note("the loader is %s, under %s", loader, firmware)
	return nil
}

// bootable makes the image a disk with the loader, in the work folder.
func (b *build) bootable(ctx context.Context) error {
	path := filepath.Join(b.work, "bootable.raw")
	r, err := convert.Tree(ctx, b.Run, convert.TreeOptions{Source: b.opt.Image, Target: path, To: "raw", Loader: b.spec.Settings["LOADER"], Firmware: b.spec.Settings["FIRMWARE"], Limits: tree.Limits{Bytes: b.size}})
	if err != nil {
		return err
	}
	for _, text := range r.Notes {
		b.note("%s", text)
	}
	b.opt.Image = path
	return nil
}
