// Package ext4 reads ext2, ext3 and ext4 file systems out of disk images,
// without the kernel and without trust: what an image says of itself is held
// against bounds before it is used, no structure is followed in a circle, and
// nothing is written. Changes go through debugfs, see internal/disk/guestfs.
//
// The journal is not replayed: of a file system that was not unmounted the last
// seconds may lack or contradict each other, see [hearth/internal/disk.ExtFS].
//
// Source: Documentation/filesystems/ext4 of Linux. Errors are *disk.Error of
// kind Refused (broken) or Unsupported (encrypted, bigalloc and the like), or
// wrap fs.ErrNotExist.
package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"hearth/internal/disk"
)

// Root is the inode number of the root folder.
const Root = 2

const (
	incompatMetaBG    = 0x10
	incompatExtents   = 0x40
	incompat64Bit     = 0x80
	incompatKnown     = 0x2 | 0x4 | incompatMetaBG | incompatExtents | incompat64Bit | 0x100 | 0x200 | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 | 0x20000
	roSparseSuper     = 0x1
	roBigalloc        = 0x200
	compatSparse2     = 0x200
	maxGroups         = 1 << 20
	maxInodesPerGroup = 1 << 16
)

// FS is an open file system. Its methods may be called side by side if its
// reader allows it.
type FS struct {
	*disk.ExtFS
	r         io.ReaderAt
	blocks    uint64 // in the file system
	first     uint64 // the first block of group 0
	perGroup  uint64 // blocks
	inodes    uint32
	inodesPer uint32
	inodeSize int
	descSize  int
	groups    uint64
	metaFrom  uint64 // descriptor blocks from this on lie in their groups; else beyond all
	compat    uint32
	incompat  uint32
	roCompat  uint32
	backups   [2]uint32
	free      uint64
	unused    uint32 // inodes
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Refused, Op: "read ext file system", Reason: fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "read ext file system", Reason: fmt.Sprintf(format, args...)}
}

// Open reads the superblock at offset; the file system may use avail bytes. It
// returns nil and no error when there is none.
func Open(r io.ReaderAt, offset, avail int64) (*FS, error) {
	head, err := disk.ReadExt(r, offset, avail)
	if head == nil || err != nil {
		return nil, err
	}
	b := make([]byte, 1024)
	if _, err := r.ReadAt(b, offset+1024); err != nil {
		return nil, err
	}
	f := &FS{ExtFS: head, r: r, blocks: uint64(head.Size / head.BlockSize)}
	if err := f.features(b); err != nil {
		return nil, err
	}
	return f, f.geometry(b)
}

func (f *FS) features(b []byte) error {
	le := binary.LittleEndian
	incompat := le.Uint32(b[0x60:])
	f.incompat = incompat
	f.compat, f.roCompat = le.Uint32(b[0x5c:]), le.Uint32(b[0x64:])
	if unknown := incompat &^ incompatKnown; unknown != 0 {
		return unsupported("the file system has features unknown here (bits %#x)", unknown)
	}
	if f.roCompat&roBigalloc != 0 {
		return unsupported("the file system allocates clusters (bigalloc)")
	}
	f.descSize, f.inodeSize = 32, 128
	if incompat&incompat64Bit != 0 {
		f.descSize = int(le.Uint16(b[0xfe:]))
	}
	if le.Uint32(b[0x4c:]) > 0 { // dynamic revision
		f.inodeSize = int(le.Uint16(b[0x58:]))
	}
	f.metaFrom = 1<<64 - 1
	if incompat&incompatMetaBG != 0 {
		f.metaFrom = uint64(le.Uint32(b[0x104:]))
	}
	f.backups = [2]uint32{le.Uint32(b[0x24c:]), le.Uint32(b[0x250:])}
	return nil
}

