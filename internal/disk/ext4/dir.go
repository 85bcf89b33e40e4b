package ext4

import (
	"encoding/binary"
	"io/fs"
	"strings"
)

// maxDir bounds a folder: a million names of 255 bytes.
const maxDir = 256 << 20

// Entry is a name in a folder.
type Entry struct {
	Name  string
	Inode uint32
}

// ReadDir lists a folder, without . and .., in the order of the disk.
func (f *FS) ReadDir(n *Inode) ([]Entry, error) {
	if !n.IsDir() {
		return nil, refuse("inode %d is no folder", n.Number)
	}
	if n.Size > maxDir {
		return nil, unsupported("a folder of %d bytes", n.Size)
	}
	d, err := f.Data(n)
	if err != nil {
		return nil, err
	}
	if d.inline != nil { // the parent's number, then entries up to the end of either part
		first := min(len(d.inline), inlineLength)
		if first < 4 {
			return nil, refuse("a broken folder in an inode")
		}
		list, err := entries(nil, d.inline[4:first])
		if err != nil {
			return nil, err
		}
		return entries(list, d.inline[first:])
	}
	var list []Entry
	b := make([]byte, f.BlockSize)
	for off := int64(0); off < n.Size; off += f.BlockSize {
		if _, err := d.ReadAt(b, off); err != nil {
			return nil, err
		}
		if list, err = entries(list, b); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// entries reads one block of a folder. The blocks of its index look like unused
// entries, and the check sum at the end does as well.
func entries(list []Entry, b []byte) ([]Entry, error) {
	le := binary.LittleEndian
	for len(b) >= 8 {
		inode, length, name := le.Uint32(b), int(le.Uint16(b[4:])), int(b[6])
		if length == 0 && inode == 0 { // a hole
			return list, nil
		}
		if length == 0xffff || length == 0 { // blocks of 64 KiB
			length = len(b)
		}
		if length < 8 || length > len(b) || name > length-8 {
			return nil, refuse("a broken entry in a folder")
		}
		text := string(b[8 : 8+name])
		b = b[length:]
		if inode == 0 || text == "." || text == ".." {
			continue
		}
		if text == "" || strings.ContainsAny(text, "/\x00") {
			return nil, refuse("the name %q in a folder", text)
		}
		list = append(list, Entry{text, inode})
	}
	return list, nil
}

// Lookup finds a name in a folder; fs.ErrNotExist if it is not there.
func (f *FS) Lookup(dir *Inode, name string) (*Inode, error) {
	list, err := f.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if e.Name == name {
			return f.Inode(e.Inode)
		}
	}
	return nil, fs.ErrNotExist
}

// Readlink gives the target of a symbolic link.
func (f *FS) Readlink(n *Inode) (string, error) {
	if !n.IsLink() || n.Size > maxTextLink {
		return "", refuse("inode %d is no symbolic link, or one of %d bytes", n.Number, n.Size)
	}
	if n.Size < inlineLength && n.flags&(flagExtents|flagInline|flagEncrypt) == 0 {
		return string(n.data[:n.Size]), nil
	}
	d, err := f.Data(n)
	if err != nil {
		return "", err
	}
	b := make([]byte, n.Size)
	if n.Size == 0 {
		return "", nil
	}
	_, err = d.ReadAt(b, 0)
	return string(b), err
}
