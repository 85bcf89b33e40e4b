package disk

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
)

// Limits bounds what an image may ask of the host.
type Limits struct {
	// VirtualSize is the largest disk accepted; 0 means [DefaultMaxVirtualSize].
	VirtualSize int64
}

// DefaultMaxVirtualSize is 8 TiB: larger than any flavor, smaller than a bomb.
const DefaultMaxVirtualSize = 8 << 40

// QCOW2Header is the checked header of a qcow2 image, version 2 or 3.
// Source: docs/interop/qcow2.rst of QEMU.
type QCOW2Header struct {
	Version          int
	ClusterBits      int
	VirtualSize      int64
	L1Entries        int64
	L1Offset         int64
	RefTableOffset   int64
	RefTableClusters int64
	Snapshots        int
	Compression      string // "zlib" or "zstd"
	HeaderLength     int
	Incompatible     uint64
}

// Incompatible feature bits.
const (
	qDirty       = 1 << 0
	qCorrupt     = 1 << 1
	qDataFile    = 1 << 2
	qCompression = 1 << 3
	qExtL2       = 1 << 4
	qKnown       = qDirty | qCorrupt | qDataFile | qCompression | qExtL2
)

const qcow2Op = "read qcow2 header"

func refuse(format string, args ...any) error { return fail(Refused, qcow2Op, format, args...) }

// ParseQCOW2 reads the header of the qcow2 image r of size bytes and accepts
// only what is safe to hand to qemu-img and QEMU: no backing file, no external
// data file, no unknown feature, no encryption, all tables inside the file,
// and a virtual size below the limit. Errors are of kind Refused, Unsupported or TooBig.
func ParseQCOW2(r io.ReaderAt, size int64, lim Limits) (*QCOW2Header, error) {
	b := make([]byte, min(size, 64<<10))
	n, err := r.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	b = b[:n]
	if len(b) < 72 || string(b[:4]) != "QFI\xfb" {
		return nil, refuse("the header is cut short: %d of at least 72 bytes; the upload is not whole, send it again", len(b))
	}
	h, err := readQCOW2(b)
	if err != nil {
		return nil, err
	}
	if err := checkQCOW2Tables(h, size, lim); err != nil {
		return nil, err
	}
	if err := checkQCOW2Extensions(b, h); err != nil {
		return h, err
	}
	return h, checkL1(r, h)
}

func readQCOW2(b []byte) (*QCOW2Header, error) {
	u32 := func(o int) uint32 { return binary.BigEndian.Uint32(b[o:]) }
	u64 := func(o int) uint64 { return binary.BigEndian.Uint64(b[o:]) }
	v := u32(4)
	if v != 2 && v != 3 {
		return nil, fail(Unsupported, qcow2Op, "version %d is not known here; convert the image with qemu-img convert -O qcow2", v)
	}
	if u64(8) != 0 || u32(16) != 0 {
		return nil, refuse("the image names a backing file, which would be a file of the host; flatten it with qemu-img convert -O qcow2")
	}
	if u32(32) != 0 {
		return nil, fail(Unsupported, qcow2Op, "the image is encrypted; upload it without encryption")
	}
	for _, o := range []int{24, 40, 48, 64} {
		if u64(o) > math.MaxInt64 {
			return nil, refuse("the field at byte %d is beyond all bounds", o)
		}
	}
	h := &QCOW2Header{
		Version: int(v), ClusterBits: int(u32(20)), VirtualSize: int64(u64(24)),
		L1Entries: int64(u32(36)), L1Offset: int64(u64(40)),
		RefTableOffset: int64(u64(48)), RefTableClusters: int64(u32(56)),
		Snapshots: int(u32(60)), Compression: "zlib", HeaderLength: 72,
	}
	if u32(20) < 9 || u32(20) > 21 {
		return nil, refuse("the cluster size 2^%d is out of range (2^9 to 2^21)", u32(20))
	}
	if v == 2 {
		return h, nil
	}
	return h, readQCOW3(b, h)
}

// readQCOW3 reads what version 3 added.
func readQCOW3(b []byte, h *QCOW2Header) error {
	if len(b) < 104 {
		return refuse("the header is cut short: %d of at least 104 bytes", len(b))
	}
	h.Incompatible = binary.BigEndian.Uint64(b[72:])
	hl := binary.BigEndian.Uint32(b[100:])
	if hl < 104 || hl > 4096 || int(hl) > len(b) || int64(hl) > 1<<h.ClusterBits {
		return refuse("the header length %d is out of range", hl)
	}
	h.HeaderLength = int(hl)
	switch f := h.Incompatible; {
	case f&qDataFile != 0:
		return refuse("the image keeps its data in an external file, which would be a file of the host; flatten it with qemu-img convert -O qcow2")
	case f&^qKnown != 0:
		return fail(Unsupported, qcow2Op, "the image uses features unknown here (bits %#x); convert it with qemu-img convert -O qcow2", f&^qKnown)
	case f&qCorrupt != 0:
		return refuse("the image is marked corrupt; repair it with qemu-img check -r all")
	case f&qDirty != 0:
		return refuse("the image was not closed; repair it with qemu-img check -r all")
	}
	if order := binary.BigEndian.Uint32(b[96:]); order > 6 {
		return refuse("the reference count order %d is out of range (0 to 6)", order)
	}
	return readCompression(b, h)
}

