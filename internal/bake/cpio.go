package bake

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// ramdisk packs a tree as the kernel wants it: a cpio archive of the form
// "newc", packed with zstd. All entries belong to root.
// Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
func ramdisk(t *tree) ([]byte, error) {
	var archive bytes.Buffer
	for i, e := range t.sorted() {
		data := e.data
		if e.link != "" {
			data = []byte(e.link)
		}
		cpioEntry(&archive, i+1, e.path[1:], e.unixMode(), data)
	}
	cpioEntry(&archive, 0, "TRAILER!!!", 0, nil)
	var packed bytes.Buffer
	// The kernel unpacks with a window of at most 8 MiB.
	w, err := zstd.NewWriter(&packed, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(4<<20), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(archive.Bytes()); err != nil {
		return nil, err
	}
	err = w.Close()
	return packed.Bytes(), err
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
