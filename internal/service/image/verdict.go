package image

import (
	"bytes"
	"io"
	"math"
	"strconv"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/disk/ova"
)

// verdict is what was found in an image's bytes.
type verdict struct {
	virtual    int64             // bytes of the disk
	properties map[string]string // that a package says of its machine
	made       *cloud.MadeDisk   // of an archive
	format     string            // that the bytes were converted to; "" as they came
}

// note writes what was found into an image. What its owner said stays.
func (v verdict) note(img *cloud.Image) {
	img.VirtualSize, img.Made = v.virtual, v.made
	if v.format != "" {
		img.DiskFormat, img.ContainerFormat = v.format, "bare"
	}
	for name, value := range v.properties {
		if name == "min_ram" {
			if mb, err := strconv.Atoi(value); err == nil && img.MinRAMMB == 0 {
				img.MinRAMMB = mb
			}
		} else if _, said := img.Properties[name]; !said {
			_ = setProperty(img, name, value) // one that is no text is left out
		}
	}
}

// judge holds bytes against the formats that the image claims, and gives the size
// of the disk in them. size is math.MaxInt64 while it is not known. Invalid,
// with the reason.
// whole is whether r has all of them.
func (s *Service) judge(img cloud.Image, r io.ReaderAt, size int64, whole bool) (found verdict, err error) {
	switch is := ova.Is(r); {
	case img.Packaged():
		return s.judgePackage(img.DiskFormat, r, size)
	case is && disk.Format(img.DiskFormat) == disk.Raw:
		return found, refused(notSo("the image was named raw, but its bytes are the package of a virtual machine; upload it again with container_format ova and the disk_format of the disk in it, such as vmdk"))
	}
	info, err := disk.Detect(r, size)
	if mismatch := disk.CheckClaim(img.DiskFormat, info); mismatch != nil {
		err = mismatch // tells more than what is wrong with a header
	}
	found.virtual = info.VirtualSize
	if err == nil && whole {
		err = disk.Whole(r, size, info)
	}
	return s.bounded(found, size, err)
}

// bounded refuses a disk that is larger than is allowed.
func (s *Service) bounded(found verdict, size int64, err error) (verdict, error) {
	if err == nil && found.virtual > s.opts.MaxVirtualSize && size != math.MaxInt64 {
		return found, cloud.E("image.Upload", cloud.Invalid, "The image was refused: its disk would have %d bytes, the limit is %d.", found.virtual, s.opts.MaxVirtualSize)
	}
	return found, refused(err)
}

// judgePackage is judge for the package of a virtual machine: its first disk must be of
// the disk format, and all of it what its manifest says.
func (s *Service) judgePackage(format string, r io.ReaderAt, size int64) (found verdict, err error) {
	if !ova.Is(r) {
		return found, refused(notSo("its container_format is ova, but it does not begin as one does, with a descriptor (.ovf) in a tar file"))
	}
	p, err := ova.Open(r, size)
	if err != nil {
		return found, refused(err)
	}
	inner, length, err := p.Disk(1)
	if err != nil {
		return found, refused(err)
	}
	info, err := disk.Detect(inner, length)
	if mismatch := disk.CheckClaim(format, info); mismatch != nil {
		err = mismatch
	}
	if err == nil {
		err = disk.Whole(inner, length, info)
	}
	if err == nil {
		err = p.Verify()
	}
	found.virtual, found.properties = info.VirtualSize, p.Machine.Properties()
	return s.bounded(found, size, err)
}

func notSo(why string) error {
	return &disk.Error{Kind: disk.Mismatch, Op: "check format", Reason: why}
}

// judgeHead is judge for as much as the first bytes tell.
func (s *Service) judgeHead(img cloud.Image, prefix []byte, length int64) error {
	format := disk.Format(img.DiskFormat)
	switch {
	case img.Packaged():
		if !ova.Is(bytes.NewReader(prefix)) {
			_, err := s.judgePackage(img.DiskFormat, bytes.NewReader(prefix), length)
			return err
		}
		return nil // the rest tells
	case disk.HeadSuffices(format):
		_, err := s.judge(img, bytes.NewReader(prefix), length, false)
		return err
	case format == disk.VHD:
		return nil
	}
	return refused(disk.CheckClaim(img.DiskFormat, disk.Sniff(prefix)))
}
