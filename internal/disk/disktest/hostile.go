// Package disktest has images that wish the host ill, for the tests of all that
// takes images from users: none may be converted, looked into or kept.
package disktest

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// Secret is the file of the host that the images name.
const Secret = "/etc/passwd"

// Image is a hostile image.
type Image struct {
	Name   string
	Format string // that an uploader would claim
	Data   []byte
}

// Hostile are the images.
func Hostile() []Image {
	list := []Image{
		{"backing file", "qcow2", qcow2(func(b []byte) { be64(b, 8, 512); be32(b, 16, uint32(len(Secret))); copy(b[512:], Secret) })},
		{"backing file, version 2", "qcow2", qcow2(func(b []byte) {
			be32(b, 4, 2)
			be64(b, 8, 512)
			be32(b, 16, uint32(len(Secret)))
			copy(b[512:], Secret)
		})},
		{"backing file without a name", "qcow2", qcow2(func(b []byte) { be64(b, 8, 512) })},
		{"data file", "qcow2", qcow2(func(b []byte) { b[79] |= 4; extension(b, 0x44415441, Secret) })},
		{"data file without its bit", "qcow2", qcow2(func(b []byte) { extension(b, 0x44415441, Secret) })},
		{"unknown feature", "qcow2", qcow2(func(b []byte) { b[72] = 0x80 })},
		{"gigantic disk", "qcow2", qcow2(func(b []byte) { be64(b, 24, 1<<62) })},
		{"gigantic L1", "qcow2", qcow2(func(b []byte) { be32(b, 36, 0xffffffff) })},
		{"L1 outside", "qcow2", qcow2(func(b []byte) { be64(b, 40, 1<<50) })},
		{"L1 too short", "qcow2", qcow2(func(b []byte) { be64(b, 24, 1<<40) })},
		{"clusters of 4 GiB", "qcow2", qcow2(func(b []byte) { be32(b, 20, 32) })},
		{"bomb of one L2 table", "qcow2", qcow2(bomb)},
		{"loop", "qcow2", qcow2(func(b []byte) { // tables that are each other's
			be64(b, 24, 1<<30)
			be32(b, 36, 2)
			be64(b, 3<<16, 3<<16|1<<63)
			be64(b, 3<<16+8, 3<<16|1<<63)
		})},
		{"many snapshots", "qcow2", qcow2(func(b []byte) { be32(b, 60, 0x7fffffff) })},
		{"long extension", "qcow2", qcow2(func(b []byte) { be32(b, 104, 0x12345678); be32(b, 108, 0xfffffff0) })},
		{"cut short", "qcow2", qcow2(func([]byte) {})[:100]},
		{"split in files", "vmdk", []byte(vmdkText("RW 20480 FLAT \"" + Secret + "\" 0"))},
		{"extent by path", "vmdk", vmdk(vmdkText("RW 20480 SPARSE \"" + Secret + "\""))},
		{"flat extent", "vmdk", vmdk(vmdkText("RW 20480 FLAT \"passwd\" 0"))},
		{"device", "vmdk", vmdk(strings.Replace(vmdkText("RW 20480 FLAT \"/dev/vda\" 0"), "monolithicSparse", "fullDevice", 1))},
		{"two extents", "vmdk", vmdk(vmdkText("RW 20480 SPARSE \"x.vmdk\"\nRW 8 FLAT \"" + Secret + "\" 0"))},
		{"parent", "vmdk", vmdk(strings.Replace(vmdkText("RW 20480 SPARSE \"x.vmdk\""), "parentCID=ffffffff", "parentCID=1\nparentFileNameHint=\""+Secret+"\"", 1))},
		{"gigantic capacity", "vmdk", vmdkOf(1<<60, vmdkText("RW 20480 SPARSE \"x.vmdk\""))},
		{"beyond the limit", "vmdk", vmdkOf(1<<40, vmdkText("RW 20480 SPARSE \"x.vmdk\""))},
		{"descriptor outside", "vmdk", put64(vmdk(vmdkText("RW 20480 SPARSE \"x.vmdk\"")), 28, 1<<50)},
		{"differences", "vdi", vdi(func(b []byte) { b[0x4c] = 4 })},
		{"parent", "vdi", vdi(func(b []byte) { b[0x1b8] = 1 })},
		{"gigantic", "vdi", vdi(func(b []byte) { binary.LittleEndian.PutUint64(b[0x170:], 1<<60) })},
		{"tables outside", "vdi", vdi(func(b []byte) { binary.LittleEndian.PutUint32(b[0x158:], 1<<31) })},
		{"differences", "vhd", vhd(4, 10<<20)},
		{"gigantic", "vhd", vhd(3, 1<<60)},
		{"no regions", "vhdx", append([]byte("vhdxfile"), make([]byte, 512<<10)...)},
	}
	return list
}

