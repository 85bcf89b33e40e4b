package appliance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"hearth/internal/disk/appliance/inside"
)

// Parts are the files that a guest starts from.
type Parts struct{ Kernel, Ramdisk string }

// Modules are those of the kernel that a guest loads, with what they need; one that a
// kernel has built in is left out.
var Modules = []string{"virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "crc32c_intel", "xfs", "btrfs", "crc32_generic", "f2fs", "vfat", "nls_cp437", "nls_ascii", "nls_utf8"}

// File is one of a ramdisk: a path without the first slash, permission bits, content.
type File struct {
	Path string
	Mode uint32
	Data []byte
}

// Module is one of the kernel.
type Module struct {
	Name string
	Data []byte
}

// Make writes a kernel and the ramdisk with its modules, in the order that they are
// loaded in, and the program of the guest (cmd/hearth-guest) into a new folder dir.
func Make(dir string, kernel []byte, modules []Module, program []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".appliance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	files := []File{{"init", 0o755, program}}
	for i, m := range modules {
		files = append(files, File{fmt.Sprintf("%s/%02d-%s.ko", inside.ModuleDir[1:], i, m.Name), 0o644, m.Data})
	}
	p := PartsIn(work)
	if err := errors.Join(os.WriteFile(p.Kernel, kernel, 0o644), os.WriteFile(p.Ramdisk, Archive(files), 0o644), os.Chmod(work, 0o755)); err != nil {
		return err
	}
	if err := os.Rename(work, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// PartsIn names the files that Make wrote into a folder.
func PartsIn(dir string) Parts {
	return Parts{filepath.Join(dir, "kernel"), filepath.Join(dir, "ramdisk")}
}

// Archive makes a ramdisk: a cpio archive of the form "newc", of files of root.
// Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
func Archive(files []File) []byte {
	var b bytes.Buffer
	made := map[string]bool{}
	inode := 0
	var add func(name string, mode uint32, data []byte)
	add = func(name string, mode uint32, data []byte) {
		if dir := filepath.Dir(name); dir != "." && !made[dir] {
			made[dir] = true
			add(dir, 0o40755, nil)
		}
		inode++
		record(&b, inode, name, mode, data)
	}
	for _, f := range files {
		add(f.Path, 0o100000|f.Mode, f.Data)
	}
	record(&b, 0, "TRAILER!!!", 0, nil)
	for b.Len()%512 != 0 {
		b.WriteByte(0)
	}
	return b.Bytes()
}

func record(b *bytes.Buffer, inode int, name string, mode uint32, data []byte) {
	fmt.Fprintf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	pad := func() {
		for b.Len()%4 != 0 {
			b.WriteByte(0)
		}
	}
	b.WriteString(name + "\x00")
	pad()
	b.Write(data)
	pad()
}

// join writes the ramdisk and what is added to it to a new file; the kernel unpacks both.
func join(path, ramdisk string, more []byte) error {
	in, err := os.Open(ramdisk)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		_, err = out.Write(more)
	}
	return errors.Join(err, out.Close())
}
