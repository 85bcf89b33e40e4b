package extlinux

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"path"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
)

// Places in ldlinux.sys, from LDLINUX_MAGIC on (struct patch_area of syslxint.h).
const (
	dataSectors = 8
	advSectors  = 10
	dwords      = 12
	checksum    = 16
	extended    = 22 // where in ldlinux.sys struct ext_patch_area begins
	areaSize    = 24
)

// Fields of struct ext_patch_area, each of 16 bits.
const (
	vectorAt   = iota * 2 // of two 64-bit sectors
	folderAt              // text
	folderMax             //
	_                     // subvolume of btrfs
	_                     //
	extentsAt             // of 64-bit sector, 16-bit count
	extentsMax            //
	sectorLow             // in the boot sector, of the low 32 bits of a sector
	sectorHigh            //
	_                     // for RAID
	extendedSize
)

const (
	loadedAt   = 0x8000 // where ldlinux.sys comes to lie in memory
	extentSize = 10
)

// patchArea finds LDLINUX_MAGIC.
func patchArea(b []byte) (int, error) {
	for at := 0; at+areaSize <= len(b); at += 4 {
		if bytes.Equal(b[at:at+4], magic) {
			return at, nil
		}
	}
	return 0, fail(disk.Unsupported, "ldlinux.sys has no place for the list of its sectors")
}

// Install writes the sectors of ldlinux.sys into it and into the boot sector of the file
// system at start, of size bytes, in the disk d. The loader's files are there already.
// Refused with 1 or 2 KiB blocks: the loader reads no kernel from those (LAB 6).
func (l *Loader) Install(d disk.ReadWriterAt, start, size int64) error {
	places, err := l.places(d, start, size)
	if err != nil {
		return err
	}
	boot, image := bytes.Clone(l.boot), bytes.Clone(l.system)
	if err := patch(boot, image, sectors(places)); err != nil {
		return err
	}
	geometry(boot, start, size)
	for _, p := range places {
		if p.Offset >= int64(len(image)) {
			break
		}
		if _, err := d.WriteAt(image[p.Offset:min(p.Offset+p.Length, int64(len(image)))], start+p.At); err != nil {
			return err
		}
	}
	_, err = d.WriteAt(boot, start)
	return err
}

