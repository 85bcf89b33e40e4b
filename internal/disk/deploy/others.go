package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/tree"
)

// others are the file systems that only the appliance fills. A partition of theirs is
// ext4 while the disk is made, so that all is done to it that is done to any; at the
// end its tree goes into one of the kind that it is to be.
var others = map[string]bool{"xfs": true, "btrfs": true, "f2fs": true, "vfat": true}

// least is how many bytes they need, as their mkfs makes them.
var least = map[string]int64{"xfs": 300 * mib, "btrfs": 128 * mib, "f2fs": 64 * mib, "vfat": mib}

// meanwhile is the kind of the file system while the disk is made.
func (p *Part) meanwhile() string {
	if others[p.FileSystem] {
		return "ext4"
	}
	return p.FileSystem
}

// pass is the last number of its line in fstab: XFS, btrfs and f2fs are not checked at boot.
func (p *Part) pass(of int) int {
	if p.FileSystem == "xfs" || p.FileSystem == "btrfs" || p.FileSystem == "f2fs" {
		return 0
	}
	return of
}

// grubModule is what GRUB reads it with, besides ext2.
func (p *Part) grubModule() []string {
	switch p.FileSystem {
	case "xfs", "btrfs", "f2fs":
		return []string{p.FileSystem}
	case "vfat":
		return []string{"fat"}
	}
	return nil
}

// otherParts are the partitions that the appliance fills.
func (b *build) otherParts() (list []*Part) {
	if b.table == nil {
		return nil
	}
	for i := range b.table.parts {
		if p := &b.table.parts[i]; others[p.FileSystem] && strings.HasPrefix(p.Mount, "/") {
			list = append(list, p)
		}
	}
	return list
}

// checkOthers refuses what could not be made in the end.
func (b *build) checkOthers() error {
	for _, p := range b.otherParts() {
		switch {
		case p.FileSystem == "vfat" && p.Mount == "/":
			return refuse("vfat keeps neither owners nor links, so no system has its root on it: choose another FILESYSTEM, and vfat for a partition of the layout")
		case p.Size < least[p.FileSystem]:
			return refuse("partition %d (%s) has %d MB, and %s is made of %d at least", p.Number, p.Mount, p.Size/mib, p.FileSystem, least[p.FileSystem]/mib)
		case b.Run.FileSystems == nil:
			return &disk.Error{Kind: disk.ToolMissing, Op: "deploy", Reason: p.FileSystem + " is filled by the appliance alone, which is not used here"}
		}
	}
	return nil
}

// transplant gives those partitions the file systems that they are to have.
func (b *build) transplant(ctx context.Context) error {
	if err := b.nameVFAT(ctx); err != nil {
		return err
	}
	f, err := os.OpenFile(b.raw, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range b.otherParts() {
		b.note("%s becomes %s", p.Mount, p.FileSystem)
		if err := b.transplantPart(ctx, f, p); err != nil {
			return fmt.Errorf("fill %s, %s of %d MB: %w", p.Mount, p.FileSystem, p.Size/mib, err)
		}
	}
	return nil
}

func (b *build) transplantPart(ctx context.Context, f *os.File, p *Part) error {
	image := filepath.Join(b.work, fmt.Sprintf("other-%d", p.Number))
	if err := disk.CopySparse(ctx, image, io.NewSectionReader(f, p.Start, p.Size)); err != nil {
		return err
	}
	o := disk.ExtOptions{Size: p.Size, Label: labelOf(p), UUID: p.UUID}
	if err := tree.Transplant(ctx, b.Run, image, p.FileSystem, o); err != nil {
		return err
	}
	if err := empty(f, p.Start, p.Size); err != nil {
		return err
	}
	if err := copyInto(f, image, p.Start); err != nil {
		return err
	}
	return os.Remove(image)
}

// labelOf is as much of the mount as fits: vfat takes no slashes, XFS 12 bytes.
func labelOf(p *Part) string {
	label := p.Mount
	if p.FileSystem == "vfat" {
		label = strings.ReplaceAll(strings.Trim(label, "/"), "/", "-")
	}
	return label[:min(len(label), 11)]
}

// empty makes a hole, or zeros where there are none.
func empty(f *os.File, at, size int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, size)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	zeros := make([]byte, mib)
	for end := at + size; at < end; at += mib {
		if _, err := f.WriteAt(zeros[:min(mib, end-at)], at); err != nil {
			return err
		}
	}
	return nil
}

// nameVFAT gives each vfat its own kind of name, of eight digits, in place of the one that
// it had while it was an ext4: in fstab too, whatever hooks made of it.
func (b *build) nameVFAT(ctx context.Context) error {
	names := map[string]string{}
	for _, p := range b.otherParts() {
		if p.FileSystem == "vfat" {
			names[p.UUID] = strings.ToUpper(p.UUID[:4] + "-" + p.UUID[4:8])
		}
	}
	if len(names) == 0 {
		return nil
	}
	d, err := b.open(ctx, guestfs.ReadWrite)
	if err != nil {
		return err
	}
	t, err := d.Tree()
	if err != nil {
		return errors.Join(err, d.Close())
	}
	old, err := t.ReadFile("/etc/fstab", maxText)
	if err != nil {
		return errors.Join(err, d.Close())
	}
	text := old
	for was, is := range names {
		text = bytes.ReplaceAll(text, []byte("UUID="+was), []byte("UUID="+is))
	}
	edit := t.Edit()
	edit.Rewrite("/etc/fstab", text, guestfs.Owner{Mode: 0o644})
	if err := errors.Join(edit.Commit(ctx), d.Close()); err != nil {
		return err
	}
	for _, p := range b.otherParts() {
		if is := names[p.UUID]; is != "" {
			p.UUID = is
		}
	}
	return nil
}
