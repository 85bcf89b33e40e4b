package disk

import (
	"encoding/binary"
	"io"
	"math"
)

// GUIDs as [MS-VHDX] has them in the file, the first three fields little-endian.
const (
	vhdxMetadata = "\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e" // 8B7CA206-4790-4B9A-B8FE-575F050F886E
	vhdxParams   = "\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b" // CAA16737-FA36-4D43-B3B6-33F0AA44E76B
	vhdxSize     = "\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8" // 2FA54224-CD1B-4876-B211-5DBED83BF4B8
)

const vhdxOp = "read vhdx header"

// parseVHDX reads Hyper-V's format ([MS-VHDX] 2.2.3 and 2.6): the region table
// leads to the metadata, which say how large the disk is and whether it has a
// parent.
func parseVHDX(r io.ReaderAt, size int64) (int64, error) {
	regions, err := part(r, size, 192<<10, 64<<10, "region table")
	if err != nil {
		return 0, err
	}
	if string(regions[:4]) != "regi" {
		return 0, fail(Refused, vhdxOp, "the region table is missing")
	}
	entry := guidEntry(regions, 16, binary.LittleEndian.Uint32(regions[8:]), vhdxMetadata)
	if entry == nil {
		return 0, fail(Refused, vhdxOp, "the region of metadata is missing")
	}
	at := int64(min(binary.LittleEndian.Uint64(entry[16:]), math.MaxInt64/2))
	table, err := part(r, size, at, 64<<10, "table of metadata")
	if err != nil {
		return 0, err
	}
	if string(table[:8]) != "metadata" {
		return 0, fail(Refused, vhdxOp, "the table of metadata is missing")
	}
	item := func(guid, what string) ([]byte, error) {
		entry := guidEntry(table, 32, uint32(binary.LittleEndian.Uint16(table[10:])), guid)
		if entry == nil {
			return nil, fail(Refused, vhdxOp, "the %s is missing", what)
		}
		return part(r, size, at+int64(binary.LittleEndian.Uint32(entry[16:])), 8, what)
	}
	params, err := item(vhdxParams, "block size")
	if err != nil {
		return 0, err
	}
	if binary.LittleEndian.Uint32(params[4:])&2 != 0 {
		return 0, fail(Refused, vhdxOp, "the image is one of differences to another file; flatten it with qemu-img convert -O qcow2")
	}
	length, err := item(vhdxSize, "size of the disk")
	if err != nil {
		return 0, err
	}
	return int64(binary.LittleEndian.Uint64(length)), nil
}

// guidEntry finds the entry of 32 bytes that begins with a GUID; nil for none.
func guidEntry(table []byte, first int, count uint32, guid string) []byte {
	for i := range int(min(count, 2047)) {
		entry := table[first+32*i:]
		if len(entry) < 32 {
			return nil
		}
		if string(entry[:16]) == guid {
			return entry[:32]
		}
	}
	return nil
}