// places finds where ldlinux.sys lies in the file system.
func (l *Loader) places(d disk.ReadWriterAt, start, size int64) ([]ext4.Place, error) {
	fs, err := ext4.Open(d, start, size)
	if err != nil {
		return nil, err
	}
	if fs == nil {
		return nil, fail(disk.Unsupported, "the partition has no ext file system")
	}
	if fs.BlockSize < 4096 {
		return nil, fail(disk.Unsupported, "the file system has blocks of %d bytes, from which extlinux reads no kernel: it wants 4096 (mke2fs -b 4096)", fs.BlockSize)
	}
	node, err := fs.Inode(ext4.Root)
	for name := range strings.SplitSeq(systemPath[1:], "/") {
		if err == nil {
			node, err = fs.Lookup(node, name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", op, systemPath, err)
	}
	data, err := fs.Data(node)
	if err != nil {
		return nil, err
	}
	want := int64(len(l.system) + 2*sector)
	places, at := data.Places(), int64(0)
	for _, p := range places {
		if p.Offset != at {
			break
		}
		at += p.Length
	}
	if data.Size() != want || at < want {
		return nil, fail(disk.Unsupported, "%s is not as it was written: %d of %d bytes", systemPath, min(at, data.Size()), want)
	}
	have := make([]byte, len(l.system))
	if _, err := data.ReadAt(have, 0); err != nil {
		return nil, err
	}
	if at, err := patchArea(l.system[:sector]); err != nil || !bytes.Equal(have[at:at+8], l.system[at:at+8]) {
		return nil, errors.Join(err, fail(disk.Unsupported, "%s is of another version", systemPath))
	}
	return places, nil
}

// sectors lists where each sector is, counted from the beginning of the file system.
func sectors(places []ext4.Place) (list []uint64) {
	for _, p := range places {
		for off := int64(0); off < p.Length; off += sector {
			list = append(list, uint64((p.At+off)/sector))
		}
	}
	return list
}

// patch writes the list of sectors, the last two of which hold the loader's own
// variables, into ldlinux.sys, and the first into the boot sector.
func patch(boot, image []byte, list []uint64) error {
	le := binary.LittleEndian
	area, err := patchArea(image[:sector])
	if err != nil {
		return err
	}
	n := len(image) / sector
	more := int(le.Uint16(image[area+extended:]))
	if more+extendedSize > len(image) || len(list) < n+2 {
		return fail(disk.Unsupported, "ldlinux.sys is of an unknown form")
	}
	field := func(i int) int { return int(le.Uint16(image[more+i:])) }
	low, high, dir := field(sectorLow), field(sectorHigh), path.Clean(Folder)+"\x00"
	switch {
	case low+4 > len(boot) || high+4 > len(boot), field(vectorAt)+16 > len(image), field(folderAt)+field(folderMax) > len(image),
		field(extentsAt)+extentSize*field(extentsMax) > len(image), field(folderMax) < len(dir):
		return fail(disk.Unsupported, "ldlinux.sys is of an unknown form")
	}
	le.PutUint32(boot[low:], uint32(list[0]))
	le.PutUint32(boot[high:], uint32(list[0]>>32))
	le.PutUint16(image[area+dataSectors:], uint16(n))
	le.PutUint16(image[area+advSectors:], 2)
	le.PutUint32(image[area+dwords:], uint32(len(image)/4))
	if err := extents(image[field(extentsAt):][:extentSize*field(extentsMax)], list[1:n]); err != nil {
		return err
	}
	le.PutUint64(image[field(vectorAt):], list[n])
	le.PutUint64(image[field(vectorAt)+8:], list[n+1])
	copy(image[field(folderAt):], dir)
	le.PutUint32(image[area+checksum:], 0)
	sum := le.Uint32(magic)
	for at := 0; at < len(image); at += 4 {
		sum -= le.Uint32(image[at:])
	}
	le.PutUint32(image[area+checksum:], sum)
	return nil
}

// extents writes runs of sectors, none of which crosses 64 KiB of memory: the BIOS
// cannot load such.
func extents(room []byte, list []uint64) error {
	le := binary.LittleEndian
	clear(room)
	memory := loadedAt // the first sector is loaded by the boot sector; syslxmod.c counts the second from here too
	for len(list) > 0 {
		count := 1
		for count < len(list) && list[count] == list[0]+uint64(count) && (count+1)*sector < 1<<16 && (memory^(memory+(count+1)*sector-1))>>16 == 0 {
			count++
		}
		if len(room) < extentSize {
			return fail(disk.Unsupported, "ldlinux.sys lies in too many pieces for its list")
		}
		le.PutUint64(room, list[0])
		le.PutUint16(room[8:], uint16(count))
		room, list, memory = room[extentSize:], list[count:], memory+count*sector
	}
	return nil
}

// geometry writes what a FAT boot sector says of its disk.
func geometry(boot []byte, start, size int64) {
	le := binary.LittleEndian
	total := uint32(min(size/sector, math.MaxUint32))
	le.PutUint16(boot[11:], sector)
	le.PutUint16(boot[19:], 0)
	if total < 1<<16 {
		le.PutUint16(boot[19:], uint16(total))
	}
	le.PutUint16(boot[24:], 63)  // sectors of a track
	le.PutUint16(boot[26:], 255) // heads
	le.PutUint32(boot[28:], uint32(start/sector))
	le.PutUint32(boot[32:], total)
}

// vector is the loader's variables, none, in two copies (setadv.c).
func vector() []byte {
	le := binary.LittleEndian
	b := make([]byte, sector)
	le.PutUint32(b, 0x5a2d2fa5)
	le.PutUint32(b[4:], 0xa3041767) // less the sum of the rest, which is zero
	le.PutUint32(b[sector-4:], 0xdd28bf64)
	return append(b, b...)
}
