package ext4

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// inInode marks the attributes out of an inode in a dump, see dumprestore.h of dump.
const inInode = 0xea020001

// DecodeXattrs reads a block of extended attributes, or those out of an inode in the
// form of dump(8), as [FS.Xattrs] gives them.
func DecodeXattrs(b []byte) (map[string][]byte, error) {
	all := map[string][]byte{}
	if len(b) < 36 {
		return nil, refuse("a broken block of extended attributes")
	}
	list, base := b[32:], b
	switch binary.LittleEndian.Uint32(b) {
	case inInode:
		list, base = b[4:], b[4:]
	case xattrMagic:
	default:
		return nil, refuse("a broken block of extended attributes")
	}
	if err := (&FS{ExtFS: nil}).xattrs(all, list, base); err != nil {
		return nil, err
	}
	return callForm(all)
}

// EncodeXattrs makes a block of extended attributes out of what [FS.Xattrs] gives,
// a multiple of unit long and of 64 KiB at most.
func EncodeXattrs(all map[string][]byte, unit int) ([]byte, error) {
	le, size := binary.LittleEndian, 32+4
	var entries []xattrEntry
	for _, name := range slices.Sorted(maps.Keys(all)) {
		e, err := newEntry(name, all[name])
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
		size += (16+len(e.name)+3)&^3 + (len(e.value)+3)&^3
	}
	if size = (size + unit - 1) / unit * unit; size > maxXattr {
		return nil, unsupported("extended attributes of %d bytes", size)
	}
	slices.SortStableFunc(entries, func(a, b xattrEntry) int { return int(a.index) - int(b.index) })
	b := make([]byte, size)
	le.PutUint32(b, xattrMagic)
	le.PutUint32(b[4:], 1) // counts who has it
	le.PutUint32(b[8:], 1) // blocks
	at, end := 32, size
	for _, e := range entries {
		end -= (len(e.value) + 3) &^ 3
		copy(b[end:], e.value)
		b[at], b[at+1] = byte(len(e.name)), e.index
		le.PutUint16(b[at+2:], uint16(end))
		le.PutUint32(b[at+8:], uint32(len(e.value)))
		copy(b[at+16:], e.name)
		at += (16 + len(e.name) + 3) &^ 3
	}
	return b, nil
}

type xattrEntry struct {
	index byte
	name  string
	value []byte
}

// newEntry finds the longest prefix that has a number, and turns lists of access
// control into the form of the disk.
func newEntry(name string, value []byte) (e xattrEntry, err error) {
	best := ""
	for index, prefix := range prefixes {
		if prefix != "" && strings.HasPrefix(name, prefix) && len(prefix) > len(best) {
			best, e.index = prefix, index
		}
	}
	e.name, e.value = name[len(best):], value
	if best == "" || len(e.name) > 255 {
		return e, unsupported("an extended attribute named %.100q", name)
	}
	if e.index == 2 || e.index == 3 {
		e.value, err = diskForm(value)
	}
	return e, err
}

// diskForm is the reverse of aclForm.
func diskForm(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	if len(b) < 4 || le.Uint32(b) != 2 || len(b)%8 != 4 {
		return nil, refuse("a broken access control list")
	}
	out := le.AppendUint32(nil, 1)
	for b = b[4:]; len(b) > 0; b = b[8:] {
		out = append(out, b[:4]...)
		if tag := le.Uint16(b); tag == 2 || tag == 8 { // a user, a group
			out = append(out, b[4:8]...)
		}
	}
	return out, nil
}
