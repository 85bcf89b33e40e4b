package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// gptHeader is a header of UEFI specification 2.10, 5.3.2. Places are in sectors.
type gptHeader struct {
	raw       []byte // one sector
	length    int
	entriesAt int64
	count     int
	entryLen  int
	entries   []byte
}

func gptRefuse(format string, args ...any) error {
	return fail(Refused, "read partition table", format, args...)
}

func readGPT(r io.ReaderAt, size int64) (*Table, error) {
	h := &gptHeader{raw: make([]byte, sectorSize)}
	if _, err := r.ReadAt(h.raw, sectorSize); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	h.length = int(le.Uint32(h.raw[12:]))
	if h.length < 92 || h.length > sectorSize {
		return nil, gptRefuse("the GPT header claims %d bytes", h.length)
	}
	if le.Uint32(h.raw[16:]) != h.sum() {
		return nil, gptRefuse("the check sum of the GPT header is wrong")
	}
	h.count, h.entryLen = int(le.Uint32(h.raw[80:])), int(le.Uint32(h.raw[84:]))
	if h.count < 1 || h.count > 1024 || h.entryLen < 128 || h.entryLen > 1024 || h.entryLen%128 != 0 {
		return nil, gptRefuse("the GPT claims %d entries of %d bytes", h.count, h.entryLen)
	}
	at := le.Uint64(h.raw[72:])
	length := int64(h.count * h.entryLen)
	if at < 2 || at > uint64(size/sectorSize) || length > size-int64(at)*sectorSize {
		return nil, gptRefuse("the entries of the GPT lie outside of the disk")
	}
	h.entriesAt, h.entries = int64(at), make([]byte, length)
	if _, err := r.ReadAt(h.entries, h.entriesAt*sectorSize); err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(h.entries) != le.Uint32(h.raw[88:]) {
		return nil, gptRefuse("the check sum of the GPT entries is wrong")
	}
	return h.table()
}

func (h *gptHeader) table() (*Table, error) {
	t := &Table{Scheme: SchemeGPT, gpt: h}
	for i := range h.count {
		e := h.entry(i + 1)
		if [16]byte(e) == [16]byte{} {
			continue
		}
		first, last := binary.LittleEndian.Uint64(e[32:]), binary.LittleEndian.Uint64(e[40:])
		if last < first || last >= 1<<53 {
			return nil, gptRefuse("partition %d ends before it begins", i+1)
		}
		t.Partitions = append(t.Partitions, Partition{Number: i + 1, Type: guid(e),
			Start: int64(first) * sectorSize, Size: int64(last-first+1) * sectorSize})
	}
	return t, nil
}

// sectors is how many sectors the entries take.
func (h *gptHeader) sectors() int64 { return (int64(len(h.entries)) + sectorSize - 1) / sectorSize }

// lastUsable is the last sector before the second table on a disk of size bytes.
func (h *gptHeader) lastUsable(size int64) int64 { return size/sectorSize - 1 - h.sectors() - 1 }

func (h *gptHeader) entry(number int) []byte {
	return h.entries[(number-1)*h.entryLen:][:h.entryLen]
}

// sum is the check sum of the header with its own field as zero.
func (h *gptHeader) sum() uint32 {
	b := append([]byte(nil), h.raw[:h.length]...)
	clear(b[16:20])
	return crc32.ChecksumIEEE(b)
}

// growGPT writes the copy at the new end first and the primary last, so that
// at each moment one whole table is on the disk.
func growGPT(f ReadWriterAt, t *Table, size int64) (*Partition, error) {
	h, le, last := t.gpt, binary.LittleEndian, t.Last()
	oldBackup := int64(min(le.Uint64(h.raw[32:]), 1<<53))
	backup := size/sectorSize - 1
	table := h.sectors()
	end := t.end(size) / sectorSize
	if oldBackup >= backup || end*sectorSize-last.Start <= last.Size {
		return last, nil
	}
	last.Size = end*sectorSize - last.Start
	le.PutUint64(h.entry(last.Number)[40:], uint64(end-1))
	le.PutUint64(h.raw[48:], uint64(h.lastUsable(size)))
	le.PutUint32(h.raw[88:], crc32.ChecksumIEEE(h.entries))
	if err := h.write(f, backup, 1, backup-table); err != nil {
		return nil, err
	}
	if err := h.write(f, 1, backup, h.entriesAt); err != nil {
		return nil, err
	}
	if oldBackup > 1 && oldBackup < end {
		if _, err := f.WriteAt(make([]byte, sectorSize), oldBackup*sectorSize); err != nil {
			return nil, err
		}
	}
	return last, growProtective(f, backup)
}

// write puts a header at sector self, with its twin at other and its entries at entries.
func (h *gptHeader) write(f io.WriterAt, self, other, entries int64) error {
	le := binary.LittleEndian
	le.PutUint64(h.raw[24:], uint64(self))
	le.PutUint64(h.raw[32:], uint64(other))
	le.PutUint64(h.raw[72:], uint64(entries))
	le.PutUint32(h.raw[16:], h.sum())
	if _, err := f.WriteAt(h.entries, entries*sectorSize); err != nil {
		return err
	}
	_, err := f.WriteAt(h.raw, self*sectorSize)
	return err
}

// growProtective lets the entry of type 0xee in the MBR cover the disk.
func growProtective(f ReadWriterAt, backup int64) error {
	head := make([]byte, sectorSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return err
	}
	for i := range 4 {
		e := head[mbrEntries+16*i:][:16]
		if e[4] == 0xee {
			first := int64(binary.LittleEndian.Uint32(e[8:]))
			binary.LittleEndian.PutUint32(e[12:], uint32(min(backup+1-first, 1<<32-1)))
		}
	}
	_, err := f.WriteAt(head, 0)
	return err
}

// guid prints the mixed-endian GUID of a GPT as people write it.
func guid(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}
