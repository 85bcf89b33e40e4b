package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
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

// MakeMirror makes an ext4 file system of size bytes in the file path, which must not
// exist, for a copy of another file system: without a journal, with room for large
// extended attributes, and with nothing written that can be a hole.
func (r *Runner) MakeMirror(ctx context.Context, path string, size, inodes int64) error {
	return r.create(ctx, path, Command{Name: "mke2fs", Args: []string{"-q", "-F", "-t", "ext4", "-b", "4096", "-m", "0", "-I", "512", "-O", "^has_journal,ea_inode",
		"-N", fmt.Sprint(inodes), "-E", "lazy_itable_init=1", path, fmt.Sprintf("%dk", size/1024)}})
}

// FSKinds are the file systems that [Runner.MakeFS] makes.
func FSKinds() []string { return []string{"xfs", "btrfs", "f2fs", "vfat"} }

// MakeFS makes an empty file system of a kind in the file path, which must not exist;
// of o the Size, the Label and the UUID count. More are further arguments of its mkfs.
// Nothing is mounted.
func (r *Runner) MakeFS(ctx context.Context, path, kind string, o ExtOptions, more ...string) error {
	var c Command
	switch kind {
	case "xfs":
		c = Command{Name: "mkfs.xfs", Args: []string{"-q", "-f", "-m", "uuid=" + o.UUID, "-L", o.Label, path}}
	case "btrfs":
		c = Command{Name: "mkfs.btrfs", Args: []string{"-q", "-f", "-U", o.UUID, "-L", o.Label, path}}
	case "f2fs": // without features: GRUB finds no file where inodes have extra_attr. -q keeps errors back too
		c = Command{Name: "mkfs.f2fs", Args: []string{"-f", "-t", "0", "-w", "512", "-R", "0:0", "-l", o.Label, "-U", o.UUID, path}}
	case "vfat":
		c = Command{Name: "mkfs.vfat"}
		if o.Label != "" {
			c.Args = append(c.Args, "-n", strings.ToUpper(o.Label))
		}
		if o.UUID != "" { // eight digits, as fstab has them: ABCD-1234
			c.Args = append(c.Args, "-i", strings.ReplaceAll(o.UUID, "-", ""))
		}
		c.Args = append(c.Args, path)
	default:
		return fail(Unsupported, "make file system", "%q is none of %s", kind, strings.Join(FSKinds(), ", "))
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(o.Size), f.Close()); err != nil {
		return err
	}
	c.Args, c.Write = append(more, c.Args...), []string{path}
	if _, err := r.Run(ctx, c); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// GRUB makes GRUB's core image for BIOS machines in the file path: it looks for
// its configuration in the folder prefix, such as (hd0,msdos1)/boot/grub, and
// has modules built in.
func (r *Runner) GRUB(ctx context.Context, path, prefix string, modules ...string) error {
	args := append([]string{"-O", "i386-pc", "-o", path, "-p", prefix}, modules...)
	return r.create(ctx, path, Command{Name: "grub-mkimage", Args: args})
}
