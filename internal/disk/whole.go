package disk

import (
	"encoding/binary"
	"io"
)

// Whole tells by the tables of an image of size bytes, of which info is known, whether what they name
// begins within it: Refused of one that was cut short. Nothing of the disk is read. Of formats other than
// qcow2 nothing is told here: what their headers tell, [Detect] does.
func Whole(r io.ReaderAt, size int64, info Info) error {
	if info.QCOW2 == nil {
		return nil
	}
	return wholeQCOW2(r, size, info.QCOW2)
}

// wholeQCOW2 reads each L2 table once.
func wholeQCOW2(r io.ReaderAt, size int64, h *QCOW2Header) error {
	cluster := int64(1) << h.ClusterBits
	l1 := make([]byte, h.L1Entries*8)
	if len(l1) > 0 {
		if n, err := r.ReadAt(l1, h.L1Offset); n < len(l1) {
			return err
		}
	}
	entry := int64(8)
	if h.Incompatible&qExtL2 != 0 {
		entry = 16 // of which the second half says what of a cluster is stored
	}
	span := cluster / entry * cluster // of the disk, by one table
	for i := range h.L1Entries {
		place := int64(binary.BigEndian.Uint64(l1[8*i:]) & qcow2Offset)
		if place == 0 || i*span >= h.VirtualSize {
			continue
		}
		table, err := part(r, size, place, int(cluster), "L2 table")
		if err != nil {
			return err
		}
		for j := range cluster / entry {
			at := i*span + j*cluster
			if at >= h.VirtualSize {
				break
			}
			if place, stored := h.placeOf(binary.BigEndian.Uint64(table[entry*j:])); stored && place >= size {
				return refuse("the file is cut short: it has %d bytes, and what is at byte %d of the disk lies at byte %d of it; fetch or make it again", size, at, place)
			}
		}
	}
	return nil
}

// placeOf is where in the file a cluster lies, by its entry; false if it is not stored.
func (h *QCOW2Header) placeOf(entry uint64) (place int64, stored bool) {
	switch {
	case entry&qcow2Packed != 0:
		return int64(entry & (1<<(62-(h.ClusterBits-8)) - 1)), true
	case entry&qcow2Zero != 0 && h.Version >= 3 && h.Incompatible&qExtL2 == 0:
		return 0, false
	}
	place = int64(entry & qcow2Offset)
	return place, place != 0
}
