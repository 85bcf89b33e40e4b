package bake

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"

	"hearth/internal/bake/recipe"
	"hearth/internal/disk"
	"hearth/internal/disk/workdir"
)

// swapFile is in the root: a partition of its own could not be before the root, which grows, without moving it.
const swapFile = "/swapfile"

// swap puts the swap file's first page and its line of /etc/fstab into a system, and
// gives its size in bytes; 0 if the recipe has none. The rest of the file is reserved in the
// file system by growSwap: nothing is written for it.
func (k *kitchen) swap(r *rootfs, root string) (int64, error) {
	size, err := recipe.ParseSize(k.recipe.Disk.Swap)
	if err != nil || size == 0 {
		return 0, err
	}
	id := sha256.Sum256([]byte("swap of " + root))
	if err := r.put(entry{path: swapFile, mode: 0o600, data: swapHeader(size, id[:16])}); err != nil {
		return 0, err
	}
	return size, r.edit("/etc/fstab", 0o644, func(s string) string { return line(s, swapFile+" none swap sw,nofail 0 0") })
}

// swapHeader is the first page of a swap area of size bytes, version 1.
// Source: union swap_header of Linux, include/linux/swap.h.
func swapHeader(size int64, id []byte) []byte {
	b := make([]byte, blockSize)
	binary.LittleEndian.PutUint32(b[1024:], 1)
	binary.LittleEndian.PutUint32(b[1028:], uint32(size/blockSize-1)) // the last page
	copy(b[1036:1052], id)
	copy(b[blockSize-10:], "SWAPSPACE2")
	return b
}

// growSwap reserves the rest of the swap file: blocks that are allocated and not written,
// which swapon(8) takes, unlike holes.
func (o *oven) growSwap(ctx context.Context, image string, size int64) error {
	done := o.steps.begin("reserve the swap file", size)
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return done.end(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return done.end(err)
	}
	fsys, err := disk.ReadExt(f, 0, st.Size())
	if err == nil && fsys == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return done.end(fmt.Errorf("no file system for the swap file: %w", err))
	}
	dir, remove, err := workdir.Temp("", "hearth-swap-")
	if err != nil {
		return done.end(err)
	}
	defer remove()
	return done.end(o.run.EditExt(ctx, f, fsys, dir, fmt.Sprintf("fallocate %s 1 %d\nsif %s size %d\n", swapFile, size/blockSize-1, swapFile, size)))
}
