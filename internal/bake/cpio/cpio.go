// Package cpio writes what Linux unpacks as an initial ramdisk: archives of the form
// "newc". Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
package cpio

import (
	"bytes"
	"fmt"
)

// Entry appends a file that belongs to root. mode is as in stat(2); a symbolic link has
// its target as data. The buffer's archive begins at a multiple of four.
func Entry(b *bytes.Buffer, inode int, name string, mode uint32, data []byte) {
	fmt.Fprintf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	b.WriteString(name)
	b.WriteByte(0)
	Pad(b)
	b.Write(data)
	Pad(b)
}

// End closes an archive.
func End(b *bytes.Buffer) { Entry(b, 0, "TRAILER!!!", 0, nil) }

// Pad fills up to a multiple of four, at which the next archive may begin.
func Pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
