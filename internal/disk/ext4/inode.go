package ext4

import (
	"encoding/binary"
	"io/fs"
	"time"
)

const (
	flagEncrypt  = 0x800
	flagVerity   = 0x100000
	flagHuge     = 0x40000 // its blocks are counted in those of the file system
	flagExtents  = 0x80000
	flagEAInode  = 0x200000
	flagInline   = 0x10000000
	typeMask     = 0xf000
	typeFIFO     = 0x1000
	typeChar     = 0x2000
	typeDir      = 0x4000
	typeBlock    = 0x6000
	typeRegular  = 0x8000
	typeLink     = 0xa000
	typeSocket   = 0xc000
	maxTextLink  = 4096
	inlineLength = 60
)

// Inode is one file of any kind.
type Inode struct {
	Number uint32
	Mode   uint32 // as in stat(2), with the type
	UID    uint32
	GID    uint32
	Size   int64 // bytes
	Blocks int64 // of 512 bytes, that its content and what tells of that take; fewer than Size with holes
	Links  int
	MTime  time.Time
	Major  uint32 // of a device
	Minor  uint32

	flags uint32
	acl   uint64 // the block with more extended attributes
	data  [inlineLength]byte
	extra []byte // the end of the inode, with extended attributes
}

// IsDir tells whether it is a folder.
func (n *Inode) IsDir() bool { return n.Mode&typeMask == typeDir }

// IsRegular tells whether it is a file with bytes.
func (n *Inode) IsRegular() bool { return n.Mode&typeMask == typeRegular }

// IsLink tells whether it is a symbolic link.
func (n *Inode) IsLink() bool { return n.Mode&typeMask == typeLink }

// IsDevice tells whether it has Major and Minor.
func (n *Inode) IsDevice() bool { return n.Mode&typeMask == typeChar || n.Mode&typeMask == typeBlock }

// FileMode gives the mode in Go's terms.
func (n *Inode) FileMode() fs.FileMode {
	m := fs.FileMode(n.Mode & 0o777)
	for _, bit := range []struct {
		unix uint32
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if n.Mode&bit.unix != 0 {
			m |= bit.mode
		}
	}
	return m | map[uint32]fs.FileMode{typeFIFO: fs.ModeNamedPipe, typeChar: fs.ModeDevice | fs.ModeCharDevice, typeDir: fs.ModeDir,
		typeBlock: fs.ModeDevice, typeLink: fs.ModeSymlink, typeSocket: fs.ModeSocket}[n.Mode&typeMask]
}

// Inode reads the inode with a number.
func (f *FS) Inode(number uint32) (*Inode, error) {
	if number == 0 || number > f.inodes {
		return nil, refuse("inode %d of %d", number, f.inodes)
	}
	group, index := uint64((number-1)/f.inodesPer), int64((number-1)%f.inodesPer)
	table, err := f.inodeTable(group)
	if err != nil {
		return nil, err
	}
	b := make([]byte, f.inodeSize)
	if err := f.read(b, int64(table)*f.BlockSize+index*int64(f.inodeSize)); err != nil {
		return nil, err
	}
	n, err := parseInode(number, b)
	if err == nil && n.flags&flagHuge != 0 {
		n.Blocks *= f.BlockSize / 512
	}
	return n, err
}

func parseInode(number uint32, b []byte) (*Inode, error) {
	le := binary.LittleEndian
	n := &Inode{Number: number, Mode: uint32(le.Uint16(b)), Links: int(le.Uint16(b[0x1a:])), flags: le.Uint32(b[0x20:]),
		UID: uint32(le.Uint16(b[2:])) | uint32(le.Uint16(b[0x78:]))<<16,
		GID: uint32(le.Uint16(b[0x18:])) | uint32(le.Uint16(b[0x7a:]))<<16,
		acl: uint64(le.Uint32(b[0x68:])) | uint64(le.Uint16(b[0x76:]))<<32}
	n.Blocks = int64(le.Uint32(b[0x1c:])) | int64(le.Uint16(b[0x74:]))<<32
	copy(n.data[:], b[0x28:])
	size := uint64(le.Uint32(b[4:]))
	if n.IsRegular() || n.IsDir() {
		size |= uint64(le.Uint32(b[0x6c:])) << 32
	}
	if size > 1<<60 {
		return nil, refuse("inode %d claims %d bytes", number, size)
	}
	n.Size = int64(size)
	seconds, nanos := int64(int32(le.Uint32(b[0x10:]))), int64(0)
	if extra := extraSize(b); extra >= 12 {
		x := le.Uint32(b[0x88:])
		seconds += int64(x&3) << 32
		nanos = int64(x >> 2)
	}
	n.MTime = time.Unix(seconds, nanos).UTC()
	if extra := extraSize(b); extra > 0 && 128+extra < len(b) {
		n.extra = b[128+extra:]
	}
	n.device()
	return n, nil
}

// extraSize is how many bytes of fields follow the first 128.
func extraSize(b []byte) int {
	if len(b) < 0x84 {
		return 0
	}
	if n := int(binary.LittleEndian.Uint16(b[0x80:])); n <= len(b)-128 {
		return n
	}
	return 0
}

// device reads the numbers of a device, of which there are two forms.
func (n *Inode) device() {
	if !n.IsDevice() {
		return
	}
	old, big := binary.LittleEndian.Uint32(n.data[:]), binary.LittleEndian.Uint32(n.data[4:])
	n.Major, n.Minor = old>>8&0xff, old&0xff
	if old == 0 {
		n.Major, n.Minor = big>>8&0xfff, big&0xff|big>>12&0xfff00
	}
}
