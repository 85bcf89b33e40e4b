package fat

import (
	"encoding/binary"
	"path"
	"strings"
	"time"
	"unicode/utf16"
)

// Entry is a file or folder.
type Entry struct {
	Name string
	Size int64
	Dir  bool
	Time time.Time // of the last change, by a clock whose zone nobody knows: UTC here; to two seconds

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
	if raw[12]&8 != 0 { // as Linux and Windows NT write names of small letters
		name = strings.ToLower(name)
	}
	if raw[12]&16 != 0 {
		end = strings.ToLower(end)
	}
	if end != "" {
		name += "." + end
	}
	e := Entry{Name: name, short: name, Size: int64(le.Uint32(raw[28:])), Dir: raw[11]&attrDir != 0,
		first: uint32(le.Uint16(raw[20:]))<<16 | uint32(le.Uint16(raw[26:]))}
	if len(long) > 0 {
		e.Name = string(utf16.Decode(long))
	}
	clock, day := le.Uint16(raw[22:]), le.Uint16(raw[24:])
	e.Time = time.Date(1980+int(day>>9), time.Month(max(day>>5&15, 1)), int(max(day&31, 1)), int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
	return e
}

// maxWalk is how many files a walk may meet: more than that is a trap.
const maxWalk = 1 << 20

// Walk gives each file and folder but the root, by its absolute path, folders before what
// is in them. Refused for one that goes deeper than any does, or names what is no name.
func (f *FS) Walk(visit func(name string, e Entry) error) error {
	left := maxWalk
	return f.walk("/", Entry{Dir: true, first: f.root, top: true}, 0, &left, visit)
}

func (f *FS) walk(at string, dir Entry, depth int, left *int, visit func(string, Entry) error) error {
	if depth > maxDepth {
		return refuse("%.200s lies in more than %d folders", at, maxDepth)
	}
	list, err := f.entries(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if *left--; *left < 0 {
			return refuse("there are more than %d files", maxWalk)
		}
		if e.Name == "" || strings.ContainsAny(e.Name, "/\x00") {
			return refuse("%.200q in %.200s is no name", e.Name, at)
		}
		name := path.Join(at, e.Name)
		if err := visit(name, e); err != nil {
			return err
		}
		if e.Dir {
			if err := f.walk(name, e, depth+1, left, visit); err != nil {
				return err
			}
		}
	}
	return nil
}
