package disk

import (
	"encoding/binary"
	"hash/crc32"
)

// End is where the last partition of a disk of size bytes can end.
func (t *Table) End(size int64) int64 { return t.end(size) }

// Room is the size of the disk that a last partition ending at end needs: of a GPT,
// its second table lies behind.
func (t *Table) Room(end int64) int64 {
	if t.Scheme == SchemeMBR {
		return end
	}
	return end + (t.gpt.sectors()+1)*sectorSize
}

// Relayout writes to the disk f of size bytes, which has the first copy of the table
// t, where the partitions lie now: those of places, by their numbers. Both tables of a
// GPT are written. The content is the caller's to move. Refused if a place is outside
// of the disk or within another; Unsupported for a GPT whose MBR names partitions too.
func (t *Table) Relayout(f ReadWriterAt, size int64, places []Partition) error {
	now := &Table{Scheme: t.Scheme, Partitions: append([]Partition(nil), places...), gpt: t.gpt}
	if err := now.check(size); err != nil {
		return err
	}
	if last := now.Last(); last == nil || last.Start+last.Size > t.endOf(size) {
		return fail(Refused, "move partitions", "the last partition ends behind the end of the disk of %d bytes", size)
	}
	head := make([]byte, sectorSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return err
	}
	if t.Scheme == SchemeMBR {
		for _, p := range places {
			e := head[mbrEntries+16*(p.Number-1):][:16]
			putMBR(e, p.Start, p.Size)
		}
		_, err := f.WriteAt(head, 0)
		return err
	}
	if hybrid(head) {
		return fail(Unsupported, "move partitions", "the disk has a GPT and an MBR that names partitions besides; remove the entries of the MBR first")
	}
	return now.relayoutGPT(f, size)
}

// endOf is the very end for partitions: that of end is rounded to whole blocks.
func (t *Table) endOf(size int64) int64 {
	if t.Scheme == SchemeMBR {
		return t.end(size)
	}
	return (t.gpt.lastUsable(size) + 1) * sectorSize
}

// putMBR lets an entry of an MBR name a place. The first sector in cylinders, heads and
// sectors is as it was only if the start is; both are "beyond what this can say" then.
func putMBR(e []byte, start, size int64) {
	le := binary.LittleEndian
	if uint32(start/sectorSize) != le.Uint32(e[8:]) {
		copy(e[1:], []byte{0xfe, 0xff, 0xff})
	}
	copy(e[5:], []byte{0xfe, 0xff, 0xff})
	le.PutUint32(e[8:], uint32(start/sectorSize))
	le.PutUint32(e[12:], uint32(size/sectorSize))
}

// hybrid tells whether the MBR before a GPT names partitions of its own.
func hybrid(head []byte) bool {
	for i := range 4 {
		if kind := head[mbrEntries+16*i+4]; kind != 0 && kind != 0xee {
			return true
		}
	}
	return false
}

func (t *Table) relayoutGPT(f ReadWriterAt, size int64) error {
	h, le := t.gpt, binary.LittleEndian
	if h.entriesAt*sectorSize+int64(len(h.entries)) > t.Partitions[0].Start {
		return fail(Unsupported, "move partitions", "the entries of the GPT lie behind its first partition")
	}
	for _, p := range t.Partitions {
		e := h.entry(p.Number)
		le.PutUint64(e[32:], uint64(p.Start/sectorSize))
		le.PutUint64(e[40:], uint64((p.Start+p.Size)/sectorSize-1))
	}
	backup := size/sectorSize - 1
	le.PutUint64(h.raw[48:], uint64(h.lastUsable(size)))
	le.PutUint32(h.raw[88:], crc32.ChecksumIEEE(h.entries))
	if err := h.write(f, backup, 1, backup-h.sectors()); err != nil {
		return err
	}
	if err := h.write(f, 1, backup, h.entriesAt); err != nil {
		return err
	}
	return growProtective(f, backup)
}
