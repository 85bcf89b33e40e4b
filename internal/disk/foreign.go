package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// The formats of other hypervisors. Nodes make them raw before guests boot. What is
// checked is that they are whole, that they name no other file, and how large
// the disk in them is. Errors are of kind Refused or Unsupported.

// checkForeign checks an image of one of these formats and gives the size of
// its disk.
func checkForeign(f Format, r io.ReaderAt, size int64) (virtual int64, err error) {
	switch f {
	case VMDK:
		virtual, err = parseVMDK(r, size)
	case VDI:
		virtual, err = parseVDI(r, size)
	case VHD:
		virtual, err = parseVHD(r, size)
	case VHDX:
		virtual, err = parseVHDX(r, size)
	}
	if err == nil && virtual < 0 {
		err = fail(Refused, "read "+string(f)+" header", "the size of the disk is beyond all bounds")
	}
	if err == nil && virtual > DefaultMaxVirtualSize {
		err = fail(TooBig, "read "+string(f)+" header", "the disk would have %d bytes, the limit is %d", virtual, int64(DefaultMaxVirtualSize))
	}
	return virtual, err
}

// part reads n bytes at a place of an image, all of which must be there.
func part(r io.ReaderAt, size, off int64, n int, what string) ([]byte, error) {
	if off < 0 || off > size-int64(n) {
		return nil, fail(Refused, "read header", "the %s lies outside of the %d bytes of the image; the upload is not whole, send it again", what, size)
	}
	b := make([]byte, n)
	got, err := r.ReadAt(b, off)
	if got == n {
		return b, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return nil, fail(Refused, "read header", "the %s is cut short; the upload is not whole, send it again", what)
	}
	return nil, err
}

// parseVDI reads VirtualBox's format (block/vdi.c of QEMU).
func parseVDI(r io.ReaderAt, size int64) (int64, error) {
	b, err := part(r, size, 0, 512, "VDI header")
	if err != nil {
		return 0, err
	}
	u32 := func(o int) uint32 { return binary.LittleEndian.Uint32(b[o:]) }
	var none [16]byte
	switch {
	case u32(0x44)>>16 != 1:
		return 0, fail(Unsupported, "read vdi header", "version %d.%d is not known here", u32(0x44)>>16, u32(0x44)&0xffff)
	case u32(0x4c) != 1 && u32(0x4c) != 2, !bytes.Equal(b[0x1b8:0x1c8], none[:]):
		return 0, fail(Refused, "read vdi header", "the image is one of differences to another file; flatten it with qemu-img convert -O qcow2")
	case int64(u32(0x154)) > size || int64(u32(0x158)) > size:
		return 0, fail(Refused, "read vdi header", "its tables lie outside of the image; the upload is not whole, send it again")
	}
	return int64(binary.LittleEndian.Uint64(b[0x170:])), nil
}

// parseVHD reads the footer of Virtual PC's format (Virtual Hard Disk Image
// Format Specification 1.0).
func parseVHD(r io.ReaderAt, size int64) (int64, error) {
	const op = "read vhd footer"
	b, err := part(r, size, size-512, 512, "VHD footer")
	if err != nil {
		return 0, err
	}
	if string(b[:8]) != "conectix" {
		return 0, fail(Refused, op, "there is no footer at the end; the upload is not whole, send it again")
	}
	sum := uint32(0)
	for i, c := range b {
		if i < 64 || i >= 68 {
			sum += uint32(c)
		}
	}
	if binary.BigEndian.Uint32(b[64:]) != ^sum {
		return 0, fail(Refused, op, "the footer's checksum is wrong")
	}
	virtual := int64(binary.BigEndian.Uint64(b[48:]))
	switch kind := binary.BigEndian.Uint32(b[60:]); kind {
	case 2:
		if virtual != size-512 {
			return 0, fail(Refused, op, "a fixed disk of %d bytes is in an image of %d", virtual, size)
		}
		return virtual, nil
	case 3:
		offset := binary.BigEndian.Uint64(b[16:])
		head, err := part(r, size, int64(min(offset, 1<<62)), 1024, "header of a dynamic VHD")
		if err == nil && string(head[:8]) != "cxsparse" {
			err = fail(Refused, op, "the header of a dynamic disk is missing")
		}
		return virtual, err
	case 4:
		return 0, fail(Refused, op, "the image is one of differences to another file; flatten it with qemu-img convert -O qcow2")
	default:
		return 0, fail(Unsupported, op, "the disk type %d is not known here", kind)
	}
}
