package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// Format is what the first bytes of an image say it is, under the name that
// qemu-img and the OpenStack image API use for it.
type Format string

// The container formats that are told apart. Raw is everything else.
const (
	Raw       Format = "raw"
	QCOW2     Format = "qcow2"
	ISO       Format = "iso"
	VMDK      Format = "vmdk"
	VDI       Format = "vdi"
	VHD       Format = "vhd"
	VHDX      Format = "vhdx"
	QCOW1     Format = "qcow"
	QED       Format = "qed"
	LUKS      Format = "luks"
	Parallels Format = "parallels"
)

// Content is a hint on what lies inside raw bytes.
type Content string

// The contents that are told apart.
const (
	Unknown Content = ""
	Ext     Content = "ext"     // an ext2, ext3 or ext4 file system without a partition table
	XFS     Content = "xfs"     // an XFS file system
	Btrfs   Content = "btrfs"   // a Btrfs file system
	F2FS    Content = "f2fs"    // an F2FS file system
	MBR     Content = "mbr"     // a boot sector, perhaps with a partition table
	GPT     Content = "gpt"     // a GUID partition table
	Kernel  Content = "kernel"  // a Linux kernel: bzImage or ELF
	Ramdisk Content = "ramdisk" // a bare cpio archive
	Archive Content = "archive" // a tar archive (of files, or of a machine: an OVA) or a dump of ext
	Packed  Content = "packed"  // gzip, zstd, xz, lz4, bzip2 or lzma: an initrd or a packed image
)

// SniffLen is how many first bytes [Sniff] needs to tell all formats apart
// (Btrfs has its mark at 64 KiB; the volume descriptors of ISO 9660 begin at 32 KiB).
const SniffLen = 68 << 10

// Info is what is known of an image from its bytes.
type Info struct {
	Format  Format
	Content Content // only when Format is Raw or ISO
	Packing string  // "gzip", "zstd" …, only when Content is Packed
	// VirtualSize is the size of the disk a guest would see; 0 when the
	// prefix does not tell it.
	VirtualSize int64
	// QCOW2 is the checked header; nil for other formats.
	QCOW2 *QCOW2Header
}

// NoDisk says what an image is that is no disk, and what to do with it; "" of a disk.
func (i Info) NoDisk() string {
	switch i.Content {
	case Kernel:
		return "it is a kernel, which a root file system boots with: 'hearth image import-ami' takes both"
	case Ramdisk:
		return "it is an initial ramdisk, which a root file system boots with: 'hearth image import-ami' takes both"
	case Packed:
		return "it is packed with " + i.Packing + ": unpack it first; of an archive 'hearth image manifest' lists the files, and 'hearth image convert' makes a disk"
	case Archive:
		return "it is an archive: 'hearth image manifest' lists its files, and 'hearth image convert' makes a disk of them"
	}
	return ""
}

type magic struct {
	format Format
	offset int
	bytes  string
}

// Sources: docs/interop/qcow2.txt and block/*.c of QEMU (formats.h of each
// driver), ECMA-119 8.4.1 (ISO 9660), VHD specification 1.0, [MS-VHDX] 2.2.
var containers = []magic{
	{QCOW2, 0, "QFI\xfb"},
	{VMDK, 0, "KDMV"},
	{VMDK, 0, "COWD"},
	{VMDK, 0, "SESp"},
	{VMDK, 0, "# Disk DescriptorFile"},
	{VDI, 0x40, "\x7f\x10\xda\xbe"},
	{VHD, 0, "conectix"},
	{VHDX, 0, "vhdxfile"},
	{QED, 0, "QED\x00"},
	{LUKS, 0, "LUKS\xba\xbe"},
	{Parallels, 0, "WithoutFreeSpace"},
	{Parallels, 0, "WithouFreSpacExt"},
}

var packings = []struct{ name, bytes string }{
	{"gzip", "\x1f\x8b"},
	{"zstd", "\x28\xb5\x2f\xfd"},
	{"xz", "\xfd7zXZ\x00"},
	{"bzip2", "BZh"},
	{"lz4", "\x02\x21\x4c\x18"},
	{"lz4", "\x04\x22\x4d\x18"},
	{"lzma", "\x5d\x00\x00"},
}

// Sniff says what prefix, the first bytes of an image, looks like. It never
// fails: what is not recognised is Raw. Give it [SniffLen] bytes, or all there
// are. A header found broken is found by [Detect] only.
func Sniff(prefix []byte) Info {
	if f := container(prefix); f != Raw {
		return Info{Format: f, VirtualSize: virtualSize(f, prefix)}
	}
	info := Info{Format: Raw}
	info.Content, info.Packing = content(prefix)
	if isISO(prefix) {
		info.Format = ISO
	}
	return info
}