func readCompression(b []byte, h *QCOW2Header) error {
	kind := byte(0)
	if h.HeaderLength >= 105 {
		kind = b[104]
	}
	if (h.Incompatible&qCompression != 0) != (kind != 0) {
		return refuse("the compression type and its feature bit contradict each other")
	}
	switch kind {
	case 0:
	case 1:
		h.Compression = "zstd"
	default:
		return fail(Unsupported, qcow2Op, "the compression type %d is not known here", kind)
	}
	return nil
}

func checkQCOW2Tables(h *QCOW2Header, size int64, lim Limits) error {
	limit := lim.VirtualSize
	if limit == 0 {
		limit = DefaultMaxVirtualSize
	}
	if h.VirtualSize > limit {
		return fail(TooBig, qcow2Op, "the disk would have %d bytes, the limit is %d", h.VirtualSize, limit)
	}
	cluster := int64(1) << h.ClusterBits
	entry := int64(8)
	if h.Incompatible&qExtL2 != 0 {
		entry = 16
		if h.ClusterBits < 14 {
			return refuse("extended L2 entries need clusters of 16 KiB or more")
		}
	}
	perL1 := cluster / entry * cluster
	need := (h.VirtualSize + perL1 - 1) / perL1
	if h.L1Entries < need || h.L1Entries > 4<<20 {
		return refuse("the L1 table has %d entries, the disk needs %d", h.L1Entries, need)
	}
	if h.L1Entries > 0 {
		if err := inside("L1 table", h.L1Offset, h.L1Entries*8, cluster, size); err != nil {
			return err
		}
	}
	if h.RefTableClusters == 0 || h.RefTableClusters > (8<<20)/cluster+1 {
		return refuse("the reference count table has %d clusters, which is out of range", h.RefTableClusters)
	}
	if h.Snapshots > 65536 {
		return refuse("the image claims %d snapshots", h.Snapshots)
	}
	// The last cluster of the table may end past the end of a sparse file.
	return inside("reference count table", h.RefTableOffset, 8, cluster, size)
}

// checkL1 refuses a table that names one L2 table twice, which no image does: a few
// bytes would be a disk of terabytes. Of an image that has not come whole, which r
// ends within, nothing is said.
func checkL1(r io.ReaderAt, h *QCOW2Header) error {
	raw := make([]byte, h.L1Entries*8)
	if n, err := r.ReadAt(raw, h.L1Offset); n < len(raw) {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	tables := make([]uint64, 0, h.L1Entries)
	for i := range h.L1Entries {
		if at := binary.BigEndian.Uint64(raw[8*i:]) & qcow2Offset; at != 0 {
			tables = append(tables, at)
		}
	}
	slices.Sort(tables)
	for i := range tables[:max(0, len(tables)-1)] {
		if tables[i] == tables[i+1] {
			return refuse("two entries of the L1 table name one L2 table, at byte %d", tables[i])
		}
	}
	return nil
}

func inside(what string, off, length, cluster, size int64) error {
	if off == 0 || off%cluster != 0 {
		return refuse("the %s begins at byte %d, which is not the begin of a cluster", what, off)
	}
	if off > size || length > size-off {
		return refuse("the %s (bytes %d to %d) lies outside of the file of %d bytes; the upload is not whole or the header is broken", what, off, off+length, size)
	}
	return nil
}

// checkQCOW2Extensions walks the header extensions: known ones are harmless,
// the name of a data file or a format of a backing file betrays a trick.
func checkQCOW2Extensions(b []byte, h *QCOW2Header) error {
	end := min(len(b), 1<<h.ClusterBits)
	for off := h.HeaderLength; off+8 <= end; {
		kind, length := binary.BigEndian.Uint32(b[off:]), binary.BigEndian.Uint32(b[off+4:])
		off += 8
		switch kind {
		case 0:
			return nil
		case 0x44415441:
			return refuse("the image names an external data file")
		case 0x0537be77:
			return fail(Unsupported, qcow2Op, "the image is encrypted; upload it without encryption")
		}
		if int64(length) > int64(end-off) {
			return refuse("a header extension of %d bytes reaches past the header", length)
		}
		off += int(length+7) &^ 7
	}
	return nil
}
