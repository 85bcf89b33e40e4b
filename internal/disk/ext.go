package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

// ExtFS is what the superblock of an ext2, ext3 or ext4 file system says.
// Source: Documentation/filesystems/ext4/super.rst of Linux.
type ExtFS struct {
	Offset        int64 // where the file system begins in the disk
	Size          int64 // how much of the disk it uses
	BlockSize     int64
	Label         string
	UUID          [16]byte
	NeedsRecovery bool // the journal was not replayed
	Clean         bool
	// GrowsTo is how large it can become, in bytes, before its table of block groups leaves
	// the room reserved for it; 0 of one that has no such room.
	GrowsTo int64
}

const (
	extHasJournal   = 0x4  // compatible features
	extResizeInode  = 0x10 // compatible features
	extNeedsRecover = 0x4  // incompatible features
	extJournalDev   = 0x8  // incompatible features
	ext64Bit        = 0x80 // incompatible features
)

// ReadExt reads the superblock of an ext file system that begins at offset and
// may use avail bytes. It returns nil and no error when there is none.
// What could lead a tool to other files of the host is Unsupported, what
// contradicts itself is Refused.
func ReadExt(r io.ReaderAt, offset, avail int64) (*ExtFS, error) {
	b := make([]byte, 1024)
	if avail < 2048 {
		return nil, nil
	}
	if _, err := r.ReadAt(b, offset+1024); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if le.Uint16(b[0x38:]) != 0xef53 {
		return nil, nil
	}
	compat, incompat := le.Uint32(b[0x5c:]), le.Uint32(b[0x60:])
	if incompat&extJournalDev != 0 || compat&extHasJournal != 0 && le.Uint32(b[0xe0:]) == 0 {
		return nil, fail(Unsupported, "read ext superblock", "the file system keeps its journal on another device")
	}
	fs := &ExtFS{Offset: offset, Clean: le.Uint16(b[0x3a:])&1 != 0, NeedsRecovery: incompat&extNeedsRecover != 0}
	copy(fs.UUID[:], b[0x68:])
	fs.Label = string(bytes.TrimRight(b[0x78:0x88], "\x00"))
	blocks := uint64(le.Uint32(b[4:]))
	if incompat&ext64Bit != 0 {
		blocks |= uint64(le.Uint32(b[0x150:])) << 32
	}
	log := le.Uint32(b[0x18:])
	if log > 6 {
		return nil, fail(Refused, "read ext superblock", "the block size 2^%d is out of range", 10+log)
	}
	fs.BlockSize = 1024 << log
	if blocks == 0 || blocks > uint64(avail/fs.BlockSize) {
		return nil, fail(Refused, "read ext superblock", "the file system claims %d blocks of %d bytes, its place has %d bytes", blocks, fs.BlockSize, avail)
	}
	fs.Size = int64(blocks) * fs.BlockSize
	if compat&extResizeInode != 0 {
		fs.GrowsTo = fs.reserved(b)
	}
	return fs, nil
}

// reserved gives the size up to which the table of block groups has room, by the superblock b.
func (fs *ExtFS) reserved(b []byte) int64 {
	le := binary.LittleEndian
	descriptor := int64(32)
	if le.Uint32(b[0x60:])&ext64Bit != 0 {
		descriptor = max(descriptor, int64(le.Uint16(b[0xfe:])))
	}
	group := int64(le.Uint32(b[0x20:])) * fs.BlockSize // bytes
	if group == 0 || descriptor > fs.BlockSize {
		return 0
	}
	each := fs.BlockSize / descriptor * group                              // what one block of the table describes
	return max(0, ((fs.Size+each-1)/each+int64(le.Uint16(b[0xce:])))*each) // beyond all bounds: none
}
