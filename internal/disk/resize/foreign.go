package resize

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"hearth/internal/disk"
)

// mounted are the file systems that change their size only while a kernel has them
// mounted, or become smaller as a copy alone: by the appliance.
var mounted = map[string]bool{"xfs": true, "btrfs": true, "f2fs": true}

func (j *job) foreign(p *piece) bool {
	return p.v != nil && mounted[p.v.Content] && j.run.FileSystems != nil
}

// shrinkForeign makes a smaller file system of a piece. XFS cannot shrink at all, and of f2fs
// what it keeps for cleaning would stay: their files are copied to a new one with the same
// label, UUID and features. A btrfs is balanced and shrunk, so that it keeps its subvolumes.
func (j *job) shrinkForeign(ctx context.Context, p *piece) error {
	var err error
	switch p.v.Content {
	case "xfs":
		err = j.copyXFS(ctx, p)
	case "f2fs":
		err = j.copyF2FS(ctx, p)
	default:
		err = j.shrinkBtrfs(ctx, p)
	}
	if err != nil || p.file == "" {
		return err
	}
	return j.check(ctx, p)
}

// check has the file system's own tool read all of what was made.
func (j *job) check(ctx context.Context, p *piece) error {
	c := disk.Command{Name: "xfs_repair", Args: []string{"-n", "-f", p.file}, Read: []string{p.file}}
	switch p.v.Content {
	case "btrfs":
		c.Name, c.Args = "btrfs", []string{"check", "--readonly", "--force", p.file}
	case "f2fs": // it opens nothing that it may not write to
		c = disk.Command{Name: "fsck.f2fs", Args: []string{"--dry-run", "-f", p.file}, Write: []string{p.file}}
	}
	reader := *j.run
	reader.FileSize = -1 // xfs_repair ends when it cannot lift that limit; it may write to nothing here
	_, err := reader.Run(ctx, c)
	return err
}

const (
	minXFS     = 300 << 20 // mkfs.xfs makes none that is smaller
	xfsLog     = 64 << 20  // nor a smaller journal
	xfsReserve = 8192
	xfsTrees   = 128 // 0.8 % of the size; 0.7 % were seen
	enlarge    = 25  // a try that had no room is followed by one with 4 % more
	tries      = 5
)

// copyXFS copies an XFS to one that is as small as it can be.
func (j *job) copyXFS(ctx context.Context, p *piece) error {
	head := make([]byte, 512)
	if _, err := j.d.Reader().ReadAt(head, p.part.Start); err != nil {
		return err
	}
	x, err := readXFS(head, p.part.Size)
	if err != nil {
		return err
	}
	return j.copyFiles(ctx, p, sizeXFS(x.used-x.log, x.block), x.used, x.features)
}

// copyFiles copies the files of a piece to a file system of the same kind that has size bytes
// if that suffices, else some more. One that would not become smaller stays as it is, with
// used bytes.
func (j *job) copyFiles(ctx context.Context, p *piece, size, used int64, features []string) error {
	for range tries {
		if size >= p.part.Size {
			if j.table == nil && p.v.Logical == "" {
				return refuse("the %s is as small as it can be made: its files need %d bytes", p.v.Content, size)
			}
			p.used = used
			return nil
		}
		file := j.fileOf(p)
		if err := j.run.MakeFS(ctx, file, p.v.Content, disk.ExtOptions{Size: size, Label: p.v.Label, UUID: p.v.UUID}, features...); err != nil {
			return err
		}
		to := disk.FileSystem{Layer: disk.Layer{Path: file, Format: disk.Raw}, Size: size, Kind: p.v.Content}
		use, err := j.run.FileSystems.Copy(ctx, j.d.FileSystem(p.v), to)
		if err == nil {
			p.file, p.size, p.used = file, size, size-(use.Size-use.Used)
			return nil
		}
		if rerr := os.Remove(file); rerr != nil || disk.KindOf(err) != disk.TooBig {
			return errors.Join(err, rerr)
		}
		size = up(size+size/enlarge, 1<<20)
	}
	return refuse("%s: its files found no room in a new %s of %d bytes", p.name(), p.v.Content, size)
}

