// Package dump reads and writes the archives of dump(8) and restore(8) in process:
// level 0, one volume, plain or compressed by zlib (of others' also by bzip2), with
// extended attributes and access control lists as Linux's dump 0.4b has them. No
// image is mounted and no tool is run.
//
// An archive is a row of records of 1 KiB: a header of the volume, two maps of
// inodes, the folders and then all other files, each in the order of their numbers:
// a header, the blocks that are no holes, extended attributes. Compressed, the first
// ten records come as they are, and then ten at a time behind four bytes that say
// how long they are.
//
// Source: compat/include/protocols/dumprestore.h, dump/traverse.c, dump/tape.c and
// restore/tape.c of dump 0.4b47.
package dump

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"hearth/internal/disk"
)

const (
	recordSize = 1024
	perBlock   = 10 // records, of what is written
	maxBlock   = 1024
	addresses  = 512 // of one header
	magic      = 60012
	checkSum   = 84446
	rootInode  = 2
	firstInode = 11

	tsTape  = 1
	tsInode = 2
	tsBits  = 3
	tsAddr  = 4
	tsEnd   = 5
	tsClri  = 6

	flagNewHeader = 0x1
	flagNewInodes = 0x2
	flagPacked    = 0x80
	flagMetaOnly  = 0x100
	flagExtra     = 0x8000

	extraXattr = 3
)

// header is what is used of one. The offsets are those of struct s_spcl.
type header struct {
	kind    int32
	date    int32
	volume  int32
	record  uint32
	inode   uint32
	mode    uint32
	links   int
	uid     uint32
	gid     uint32
	size    int64
	mtime   time.Time
	device  [2]uint32
	count   int
	address []byte // of each block: 0 for a hole
	label   string
	level   int32
	dir     string
	flags   uint32
	ntrec   int
	extra   int32
}

func refuse(format string, args ...any) error {
	return &disk.Error{Kind: disk.Refused, Op: "read dump", Reason: fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &disk.Error{Kind: disk.Unsupported, Op: "read dump", Reason: fmt.Sprintf(format, args...)}
}

// Is tells whether a file that begins with head, of 1 KiB, is a dump.
func Is(head []byte) bool {
	if len(head) < recordSize {
		return false
	}
	h, err := parse(head[:recordSize])
	return err == nil && h.kind == tsTape
}

// parse reads a header.
func parse(b []byte) (*header, error) {
	le := binary.LittleEndian
	if m := le.Uint32(b[24:]); m != magic {
		if binary.BigEndian.Uint32(b[24:]) == magic {
			return nil, unsupported("it was made on a machine of the other byte order")
		}
		return nil, refuse("a header lacks its mark")
	}
	sum := uint32(0)
	for i := 0; i < recordSize; i += 4 {
		sum += le.Uint32(b[i:])
	}
	if sum != checkSum {
		return nil, refuse("the check sum of a header is wrong")
	}
	h := &header{kind: int32(le.Uint32(b)), date: int32(le.Uint32(b[4:])), volume: int32(le.Uint32(b[12:])), record: le.Uint32(b[16:]), inode: le.Uint32(b[20:]),
		mode: uint32(le.Uint16(b[32:])), links: int(le.Uint16(b[34:])), size: int64(le.Uint64(b[40:])),
		mtime:  time.Unix(int64(int32(le.Uint32(b[56:]))), int64(le.Uint32(b[60:]))*1000).UTC(),
		device: [2]uint32{le.Uint32(b[72:]), le.Uint32(b[76:])}, uid: le.Uint32(b[144:]), gid: le.Uint32(b[148:]), count: int(int32(le.Uint32(b[160:]))),
		level: int32(le.Uint32(b[692:])), flags: le.Uint32(b[888:]), ntrec: int(int32(le.Uint32(b[896:]))), extra: int32(le.Uint32(b[900:]))}
	h.address = b[164:676]
	switch {
	case h.count < 0 || h.count > 1<<21:
		return nil, refuse("a header of %d blocks", h.count)
	case h.size < 0 || h.size > 1<<60:
		return nil, refuse("inode %d claims %d bytes", h.inode, h.size)
	case le.Uint32(b[60:]) >= 1e6:
		return nil, refuse("the time of inode %d", h.inode)
	}
	return h, nil
}

// bytes is the record of a header.
func (h *header) bytes() []byte {
	le, b := binary.LittleEndian, make([]byte, recordSize)
	for at, v := range map[int]uint32{0: uint32(h.kind), 4: uint32(h.date), 12: uint32(h.volume), 16: h.record, 20: h.inode, 24: magic,
		56: uint32(h.mtime.Unix()), 60: uint32(h.mtime.Nanosecond() / 1000), 48: uint32(h.mtime.Unix()), 64: uint32(h.mtime.Unix()),
		72: h.device[0], 76: h.device[1], 144: h.uid, 148: h.gid, 160: uint32(h.count), 692: uint32(h.level), 888: h.flags, 896: uint32(h.ntrec), 900: uint32(h.extra)} {
		le.PutUint32(b[at:], v)
	}
	le.PutUint16(b[32:], uint16(h.mode))
	le.PutUint16(b[34:], uint16(min(h.links, 32767)))
	le.PutUint16(b[36:], uint16(h.uid))
	le.PutUint16(b[38:], uint16(h.gid))
	le.PutUint64(b[40:], uint64(h.size))
	copy(b[164:676], h.address)
	copy(b[676:691], h.label)
	copy(b[696:759], h.dir)
	copy(b[760:823], "hearth")
	copy(b[824:887], "hearth")
	sum := uint32(checkSum)
	for i := 0; i < recordSize; i += 4 {
		sum -= le.Uint32(b[i:])
	}
	le.PutUint32(b[28:], sum)
	return b
}

// truncated says so of a dump that ends too early.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return refuse("the dump ends too early")
	}
	return err
}
