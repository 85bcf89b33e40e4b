package bake

import (
	"bytes"

	"hearth/internal/bake/cpio"
)

// archive makes of a tree what the kernel wants of a ramdisk, not packed yet.
func archive(t *tree) []byte {
	var b bytes.Buffer
	for i, e := range t.sorted() {
		data := e.data
		if e.link != "" {
			data = []byte(e.link)
		}
		cpio.Entry(&b, i+1, e.path[1:], e.unixMode(), data)
	}
	cpio.End(&b)
	return b.Bytes()
}