func be32(b []byte, at int, v uint32) { binary.BigEndian.PutUint32(b[at:], v) }

func be64(b []byte, at int, v uint64) { binary.BigEndian.PutUint64(b[at:], v) }

func put64(b []byte, at int, v uint64) []byte {
	binary.LittleEndian.PutUint64(b[at:], v)
	return b
}

// qcow2 is an image of 10 MiB of version 3, changed: header, refcount table, refcount
// block, L1 table, an L2 table and a cluster, of 64 KiB each.
func qcow2(change func([]byte)) []byte {
	b := make([]byte, 6<<16)
	copy(b, "QFI\xfb")
	be32(b, 4, 3)
	be32(b, 20, 16)
	be64(b, 24, 10<<20)
	be32(b, 36, 1)
	be64(b, 40, 3<<16)
	be64(b, 48, 1<<16)
	be32(b, 56, 1)
	be32(b, 96, 4)
	be32(b, 100, 104)
	be64(b, 1<<16, 2<<16)
	for i := range 6 {
		binary.BigEndian.PutUint16(b[2<<16+2*i:], 1)
	}
	be64(b, 3<<16, 4<<16|1<<63)
	be64(b, 4<<16, 5<<16|1<<63)
	copy(b[5<<16:], "data")
	change(b)
	return b
}

// bomb makes 4 TiB of one L2 table, and that of one cluster.
func bomb(b []byte) {
	const entries = 8192
	be64(b, 24, entries<<29)
	be32(b, 36, entries)
	for i := range entries {
		be64(b, 3<<16+8*i, 4<<16|1<<63)
		be64(b, 4<<16+8*i, 5<<16|1<<63)
	}
}

func extension(b []byte, kind uint32, text string) {
	be32(b, 104, kind)
	be32(b, 108, uint32(len(text)))
	copy(b[112:], text)
}

func vmdkText(extents string) string {
	return "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\n\n# Extent description\n" + extents + "\n"
}

func vmdk(text string) []byte { return vmdkOf(20<<10, text) }

func vmdkOf(sectors uint64, text string) []byte {
	b := make([]byte, 8<<10)
	copy(b, "KDMV\x01\x00\x00\x00")
	put64(b, 12, sectors)
	put64(b, 28, 1)
	put64(b, 36, 4)
	copy(b[512:], text)
	return b
}

func vdi(change func([]byte)) []byte {
	b := make([]byte, 4096)
	copy(b[0x40:], "\x7f\x10\xda\xbe\x01\x00\x01\x00")
	b[0x4c] = 1
	put64(b, 0x170, 10<<20)
	change(b)
	return b
}

func vhd(kind uint32, size uint64) []byte {
	f := make([]byte, 512)
	copy(f, "conectix")
	be64(f, 16, 512)
	be64(f, 48, size)
	be32(f, 60, kind)
	sum := uint32(0)
	for _, c := range f {
		sum += uint32(c)
	}
	be32(f, 64, ^sum)
	return bytes.Join([][]byte{f, []byte("cxsparse"), make([]byte, 2040), f}, nil)
}
