package deploy

import (
	"io/fs"
	"os"
	"syscall"

	"hearth/internal/disk/tree"
)

// entryOf is what the host says of a file.
func entryOf(name string, info fs.FileInfo) *tree.Entry {
	e := &tree.Entry{Path: name, Size: info.Size(), MTime: info.ModTime()}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return e
	}
	e.Mode = st.Mode
	if os.Geteuid() == 0 {
		e.UID, e.GID = int(st.Uid), int(st.Gid)
	}
	if e.IsDevice() {
		e.Major, e.Minor = uint32(st.Rdev>>8&0xfff), uint32(st.Rdev&0xff|st.Rdev>>12&0xfff00)
	}
	return e
}

// seenOf is what tells later whether a file was changed.
func seenOf(name string, info fs.FileInfo) seen {
	s := seen{entry: *entryOf(name, info)}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.change, s.inode = st.Ctim.Nano(), st.Ino
	}
	return s
}