func (f *FS) geometry(b []byte) error {
	le := binary.LittleEndian
	f.inodes, f.inodesPer = le.Uint32(b[0:]), le.Uint32(b[0x28:])
	f.first, f.perGroup = uint64(le.Uint32(b[0x14:])), uint64(le.Uint32(b[0x20:]))
	f.free = uint64(le.Uint32(b[0x0c:])) | uint64(le.Uint32(b[0x158:]))<<32
	size := f.inodeSize
	switch {
	case size < 128 || size > int(f.BlockSize) || size&(size-1) != 0:
		return refuse("inodes of %d bytes", size)
	case f.descSize < 32 || f.descSize > 1024 || f.descSize&(f.descSize-1) != 0:
		return refuse("group descriptors of %d bytes", f.descSize)
	case f.perGroup == 0 || f.perGroup > uint64(f.BlockSize)*8:
		return refuse("groups of %d blocks", f.perGroup)
	case f.inodesPer == 0 || f.inodesPer > maxInodesPerGroup*8:
		return refuse("groups of %d inodes", f.inodesPer)
	case f.first > 1 || f.first >= f.blocks:
		return refuse("the first data block is %d", f.first)
	}
	f.groups = (f.blocks - f.first + f.perGroup - 1) / f.perGroup
	if f.groups > maxGroups || uint64(f.inodes) > f.groups*uint64(f.inodesPer) {
		return refuse("%d groups and %d inodes", f.groups, f.inodes)
	}
	f.free, f.unused = min(f.free, f.blocks), min(le.Uint32(b[0x10:]), f.inodes)
	return nil
}

// Flavour is "ext2", "ext3" or "ext4", as blkid would say.
func (f *FS) Flavour() string {
	const journal, ext4Incompat, ext4RO = 0x4, incompatExtents | incompat64Bit | 0x200 | 0x8000, 0x8 | 0x10 | 0x20 | 0x40 | 0x400
	switch {
	case f.incompat&ext4Incompat != 0 || f.roCompat&ext4RO != 0:
		return "ext4"
	case f.compat&journal != 0:
		return "ext3"
	}
	return "ext2"
}

// Used is how many bytes the file system has given away, its own structures
// among them.
func (f *FS) Used() int64 { return int64(f.blocks-f.free) * f.BlockSize }

// Free is how many bytes and files more it can have, what it keeps for root among them.
func (f *FS) Free() (bytes, files int64) { return int64(f.free) * f.BlockSize, int64(f.unused) }

// read reads within the file system.
func (f *FS) read(p []byte, at int64) error {
	if at < 0 || at > f.Size-int64(len(p)) {
		return refuse("a structure at byte %d lies outside of the file system", at)
	}
	_, err := f.r.ReadAt(p, f.Offset+at)
	if errors.Is(err, io.EOF) {
		return refuse("the disk ends within the file system")
	}
	return err
}

func (f *FS) block(n uint64) ([]byte, error) {
	if n == 0 || n >= f.blocks {
		return nil, refuse("block %d of %d", n, f.blocks)
	}
	b := make([]byte, f.BlockSize)
	return b, f.read(b, int64(n)*f.BlockSize)
}

// descriptorBlock is where the n-th block of group descriptors lies.
func (f *FS) descriptorBlock(n uint64) uint64 {
	if n < f.metaFrom {
		return f.first + 1 + n
	}
	group := n * (uint64(f.BlockSize) / uint64(f.descSize))
	at := f.first + group*f.perGroup
	if f.hasSuper(group) {
		at++
	}
	return at
}

// hasSuper tells whether a group begins with a copy of the superblock.
func (f *FS) hasSuper(group uint64) bool {
	switch {
	case group == 0:
		return true
	case f.compat&compatSparse2 != 0:
		return group == uint64(f.backups[0]) || group == uint64(f.backups[1])
	case group == 1 || f.roCompat&roSparseSuper == 0:
		return true
	}
	for _, base := range []uint64{3, 5, 7} {
		n := base
		for n < group {
			n *= base
		}
		if n == group {
			return true
		}
	}
	return false
}

// inodeTable is the block at which the inodes of a group begin.
func (f *FS) inodeTable(group uint64) (uint64, error) {
	per := uint64(f.BlockSize) / uint64(f.descSize)
	at := int64(f.descriptorBlock(group/per))*f.BlockSize + int64(group%per)*int64(f.descSize)
	b := make([]byte, f.descSize)
	if err := f.read(b, at); err != nil {
		return 0, err
	}
	block := uint64(binary.LittleEndian.Uint32(b[8:]))
	if f.descSize >= 64 {
		block |= uint64(binary.LittleEndian.Uint32(b[0x28:])) << 32
	}
	if block == 0 || block >= f.blocks {
		return 0, refuse("the inodes of group %d begin at block %d of %d", group, block, f.blocks)
	}
	return block, nil
}
