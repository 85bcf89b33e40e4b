// Package f2fs reads what an f2fs says of itself: its superblock and its newer
// checkpoint, within bounds. Files are read by the appliance.
//
// Source of the format: include/linux/f2fs_fs.h of Linux, the checks of
// sanity_check_raw_super and of get_valid_checkpoint in fs/f2fs.
package f2fs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"unicode/utf16"
)

// Block is the size of a block, in bytes; on machines whose pages are larger Linux makes
// file systems of larger blocks, which others do not mount.
const Block = 4096

const (
	magic    = 0xf2f52010
	segment  = 512 // blocks
	at       = 1024
	leastSum = 192  // where the checksum of a checkpoint may lie, in bytes
	lastSum  = 4092 // there mkfs.f2fs and Linux put it
)

// Super is what an f2fs says of itself.
type Super struct {
	UUID     [16]byte
	Label    string
	Size     int64 // bytes of its place that it takes
	Features Features
	Devices  bool // it lies on other disks too

	Checked bool  // there is a checkpoint, and what follows is known
	Clean   bool  // it was unmounted
	Broken  bool  // Linux found an error in it, fsck.f2fs may mend it
	User    int64 // bytes that files can have: without metadata and what cleaning needs
	Valid   int64 // bytes that files have, with their nodes
}

// Used is what cannot be given to files, in bytes, as df counts.
func (s *Super) Used() int64 {
	if !s.Checked {
		return 0
	}
	return s.Size - s.User + s.Valid
}

// Features are those of a superblock.
type Features uint32

// names are those that mkfs.f2fs -O takes.
var names = []string{"encrypt", "blkzoned", "atomic_write", "extra_attr", "project_quota", "inode_checksum", "flexible_inline_xattr", "quota", "inode_crtime",
	"lost_found", "verity", "sb_checksum", "casefold", "compression", "ro"}

// copied are the features that a copy of all files has as well.
const copied = 1<<3 | 1<<5 | 1<<6 | 1<<8 | 1<<9 | 1<<11 | 1<<13

// Names lists the features, as mkfs.f2fs names them.
func (f Features) Names() string {
	var list []string
	for i := range 32 {
		switch {
		case f>>i&1 == 0:
		case i < len(names):
			list = append(list, names[i])
		default:
			list = append(list, fmt.Sprintf("%#x", 1<<i))
		}
	}
	return strings.Join(list, ",")
}

// Lost are those of which a copy of the files has nothing.
func (f Features) Lost() Features { return f &^ copied }

// Read reads the f2fs in size bytes of r from start on. Nil without an error: there is none.
func Read(r io.ReaderAt, start, size int64) (*Super, error) {
	if size < at+Block {
		return nil, nil
	}
	b := make([]byte, 3072)
	if _, err := r.ReadAt(b, start+at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	le := binary.LittleEndian
	word := func(i int) int64 { return int64(le.Uint32(b[i:])) }
	if le.Uint32(b) != magic {
		return nil, nil
	}
	if sector := word(8); word(16) != 12 || sector < 9 || sector > 12 || sector+word(12) != 12 {
		return nil, errors.New("its blocks are not of 4096 bytes, as all are that PCs mount")
	}
	blocks, first, main := int64(le.Uint64(b[36:])), word(76), word(92)
	segments := word(68)
	if word(20) != 9 || word(72) != first || blocks <= 0 || blocks > 1<<40 || first < 1 || main < first+2*segment || main > blocks || segments*segment > blocks-main {
		return nil, errors.New("its superblock contradicts itself; fsck.f2fs may mend it")
	}
	s := &Super{Size: blocks * Block, Features: Features(word(2180)), Devices: b[2201] != 0}
	copy(s.UUID[:], b[108:])
	s.Label = label(b[124:1148])
	if s.Devices {
		return s, nil
	}
	if s.Size > size {
		return nil, fmt.Errorf("it has %d bytes, and its place %d", s.Size, size)
	}
	return s, s.checkpoint(r, start, first, segments*segment)
}

// label reads UTF-16 up to its end.
func label(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		u := binary.LittleEndian.Uint16(b)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// checkpoint reads the newer of the two packs that are whole; main is what the main area
// has, in blocks.
func (s *Super) checkpoint(r io.ReaderAt, start, first, main int64) error {
	var newest []byte
	for _, block := range []int64{first, first + segment} {
		b, err := pack(r, start, block)
		if err != nil {
			return err
		}
		if b != nil && (newest == nil || int64(version(b)-version(newest)) > 0) {
			newest = b
		}
	}
	if newest == nil {
		return nil
	}
	le := binary.LittleEndian
	user, valid, flags := le.Uint64(newest[8:]), le.Uint64(newest[16:]), le.Uint32(newest[132:])
	if user > uint64(main) || valid > user {
		return errors.New("its checkpoint contradicts its superblock; fsck.f2fs may mend it")
	}
	s.Checked, s.User, s.Valid = true, int64(user)*Block, int64(valid)*Block
	s.Clean, s.Broken = flags&1 != 0, flags&(1<<3|1<<4) != 0
	return nil
}

func version(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// pack reads the first block of a pack of a checkpoint; nil if that, or the last one, was
// not written whole.
func pack(r io.ReaderAt, start, block int64) ([]byte, error) {
	head, err := part(r, start, block)
	if head == nil {
		return nil, err
	}
	blocks := int64(binary.LittleEndian.Uint32(head[136:]))
	if blocks <= 2 || blocks > segment {
		return nil, nil
	}
	tail, err := part(r, start, block+blocks-1)
	if tail == nil || !bytes.Equal(head[:8], tail[:8]) {
		return nil, err
	}
	return head, nil
}

// part reads a block of a checkpoint; nil if its checksum is not that of its bytes.
func part(r io.ReaderAt, start, block int64) ([]byte, error) {
	b := make([]byte, Block)
	if n, err := r.ReadAt(b, start+block*Block); err != nil && (!errors.Is(err, io.EOF) || n < len(b)) {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	place := binary.LittleEndian.Uint32(b[164:])
	if place < leastSum || place > lastSum {
		return nil, nil
	}
	if binary.LittleEndian.Uint32(b[place:]) != checksum(b, int(place)) {
		return nil, nil
	}
	return b, nil
}

// checksum is that of all of a block but itself: the CRC-32 of Ethernet that begins with the
// magic number, and is not inverted.
func checksum(b []byte, place int) uint32 {
	const begin = uint32(magic)
	sum := crc32.Update(^begin, crc32.IEEETable, b[:place])
	if place < lastSum {
		sum = crc32.Update(sum, crc32.IEEETable, b[place+4:])
	}
	return ^sum
}
