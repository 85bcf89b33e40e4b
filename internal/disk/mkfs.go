package disk

import (
	"cmp"
	"context"
	"fmt"
)

// ExtOptions says what file system [Runner.MakeExt] makes.
type ExtOptions struct {
	Type       string // "ext2", "ext3" or "ext4"; "": ext4
	Size       int64  // bytes
	Label      string // at most 16 bytes
	UUID       string
	Dir        string // a folder of the host that is copied into it; "" for none
	InodeRatio int64  // one inode per so many bytes; 0: mke2fs's own
}

// MakeExt makes an ext file system in the file path, which must not exist,
// filled from a folder. Blocks have 4 KiB, for boot loaders read no smaller
// ones (LAB 6). Nothing is mounted.
func (r *Runner) MakeExt(ctx context.Context, path string, o ExtOptions) error {
	args := []string{"-q", "-F", "-t", cmp.Or(o.Type, "ext4"), "-b", "4096", "-m", "1", "-L", o.Label, "-U", o.UUID}
	var read []string
	if o.Dir != "" {
		args, read = append(args, "-d", o.Dir), []string{o.Dir}
	}
	if o.InodeRatio > 0 {
		args = append(args, "-i", fmt.Sprint(o.InodeRatio))
	}
	args = append(args, path, fmt.Sprintf("%dk", o.Size/1024))
	return r.create(ctx, path, Command{Name: "mke2fs", Args: args, Read: read})
}

// GRUB makes GRUB's core image for BIOS machines in the file path: it looks for
// its configuration in the folder prefix, such as (hd0,msdos1)/boot/grub, and
// has modules built in.
func (r *Runner) GRUB(ctx context.Context, path, prefix string, modules ...string) error {
	args := append([]string{"-O", "i386-pc", "-o", path, "-p", prefix}, modules...)
	return r.create(ctx, path, Command{Name: "grub-mkimage", Args: args})
}