// sizeXFS gives the size of an XFS whose files need so many bytes, with room beside them.
// Linux takes off it what trees of each group of blocks may come to need, and a twentieth of
// the blocks, 8192 at most (xfs_default_resblks), which no file gets.
func sizeXFS(data, block int64) int64 {
	need := data + data/room + xfsLog
	need += need / xfsTrees
	return up(max(need+min(need/19, xfsReserve*block), minXFS), 1<<20)
}

// xfs is what the superblock of an XFS says, in bytes, and the arguments of mkfs.xfs for
// one with the same features: an older kernel may have to mount it.
type xfs struct {
	used, log, block int64
	features         []string
}

// readXFS reads a superblock. Source: struct xfs_dsb of fs/xfs/libxfs/xfs_format.h.
func readXFS(b []byte, size int64) (x xfs, err error) {
	be := binary.BigEndian
	block, all, free := int64(be.Uint32(b[4:])), int64(be.Uint64(b[8:])), int64(be.Uint64(b[144:]))
	log, version, inode := int64(be.Uint32(b[96:])), be.Uint16(b[100:]), be.Uint16(b[104:])
	if block < 512 || block > 64<<10 || all <= 0 || all > size/block || free < 0 || free > all || log > all-free {
		return x, refuse("the superblock of the XFS contradicts itself; xfs_repair may mend it")
	}
	if log > 0 && be.Uint64(b[48:]) == 0 {
		return x, refuse("the XFS keeps its journal on another device")
	}
	x.used, x.log, x.block = (all-free)*block, log*block, block
	bit := func(word, mask uint32) int {
		if word&mask != 0 {
			return 1
		}
		return 0
	}
	x.features = []string{"-b", fmt.Sprintf("size=%d", block), "-i", fmt.Sprintf("size=%d", inode)}
	if version&0xf != 5 {
		return x, refuse("the XFS is of version 4, which kernels are about to give up; convert the image to a tar and back")
	}
	ro, in := be.Uint32(b[212:]), be.Uint32(b[216:])
	x.features = append(x.features, "-m", fmt.Sprintf("finobt=%d,rmapbt=%d,reflink=%d,inobtcount=%d,bigtime=%d", bit(ro, 1), bit(ro, 2), bit(ro, 4), bit(ro, 8), bit(in, 8)),
		"-i", fmt.Sprintf("sparse=%d", bit(in, 2)))
	return x, nil
}

// shrinkBtrfs takes a btrfs out and shrinks it.
func (j *job) shrinkBtrfs(ctx context.Context, p *piece) error {
	if err := j.takeOut(ctx, p); err != nil {
		return err
	}
	use, err := j.run.FileSystems.Shrink(ctx, j.taken(p, p.part.Size))
	if err != nil {
		return err
	}
	p.size, p.used = up(use.Size, 4096), use.Used
	return os.Truncate(p.file, p.size)
}

// taken is the file system of a piece in its own file.
func (j *job) taken(p *piece, size int64) disk.FileSystem {
	return disk.FileSystem{Layer: disk.Layer{Path: p.file, Format: disk.Raw}, Size: size, Kind: p.v.Content, UUID: p.v.UUID}
}

// growForeign lets the file system that was taken out have p.size bytes.
func (j *job) growForeign(ctx context.Context, p *piece) error {
	if err := os.Truncate(p.file, p.size); err != nil {
		return err
	}
	if p.v.Content == "f2fs" {
		return errors.Join(j.growF2FS(ctx, p), j.check(ctx, p))
	}
	use, err := j.run.FileSystems.Grow(ctx, j.taken(p, p.size))
	if err != nil {
		return err
	}
	p.used = use.Used
	return j.check(ctx, p)
}
