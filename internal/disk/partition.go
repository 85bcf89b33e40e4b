package disk

import (
	"io"
	"slices"
)

// sectorSize is the logical sector size of the disks guests see here.
const sectorSize = 512

// Scheme is the kind of a partition table.
type Scheme string

// The partition tables known here.
const (
	SchemeMBR Scheme = "mbr"
	SchemeGPT Scheme = "gpt"
)

// Partition is one used entry of a partition table. Start and Size are bytes.
type Partition struct {
	Number   int // from 1, as Linux counts
	Start    int64
	Size     int64
	Type     string // MBR: two hex digits; GPT: the type GUID in upper case
	Bootable bool
}

// Table is a checked partition table: its partitions lie inside the disk, do
// not overlap and are ordered by their start.
type Table struct {
	Scheme     Scheme
	Partitions []Partition
	gpt        *gptHeader
}

// ReadWriterAt is what changing a disk in place needs.
type ReadWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// ReadTable reads the partition table of the disk r of size bytes. It returns
// nil and no error when there is none. Errors are of kind Refused.
func ReadTable(r io.ReaderAt, size int64) (*Table, error) {
	if size < 3*sectorSize {
		return nil, nil
	}
	head := make([]byte, 2*sectorSize)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, err
	}
	var t *Table
	var err error
	if at(head, sectorSize, "EFI PART") {
		t, err = readGPT(r, size)
	} else {
		t, err = readMBR(head, size)
	}
	if t == nil || err != nil {
		return nil, err
	}
	return t, t.check(size)
}

// Last gives the partition that ends the disk, or nil.
func (t *Table) Last() *Partition {
	if t == nil || len(t.Partitions) == 0 {
		return nil
	}
	return &t.Partitions[len(t.Partitions)-1]
}

// end is where the last partition can end on a disk of size bytes.
func (t *Table) end(size int64) int64 {
	if t.Scheme == SchemeMBR {
		return min(size, mbrMax) / sectorSize * sectorSize
	}
	return (t.gpt.lastUsable(size) + 1) / 8 * 8 * sectorSize // whole blocks of 4 KiB
}

func (t *Table) check(size int64) error {
	slices.SortFunc(t.Partitions, func(a, b Partition) int {
		switch {
		case a.Start < b.Start:
			return -1
		case a.Start > b.Start:
			return 1
		}
		return 0
	})
	end := int64(0)
	for _, p := range t.Partitions {
		if p.Start < end {
			return fail(Refused, "read partition table", "partition %d begins inside of another", p.Number)
		}
		if p.Size <= 0 || p.Start > size || p.Size > size-p.Start {
			return fail(Refused, "read partition table", "partition %d (bytes %d to %d) lies outside of the disk of %d bytes", p.Number, p.Start, p.Start+p.Size, size)
		}
		end = p.Start + p.Size
	}
	return nil
}

// GrowLast makes the last partition of the disk f reach its end at size bytes
// and moves the second header of a GPT there. It returns the partition as it
// is now. Nothing is written when it fits already. An extended or a protective
// partition at the end is of kind Unsupported.
func GrowLast(f ReadWriterAt, size int64) (*Partition, error) {
	t, err := ReadTable(f, size)
	if err != nil {
		return nil, err
	}
	last := t.Last()
	if last == nil {
		return nil, fail(Unsupported, "grow partition", "the disk has no partition")
	}
	if t.Scheme == SchemeGPT {
		return growGPT(f, t, size)
	}
	return growMBR(f, last, t.end(size))
}
