package guestfs

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
)

// table is a disk with an MBR of one partition, or a GPT's mark, changed.
func table(change func(b []byte)) []byte {
	b := make([]byte, 64<<10)
	e := b[446:]
	e[4] = 0x83
	binary.LittleEndian.PutUint32(e[8:], 8)
	binary.LittleEndian.PutUint32(e[12:], 100)
	b[510], b[511] = 0x55, 0xaa
	change(b)
	return b
}

// FuzzScan opens disks with any table and any file system, as users bring them: each
// volume lies within the disk, and its files can be asked for.
func FuzzScan(f *testing.F) {
	disktest.AddSpoilt(f, 50, table(func([]byte) {}))
	f.Add(table(func(b []byte) { // an extended partition that is in itself
		b[450] = 5
		copy(b[8*512:], b[:512])
	}))
	f.Add(table(func(b []byte) { b[450] = 0xee; copy(b[512:], "EFI PART\x00\x00\x01\x00\x5c\x00\x00\x00") }))
	f.Add(table(func(b []byte) { binary.LittleEndian.PutUint32(b[458:], 0xffffffff) }))
	f.Add(table(func(b []byte) { copy(b[8*512+1024+0x38:], "\x53\xef") }))
	f.Add(table(func(b []byte) {
		copy(b[8*512+1024:], "\x10\x20\xf5\xf2\x01\x00\x0f\x00\x09\x00\x00\x00\x03\x00\x00\x00\x0c\x00\x00\x00\x09")
	}))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "disk")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, ReadOnly)
		if err != nil {
			return
		}
		defer d.Close()
		for _, v := range d.Volumes {
			if v.Start < 0 || v.Size < 0 || v.Start+v.Size > d.Size {
				t.Errorf("volume %+v of a disk of %d bytes", v, d.Size)
			}
		}
		if tree, err := d.Tree(); err == nil {
			_, _ = tree.ReadFile("/etc/fstab", 1<<16)
		}
	})
}
