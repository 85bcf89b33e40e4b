package workdir

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// topDir is the flag T of chattr(1), EXT4_TOPDIR_FL of Linux's fs/ext4/ext4.h: what is made
// in such a folder lies apart from it and from each other.
const topDir = 0x00020000

// Tree is the name for a new folder with a tree of many files, in a folder of the caller's own.
//
// On ext4 the tree comes to lie where no other was removed a moment ago. For a minute the
// kernel gives none of the inodes that were freed anew, and for each new file looks past
// all of them (recently_deleted in fs/ext4/ialloc.c): the second of two trees of 12,000
// files in the same place takes ten times as long as the first. So parent is told that
// what is made in it has nothing to do with each other, and the name, of which the kernel
// makes the place (find_group_orlov), is another one each time. File systems that know of
// no such flag do as they do.
func Tree(parent string) string {
	if dir, err := os.Open(parent); err == nil {
		if flags, err := unix.IoctlGetUint32(int(dir.Fd()), unix.FS_IOC_GETFLAGS); err == nil {
			_ = unix.IoctlSetPointerInt(int(dir.Fd()), unix.FS_IOC_SETFLAGS, int(flags|topDir))
		}
		dir.Close()
	}
	return filepath.Join(parent, fmt.Sprintf("tree-%016x", rand.Uint64()))
}
