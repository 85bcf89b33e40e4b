package deploy

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"

	"hearth/internal/disk/osdef"
)

// Part is one partition of the disk. Start and Size are bytes.
type Part struct {
	Number     int    `json:"number"`
	Mount      string `json:"mount"` // a folder, "swap", "bios", or "" for an empty one
	Start      int64  `json:"start"`
	Size       int64  `json:"size"`
	Boot       bool   `json:"boot"`
	FileSystem string `json:"filesystem,omitempty"`
	UUID       string `json:"uuid,omitempty"`
}

// table is all partitions of a disk.
type table struct {
	gpt   bool
	id    uint32 // of an MBR's disk
	parts []Part
}

const (
	mib    = 1 << 20
	sector = 512
)

// legacy is one of the four layouts of ganeti-instance-image: /boot unless the
// kernel lies outside, swap if wanted, and / with all that is left.
func legacy(swap, outside bool, bootSize, swapSize int64, fs string) *osdef.Layout {
	l := &osdef.Layout{Table: "mbr"}
	if !outside {
		boot := fs
		if others[fs] { // which no boot partition has room for
			boot = "ext4"
		}
		l.Partitions = append(l.Partitions, osdef.Partition{Mount: "/boot", Size: bootSize / mib, FileSystem: boot, Boot: true})
	}
	if swap {
		l.Partitions = append(l.Partitions, osdef.Partition{Mount: "swap", Size: swapSize / mib})
	}
	l.Partitions = append(l.Partitions, osdef.Partition{Mount: "/", FileSystem: fs, Boot: outside})
	return l
}

// place lays out a disk of size bytes: partitions begin and end at whole MiB.
func place(l *osdef.Layout, size int64, fs string) (*table, error) {
	t := &table{gpt: l.Table == "gpt"}
	var id [4]byte
	rand.Read(id[:])
	t.id = binary.LittleEndian.Uint32(id[:]) | 1
	end := size / mib * mib
	if t.gpt {
		end = (size - 34*sector) / mib * mib
	}
	at := int64(mib)
	for i, p := range l.Partitions {
		part := Part{Number: i + 1, Mount: p.Mount, Start: at, Size: p.Size * mib, Boot: p.Boot}
		if p.Size == 0 {
			part.Size = end - at
		}
		if part.Size <= 0 || part.Size > end-at {
			return nil, refuse("partition %d (%s) of %d MB does not fit: the disk of %d MB has %d MB left for it", part.Number, p.Mount, p.Size, size/mib, max(end-at, 0)/mib)
		}
		switch p.Mount {
		case "", "bios":
		case "swap":
			part.UUID = newUUID()
		default:
			if part.FileSystem, part.UUID = p.FileSystem, newUUID(); p.FileSystem == "" {
				part.FileSystem = fs
			}
		}
		t.parts = append(t.parts, part)
		at += part.Size
	}
	return t, nil
}

// find gives the partition of a mount; nil if there is none.
func (t *table) find(mount string) *Part {
	for i := range t.parts {
		if t.parts[i].Mount == mount {
			return &t.parts[i]
		}
	}
	return nil
}

// write puts the table on a disk of size bytes.
func (t *table) write(f io.WriterAt, size int64) error {
	if t.gpt {
		return t.writeGPT(f, size)
	}
	_, err := f.WriteAt(t.mbr(), 440)
	return err
}

// mbr is the end of the first sector: the disk's id, four entries, and the mark.
// Places in cylinders say "beyond what this can say".
func (t *table) mbr() []byte {
	b := make([]byte, 72)
	le := binary.LittleEndian
	le.PutUint32(b, t.id)
	for i, p := range t.parts {
		e := b[6+16*i:]
		copy(e, []byte{0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff})
		if p.Boot {
			e[0] = 0x80
		}
		if p.Mount == "swap" {
			e[4] = 0x82
		}
		le.PutUint32(e[8:], uint32(p.Start/sector))
		le.PutUint32(e[12:], uint32(p.Size/sector))
	}
	b[70], b[71] = 0x55, 0xaa
	return b
}

// Types of partitions, as GPT stores them. Source: UEFI 2.10, 5.3.3, and the
// Discoverable Partitions Specification.
var (
	typeLinux = [16]byte{0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}
	typeSwap  = [16]byte{0x6d, 0xfd, 0x57, 0x06, 0xab, 0xa4, 0xc4, 0x43, 0x84, 0xe5, 0x09, 0x33, 0xc8, 0x4b, 0x4f, 0x4f}
	typeBIOS  = [16]byte{0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65, 0x65, 0x64, 0x45, 0x46, 0x49}
)

const gptEntries = 128

func (t *table) writeGPT(f io.WriterAt, size int64) error {
	entries := make([]byte, gptEntries*128)
	le := binary.LittleEndian
	for i, p := range t.parts {
		e := entries[128*i:]
		kind := typeLinux
		switch p.Mount {
		case "swap":
			kind = typeSwap
		case "bios":
			kind = typeBIOS
		}
		copy(e, kind[:])
		rand.Read(e[16:32])
		le.PutUint64(e[32:], uint64(p.Start/sector))
		le.PutUint64(e[40:], uint64((p.Start+p.Size)/sector-1))
		for j, u := range utf16.Encode([]rune(p.Mount)) {
			if j < 36 {
				le.PutUint16(e[56+2*j:], u)
			}
		}
	}
	last := size/sector - 1
	var id [16]byte
	rand.Read(id[:])
	header := func(self, other, at int64) []byte {
		h := make([]byte, sector)
		copy(h, "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00")
		for i, v := range map[int]int64{24: self, 32: other, 40: 34, 48: last - 33, 72: at} {
			le.PutUint64(h[i:], uint64(v))
		}
		copy(h[56:], id[:])
		le.PutUint32(h[80:], gptEntries)
		le.PutUint32(h[84:], 128)
		le.PutUint32(h[88:], crc32.ChecksumIEEE(entries))
		le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
		return h
	}
	protective := make([]byte, 72)
	copy(protective[6:], []byte{0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0})
	le.PutUint32(protective[18:], uint32(min(last, 1<<32-1)))
	protective[70], protective[71] = 0x55, 0xaa
	for _, w := range []struct {
		at int64
		b  []byte
	}{{440, protective}, {sector, header(1, last, 2)}, {2 * sector, entries}, {(last - 32) * sector, entries}, {last * sector, header(last, 1, last-32)}} {
		if _, err := f.WriteAt(w.b, w.at); err != nil {
			return err
		}
	}
	return nil
}

// swapHeader makes a swap space of a partition. Source: mkswap(8) of util-linux,
// union swap_header of Linux.
func swapHeader(p *Part) []byte {
	b := make([]byte, 4096)
	le := binary.LittleEndian
	le.PutUint32(b[1024:], 1)
	le.PutUint32(b[1028:], uint32(min(p.Size/4096-1, 1<<32-1)))
	copy(b[1036:], rawUUID(p.UUID))
	copy(b[4086:], "SWAPSPACE2")
	return b
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func rawUUID(s string) []byte {
	var b [16]byte
	n := 0
	for _, c := range []byte(s) {
		v := c - '0'
		switch {
		case c == '-':
			continue
		case c >= 'a':
			v = c - 'a' + 10
		}
		b[n/2] |= v << (4 - 4*(n%2))
		n++
	}
	return b[:]
}
