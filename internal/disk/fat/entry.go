package fat

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// Entry is a file or folder.
type Entry struct {
	Name string
	Size int64
	Dir  bool

	short string
	first uint32
	at    int64 // of the entry itself, in the file system
	top   bool  // the root folder
}

const (
	attrVolume = 0x08
	attrDir    = 0x10
	attrLong   = 0x0f
	maxName    = 20 * 13 // letters of UTF-16
)

// entries lists a folder, without its volume label and the folders . and ..
func (f *FS) entries(dir Entry) (list []Entry, err error) {
	var b []byte
	var places []int64 // of each stretch of f.cluster bytes, or of the whole root folder
	if dir.top && f.bits != 32 {
		b = make([]byte, f.rootLen)
		if _, err := f.r.ReadAt(b, f.rootAt); err != nil {
			return nil, err
		}
	} else {
		clusters, err := f.chain(dir.first, 32*maxEntries)
		if err != nil {
			return nil, err
		}
		if b, err = f.read(clusters); err != nil {
			return nil, err
		}
		for _, n := range clusters {
			places = append(places, f.at(n))
		}
	}
	var long []uint16
	for at := int64(0); at+32 <= int64(len(b)) && b[at] != 0; at += 32 {
		raw := b[at:][:32]
		switch {
		case raw[0] == 0xe5:
			long = nil
		case raw[11]&0x3f == attrLong:
			if long = append(part(raw), long...); len(long) > maxName {
				long = nil
			}
		case raw[11]&attrVolume != 0:
			long = nil
		default:
			e := decode(raw, long)
			long = nil
			if e.at = f.rootAt + at; places != nil {
				e.at = places[at/f.cluster] + at%f.cluster
			}
			if e.Name != "." && e.Name != ".." {
				list = append(list, e)
			}
		}
	}
	return list, nil
}

// part is the piece of a long name that an entry holds.
func part(raw []byte) (text []uint16) {
	for _, span := range [][2]int{{1, 11}, {14, 26}, {28, 32}} {
		for i := span[0]; i < span[1]; i += 2 {
			c := binary.LittleEndian.Uint16(raw[i:])
			if c == 0 || c == 0xffff {
				return text
			}
			text = append(text, c)
		}
	}
	return text
}

func decode(raw []byte, long []uint16) Entry {
	le := binary.LittleEndian
	name, end := strings.TrimRight(string(raw[:8]), " "), strings.TrimRight(string(raw[8:11]), " ")
	if end != "" {
		name += "." + end
	}
	e := Entry{Name: name, short: name, Size: int64(le.Uint32(raw[28:])), Dir: raw[11]&attrDir != 0,
		first: uint32(le.Uint16(raw[20:]))<<16 | uint32(le.Uint16(raw[26:]))}
	if len(long) > 0 {
		e.Name = string(utf16.Decode(long))
	}
	return e
}
