package mount

import (
	"encoding/binary"
	"slices"
	"syscall"
)

// accessList is the extended attribute with a file's access control list.
const accessList = "system.posix_acl_access"

// Tags of a list's entries. Source: include/uapi/linux/posix_acl.h and
// posix_acl_xattr.h: a version, 2, in four bytes, then entries of a tag and permissions
// in two bytes each and an id in four, in little endian.
const (
	aclOwner = 0x01
	aclGroup = 0x04
	aclMask  = 0x10
	aclOther = 0x20
)

// entries calls do for each entry of a list; EINVAL for what is none.
func entries(list []byte, do func(tag uint16, entry []byte)) syscall.Errno {
	if len(list) < 4 || len(list)%8 != 4 || binary.LittleEndian.Uint32(list) != 2 {
		return syscall.EINVAL
	}
	for e := range slices.Chunk(list[4:], 8) {
		do(binary.LittleEndian.Uint16(e), e)
	}
	return 0
}

// modeOf is the permission bits that a file has by a list, as Linux has it
// (posix_acl_equiv_mode), and whether they say all that the list does.
func modeOf(list []byte) (mode uint32, all bool, errno syscall.Errno) {
	group, mask, masked := uint32(0), uint32(0), false
	all = true
	errno = entries(list, func(tag uint16, e []byte) {
		perm := uint32(binary.LittleEndian.Uint16(e[2:])) & 7
		switch tag {
		case aclOwner:
			mode |= perm << 6
		case aclGroup:
			group = perm
		case aclOther:
			mode |= perm
		case aclMask:
			mask, masked, all = perm, true, false
		default:
			all = false
		}
	})
	if masked {
		group = mask
	}
	return mode | group<<3, all, errno
}

// withMode is a list as it is after chmod(2) (posix_acl_chmod).
func withMode(list []byte, mode uint32) []byte {
	out := slices.Clone(list)
	masked := false
	if entries(out, func(tag uint16, _ []byte) { masked = masked || tag == aclMask }) != 0 {
		return list
	}
	_ = entries(out, func(tag uint16, e []byte) {
		switch shift := map[uint16]uint32{aclOwner: 6, aclMask: 3, aclOther: 0}; {
		case tag == aclGroup && !masked:
			binary.LittleEndian.PutUint16(e[2:], uint16(mode>>3&7))
		case tag == aclOwner || tag == aclMask || tag == aclOther:
			binary.LittleEndian.PutUint16(e[2:], uint16(mode>>shift[tag]&7))
		}
	})
	return out
}
