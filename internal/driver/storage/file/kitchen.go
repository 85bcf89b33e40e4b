package file

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/ova"
)

// DiskRoom is the Kitchen of internal/disk: its tools in their sandbox.
type DiskRoom struct{ Runner *disk.Runner }

var _ Kitchen = DiskRoom{}

// ToRaw implements Kitchen. The header is read strictly first: an image that
// names a backing or data file is refused, though the head has looked already.
func (k DiskRoom) ToRaw(ctx context.Context, src, format, dst string) error {
	if format == cloud.ContainerOVA {
		return kitchenError("storage.EnsureImage", k.packaged(ctx, src, dst))
	}
	if err := inspect(src, format); err != nil {
		return kitchenError("storage.EnsureImage", err)
	}
	err := k.Runner.Convert(ctx, disk.Layer{Path: src, Format: disk.Format(format)}, disk.Target{Path: dst, Format: disk.Raw}, nil)
	return kitchenError("storage.EnsureImage", err)
}

// packaged makes the first disk of a package raw. Its hash is checked on the way.
func (k DiskRoom) packaged(ctx context.Context, src, dst string) error {
	p, file, err := ova.OpenFile(src)
	if err != nil {
		return err
	}
	defer file.Close()
	inner := dst + ".disk"
	defer os.Remove(inner)
	if err := p.Extract(ctx, 1, inner); err != nil {
		return err
	}
	layer, _, err := guestfs.Image(inner)
	if err != nil {
		return err
	}
	return k.Runner.Convert(ctx, layer, disk.Target{Path: dst, Format: disk.Raw}, nil)
}

func inspect(path, format string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	info, err := disk.Detect(f, fi.Size())
	if err != nil {
		return err
	}
	return disk.CheckClaim(format, info)
}

// Grow implements Kitchen.
func (k DiskRoom) Grow(ctx context.Context, chain []Layer, size int64) (string, error) {
	g, err := k.Runner.GrowRoot(ctx, layers(chain), size)
	if err != nil {
		return "", kitchenError("storage.CloneDisk", err)
	}
	switch {
	case g.Note != "":
		return "not grown: " + g.Note, nil
	case !g.Grown:
		return "", nil
	case g.Partition > 0:
		return fmt.Sprintf("partition %d and its ext file system, to %d bytes", g.Partition, g.FSSize), nil
	}
	return fmt.Sprintf("ext file system, to %d bytes", g.FSSize), nil
}

// Resize implements Kitchen.
func (k DiskRoom) Resize(ctx context.Context, chain []Layer, size int64) error {
	return kitchenError("storage.GrowDisk", k.Runner.Resize(ctx, layers(chain), size))
}

// Flatten implements Kitchen.
func (k DiskRoom) Flatten(ctx context.Context, chain []Layer, dst string) error {
	return kitchenError("storage.ReadDisk", k.Runner.Flatten(ctx, layers(chain), dst))
}

// layers are a chain as the disk room has it.
func layers(chain []Layer) (out []disk.Layer) {
	for _, l := range chain {
		if l.Path != "" {
			out = append(out, disk.Layer{Path: l.Path, Format: disk.Format(l.Format)})
		}
	}
	return out
}

// Ext4 implements Kitchen.
func (k DiskRoom) Ext4(ctx context.Context, path, label string) error {
	_, err := k.Runner.Run(ctx, disk.Command{Name: "mke2fs", Args: []string{"-q", "-F", "-t", "ext4", "-L", label, path}, Write: []string{path}})
	return kitchenError("storage.BlankDisk", err)
}

// Swap implements Kitchen: a version 1 swap header (Linux, include/linux/swap.h)
// for pages of 4 KiB.
func (k DiskRoom) Swap(_ context.Context, path string) error {
	const page = 4096
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	if fi.Size() < 10*page {
		return cloud.E("storage.BlankDisk", cloud.Invalid, "swap space needs at least %d bytes, not %d", 10*page, fi.Size())
	}
	b := make([]byte, page)
	binary.LittleEndian.PutUint32(b[1024:], 1)
	binary.LittleEndian.PutUint32(b[1028:], uint32(min(fi.Size()/page-1, 1<<32-1)))
	copy(b[page-10:], "SWAPSPACE2")
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Close())
}

// ConfigDrive implements Kitchen.
func (k DiskRoom) ConfigDrive(_ context.Context, path string, files map[string][]byte) error {
	return kitchenError("storage.ConfigDrive", disk.WriteConfigDrive(path, files))
}

// kitchenError gives an error of the disk room the cloud's kind.
func kitchenError(op string, err error) error {
	kind := cloud.Internal
	switch disk.KindOf(err) {
	case disk.Refused, disk.Mismatch:
		kind = cloud.Invalid
	case disk.TooBig:
		kind = cloud.TooLarge
	case disk.Unsupported, disk.ToolMissing:
		kind = cloud.Unsupported
	case disk.TimedOut:
		kind = cloud.Unavailable
	case disk.ToolFailed:
	default:
		return hostError(op, err)
	}
	return cloud.E(op, kind, "%w", err)
}
