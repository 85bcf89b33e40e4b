package bake

import (
	"bytes"
	"fmt"
)

// archive makes of a tree what the kernel wants of a ramdisk, not packed yet: a
// cpio archive of the form "newc". All entries belong to root.
// Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
func archive(t *tree) []byte {
	var b bytes.Buffer
	for i, e := range t.sorted() {
		data := e.data
		if e.link != "" {
			data = []byte(e.link)
		}
		cpioEntry(&b, i+1, e.path[1:], e.unixMode(), data)
	}
	cpioEntry(&b, 0, "TRAILER!!!", 0, nil)
	return b.Bytes()
}

func cpioEntry(b *bytes.Buffer, inode int, name string, mode uint32, data []byte) {
	fmt.Fprintf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	b.WriteString(name)
	b.WriteByte(0)
	pad(b)
	b.Write(data)
	pad(b)
}

func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}
