package disk

import (
	"encoding/binary"
	"fmt"
)

const (
	mbrEntries = 446
	mbrMax     = int64(1<<32-1) * sectorSize // 32 bit sector numbers
)

// readMBR reads the four primary entries. A boot sector of a file system has
// the same signature: one whose status bytes are not 0 or 0x80 is no table.
func readMBR(head []byte, size int64) (*Table, error) {
	if !at(head, 510, "\x55\xaa") {
		return nil, nil
	}
	t := &Table{Scheme: SchemeMBR}
	for i := range 4 {
		e := head[mbrEntries+16*i:][:16]
		if e[0]&0x7f != 0 {
			return nil, nil
		}
		start, count := binary.LittleEndian.Uint32(e[8:]), binary.LittleEndian.Uint32(e[12:])
		if e[4] == 0 || count == 0 {
			continue
		}
		p := Partition{Number: i + 1, Start: int64(start) * sectorSize, Size: int64(count) * sectorSize,
			Type: fmt.Sprintf("%02x", e[4]), Bootable: e[0] == 0x80}
		if e[4] == 0xee { // a protective entry often claims more than the disk has
			p.Size = min(p.Size, size-p.Start)
		}
		t.Partitions = append(t.Partitions, p)
	}
	if len(t.Partitions) == 0 {
		return nil, nil
	}
	return t, nil
}

func growMBR(f ReadWriterAt, p *Partition, end int64) (*Partition, error) {
	switch p.Type {
	case "05", "0f", "85", "ee":
		return nil, fail(Unsupported, "grow partition", "the last partition is of type %s, which holds others", p.Type)
	}
	if end-p.Start <= p.Size {
		return p, nil
	}
	p.Size = end - p.Start
	var count [4]byte
	binary.LittleEndian.PutUint32(count[:], uint32(p.Size/sectorSize))
	off := int64(mbrEntries + 16*(p.Number-1))
	// The end in cylinders, heads and sectors: "beyond what this can say".
	if _, err := f.WriteAt([]byte{0xfe, 0xff, 0xff}, off+5); err != nil {
		return nil, err
	}
	_, err := f.WriteAt(count[:], off+12)
	return p, err
}

// MBRTable writes one bootable Linux partition from start to the end of the
// disk into a boot sector of 512 bytes.
func MBRTable(sector []byte, start, size int64) {
	e := sector[mbrEntries:][:16]
	copy(e, []byte{0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff})
	binary.LittleEndian.PutUint32(e[8:], uint32(start/sectorSize))
	binary.LittleEndian.PutUint32(e[12:], uint32((size-start)/sectorSize))
	sector[510], sector[511] = 0x55, 0xaa
}
