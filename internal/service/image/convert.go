package image

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/disk/rendition"
	"hearth/internal/store"
)

// ConvertFormats are what an import can be converted to (glance's image_conversion has
// the first three).
var ConvertFormats = []string{"qcow2", "raw", "vmdk", "vdi", "vhd", "vhdx"}

// convertible refuses a format that imports are not converted to; "" is none.
func (s *Service) convertible(format string) error {
	if format == "" || s.opts.Shop != nil && slices.Contains(ConvertFormats, format) {
		return nil
	}
	return cloud.E("image.Import", cloud.Invalid, "An import is not converted to %.40q here, but to one of %s.", format, strings.Join(ConvertFormats, ", "))
}

// convert ends an import whose bytes, in a file, are to be kept in another format, as
// the task or the operator wants it: the image's format, size and sums are those of what
// is kept. done is false where nothing is to be converted. Kernels and ramdisks are not.
func (s *Service) convert(ctx context.Context, task cloud.ImageTask, img cloud.Image, path string, was verdict, say func(*cloud.Image) error) (done bool, err error) {
	format := cmp.Or(task.Format, s.opts.ConvertTo)
	switch {
	case format == "" || s.opts.Shop == nil || img.DiskFormat == format && !img.Packaged() && disk.Format(format) != disk.Raw:
		return false, nil
	case slices.Contains([]string{"aki", "ari", "ami", "iso"}, img.DiskFormat):
		return false, nil
	case img.DiskFormat == format && !img.Packaged(): // raw: of an archive, its disk is meant
		if is, err := rendition.IsTree(path); err != nil || !is {
			return false, err
		}
	}
	as := img
	as.DiskFormat, as.ContainerFormat = format, "bare"
	var stage Stage
	var got sums
	var found verdict
	err = storyOf(ctx).step("convert", func(note noter) error {
		stage, got, found, err = s.remade(ctx, as, path)
		note("from %s to %s, %d bytes, sha512 %.16s…", img.DiskFormat, format, got.size, got.sha512)
		return err
	})
	if err != nil {
		return false, err
	}
	defer stage.Discard()
	found.format, found.properties = format, was.properties
	finish := s.succeed(task, found)
	err = s.kept(ctx, img, stage, got, func(tx *store.Tx, now *cloud.Image) error {
		if say != nil {
			if err := say(now); err != nil {
				return err
			}
		}
		return finish(tx, now)
	})
	if err == nil && img.Digest != "" {
		s.dropUnused(ctx, img.Digest) // which was staged
	}
	return err == nil, err
}
