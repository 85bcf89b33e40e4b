package ext4

import (
	"encoding/binary"
	"io"
)

const (
	xattrMagic = 0xea020000
	maxXattr   = 64 << 10 // what Linux lets a value have
)

// prefixes of names, by their index.
var prefixes = map[byte]string{0: "", 1: "user.", 2: "system.posix_acl_access", 3: "system.posix_acl_default", 4: "trusted.", 6: "security.", 7: "system.", 8: "system.richacl"}

// Xattrs gives the extended attributes of a file in the form of getxattr(2):
// access control lists have version 2 of their form, not the one of the disk.
func (f *FS) Xattrs(n *Inode) (map[string][]byte, error) {
	raw, err := f.rawXattrs(n)
	if err != nil {
		return nil, err
	}
	return callForm(raw)
}

// callForm turns what the disk has into what getxattr(2) gives.
func callForm(raw map[string][]byte) (_ map[string][]byte, err error) {
	delete(raw, "system.data") // of an inline file: part of the content
	for _, name := range []string{"system.posix_acl_access", "system.posix_acl_default"} {
		if v, ok := raw[name]; ok {
			if raw[name], err = aclForm(v); err != nil {
				return nil, err
			}
		}
	}
	return raw, nil
}

func (f *FS) rawXattrs(n *Inode) (map[string][]byte, error) {
	all := map[string][]byte{}
	if len(n.extra) >= 4 && binary.LittleEndian.Uint32(n.extra) == xattrMagic {
		if err := f.xattrs(all, n.extra[4:], n.extra[4:]); err != nil {
			return nil, err
		}
	}
	if n.acl == 0 {
		return all, nil
	}
	b, err := f.block(n.acl)
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(b) != xattrMagic {
		return nil, refuse("a broken block of extended attributes")
	}
	return all, f.xattrs(all, b[32:], b)
}

// xattrs reads entries from list; values are at offsets in base.
func (f *FS) xattrs(all map[string][]byte, list, base []byte) error {
	le := binary.LittleEndian
	for len(list) >= 4 && le.Uint32(list) != 0 {
		if len(list) < 16 || 16+int(list[0]) > len(list) {
			return refuse("a broken extended attribute")
		}
		name := prefixes[list[1]] + string(list[16:16+int(list[0])])
		at, inode, size := int64(le.Uint16(list[2:])), le.Uint32(list[4:]), int64(le.Uint32(list[8:]))
		var value []byte
		switch {
		case name == "":
			return refuse("an extended attribute without a name")
		case size > maxXattr:
			return refuse("an extended attribute of %d bytes", size)
		case inode != 0:
			v, err := f.xattrInode(inode, size)
			if err != nil {
				return err
			}
			value = v
		case at+size > int64(len(base)):
			return refuse("an extended attribute lies outside of its block")
		default:
			value = append([]byte{}, base[at:at+size]...)
		}
		all[name] = value
		list = list[min(len(list), (16+int(list[0])+3)&^3):]
	}
	return nil
}

// xattrInode reads a large value, which has an inode of its own.
func (f *FS) xattrInode(number uint32, size int64) ([]byte, error) {
	n, err := f.Inode(number)
	if err != nil {
		return nil, err
	}
	if n.flags&flagEAInode == 0 || n.flags&flagInline != 0 || n.Size != size {
		return nil, refuse("inode %d has no extended attribute", number)
	}
	d, err := f.Data(n)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(d.Reader())
}

// inlineData is the content of a small file that lies in its inode.
func (f *FS) inlineData(n *Inode) ([]byte, error) {
	raw, err := f.rawXattrs(n)
	if err != nil {
		return nil, err
	}
	b := append(n.data[:len(n.data):len(n.data)], raw["system.data"]...)
	if n.IsDir() {
		return b, nil
	}
	return b[:min(n.Size, int64(len(b)))], nil // mke2fs marks a file of zeros as inline, whatever its size
}

// aclForm turns an access control list of the disk (fs/ext4/acl.h) into that of
// system calls (include/uapi/linux/posix_acl_xattr.h): entries all have an id.
func aclForm(b []byte) ([]byte, error) {
	le := binary.LittleEndian
	if len(b) < 4 || le.Uint32(b) != 1 {
		return nil, refuse("a broken access control list")
	}
	out := le.AppendUint32(nil, 2)
	for b = b[4:]; len(b) > 0; {
		if len(b) < 4 {
			return nil, refuse("a broken access control list")
		}
		out = append(out, b[:4]...)
		const user, group = 2, 8
		if tag := le.Uint16(b); tag != user && tag != group {
			out, b = le.AppendUint32(out, 1<<32-1), b[4:]
			continue
		}
		if len(b) < 8 {
			return nil, refuse("a broken access control list")
		}
		out, b = append(out, b[4:8]...), b[8:]
	}
	return out, nil
}