// Detect reads the head of r and, for VHD, its tail, and says what the image
// is. size is the number of bytes r has. The header of qcow2, vmdk, vdi, vhd and
// vhdx is checked strictly, see [ParseQCOW2]; its errors are returned beside the
// Info. Of the latter four the head does not suffice, see [HeadSuffices].
func Detect(r io.ReaderAt, size int64) (Info, error) {
	prefix := make([]byte, min(size, SniffLen))
	if n, err := r.ReadAt(prefix, 0); err != nil && !errors.Is(err, io.EOF) {
		return Info{}, err
	} else if n < len(prefix) {
		prefix = prefix[:n]
	}
	info := Sniff(prefix)
	switch info.Format {
	case Raw, ISO:
		if info.Format == Raw && hasVHDFooter(r, size) {
			info = Info{Format: VHD}
			var err error
			info.VirtualSize, err = checkForeign(VHD, r, size)
			return info, err
		}
		info.VirtualSize = size
	case VMDK, VDI, VHD, VHDX:
		var err error
		if info.VirtualSize, err = checkForeign(info.Format, r, size); err != nil {
			return info, err
		}
	case QCOW2:
		h, err := ParseQCOW2(r, size, Limits{})
		if err != nil {
			return info, err
		}
		info.QCOW2, info.VirtualSize = h, h.VirtualSize
	}
	return info, nil
}

// HeadSuffices tells whether the first [SniffLen] bytes of an image of a format
// are enough for [Detect]. Of the others [Sniff] may say what it sees, but for
// vhd, whose mark may be at the end only.
func HeadSuffices(f Format) bool {
	switch f {
	case VMDK, VDI, VHD, VHDX:
		return false
	}
	return true
}

func container(p []byte) Format {
	for _, m := range containers {
		if at(p, m.offset, m.bytes) {
			if m.format == QCOW2 && len(p) >= 8 && binary.BigEndian.Uint32(p[4:]) == 1 {
				return QCOW1
			}
			return m.format
		}
	}
	return Raw
}

func content(p []byte) (Content, string) {
	switch {
	case at(p, 0x202, "HdrS"), at(p, 0, "\x7fELF"):
		return Kernel, ""
	case at(p, 0, "070701"), at(p, 0, "070702"), at(p, 0, "070707"), at(p, 0, "\xc7\x71"):
		return Ramdisk, ""
	case at(p, 512, "EFI PART"):
		return GPT, ""
	case at(p, 0, "XFSB"):
		return XFS, ""
	case at(p, 0x10040, "_BHRfS_M"):
		return Btrfs, ""
	case at(p, 1024, "\x10\x20\xf5\xf2"):
		return F2FS, ""
	}
	for _, k := range packings {
		if at(p, 0, k.bytes) {
			return Packed, k.name
		}
	}
	if at(p, 257, "ustar") || at(p, 24, "\x6c\xea\x00\x00") { // pax(1); dump's NFS_MAGIC, protocols/dumprestore.h
		return Archive, ""
	}
	switch { // marks of two bytes, which one archive in 65536 has by chance
	case at(p, 1024+0x38, "\x53\xef"):
		return Ext, ""
	case at(p, 510, "\x55\xaa"):
		return MBR, ""
	}
	return Unknown, ""
}

func isISO(p []byte) bool {
	for sector := 16; sector < 20; sector++ {
		if at(p, sector*2048+1, "CD001") {
			return true
		}
	}
	return false
}

// virtualSize reads the size field of formats that have it at a fixed place.
func virtualSize(f Format, p []byte) int64 {
	read := func(off int, o binary.ByteOrder) int64 {
		if len(p) < off+8 {
			return 0
		}
		return int64(min(o.Uint64(p[off:]), 1<<62))
	}
	switch f {
	case QCOW2:
		return read(24, binary.BigEndian)
	case VDI:
		return read(0x170, binary.LittleEndian)
	case VHD:
		return read(48, binary.BigEndian)
	case VMDK:
		if at(p, 0, "KDMV") {
			return min(read(12, binary.LittleEndian), 1<<53) * 512
		}
	}
	return 0
}

func hasVHDFooter(r io.ReaderAt, size int64) bool {
	if size < 512 {
		return false
	}
	var b [8]byte
	_, err := r.ReadAt(b[:], size-512)
	return err == nil && string(b[:]) == "conectix"
}

func at(p []byte, off int, want string) bool {
	return len(p) >= off+len(want) && bytes.Equal(p[off:off+len(want)], []byte(want))
}
