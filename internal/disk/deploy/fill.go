package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/dump"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/workdir"
)

// source is the tree that the image has. A dump has one of its root file system, and
// beside it one of /boot, if that was a file system of its own.
func (b *build) source() (tree.Source, error) {
	if b.report.Type == "tarball" {
		return tarball.Told(b.opt.Image, func(total int64) func(int64) { return func(done int64) { b.done("unpack the image", done, total) } }), nil
	}
	root := dump.File(b.opt.Image)
	boot, named := strings.CutSuffix(b.opt.Image, "-root.dump")
	if !named {
		return root, nil
	}
	boot += "-boot.dump"
	if _, err := os.Stat(boot); errors.Is(err, os.ErrNotExist) {
		if b.table.find("/boot") != nil {
			b.warn("there is no %s: what the root's dump has in /boot is used", boot)
		}
		return root, nil
	}
	return tree.Join(root, "/boot", dump.File(boot)), nil
}

// fill lays the disk out and fills its file systems from the image.
func (b *build) fill(ctx context.Context) error {
	from, err := b.source()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(b.raw, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(b.size); err != nil {
		return err
	}
	if err := b.table.write(f, b.size); err != nil {
		return err
	}
	staged, err := tree.Stage(ctx, from, tree.Limits{Bytes: b.size}, workdir.Tree(b.work))
	if err != nil {
		return err
	}
	// The deepest are taken out first, so that each is without what is mounted in it.
	parts := slices.Clone(b.table.parts)
	slices.SortStableFunc(parts, func(x, y Part) int { return len(y.Mount) - len(x.Mount) })
	for _, p := range parts {
		switch {
		case p.Mount == "swap":
			_, err = f.WriteAt(swapHeader(&p), p.Start)
		case strings.HasPrefix(p.Mount, "/"):
			err = b.fillPart(ctx, f, &p, staged)
		}
		if err != nil {
			return err
		}
	}
	return os.RemoveAll(staged.Dir)
}

// fillPart makes one file system of the part of the tree that lies in it.
func (b *build) fillPart(ctx context.Context, f *os.File, p *Part, s *tree.Staged) error {
	dir, entries := s.Dir, s.Entries
	if p.Mount != "/" {
		var err error
		if dir, entries, err = cut(s, p.Mount, filepath.Join(b.work, fmt.Sprintf("tree-%d", p.Number))); err != nil {
			return err
		}
	}
	image := filepath.Join(b.work, fmt.Sprintf("part-%d", p.Number))
	label := p.Mount
	err := tree.MakeExt(ctx, b.Run, image, disk.ExtOptions{Type: p.meanwhile(), Size: p.Size, Label: label[:min(len(label), 16)], UUID: p.UUID, Dir: dir}, entries)
	if err != nil {
		return fmt.Errorf("fill %s of %d MB: %w", p.Mount, p.Size/mib, err)
	}
	if err := copyInto(f, image, p.Start); err != nil {
		return err
	}
	return os.Remove(image)
}

// cut moves a folder of the staged tree to a folder of its own and leaves it empty.
func cut(s *tree.Staged, mount, to string) (string, map[string]*tree.Entry, error) {
	from := filepath.Join(s.Dir, mount)
	if st, err := os.Lstat(from); err == nil && !st.IsDir() {
		return "", nil, refuse("%s of the image is no folder, so nothing can be mounted there", mount)
	}
	entries := map[string]*tree.Entry{}
	for name, e := range s.Entries {
		in := strings.HasPrefix(name, mount+"/")
		if e.Same != "" && strings.HasPrefix(e.Same, mount+"/") != in {
			return "", nil, refuse("%s and %s are one file, but on two file systems: %s is one of its own", name, e.Same, mount)
		}
		if name != mount && !in {
			continue
		}
		moved := *e
		moved.Path = path.Clean("/" + strings.TrimPrefix(name, mount))
		if e.Same != "" {
			moved.Same = strings.TrimPrefix(e.Same, mount)
		}
		if entries[moved.Path] = &moved; in {
			delete(s.Entries, name)
		}
	}
	if err := os.MkdirAll(from, 0o755); err != nil {
		return "", nil, err
	}
	if err := os.Rename(from, to); err != nil {
		return "", nil, err
	}
	return to, entries, os.Mkdir(from, 0o755)
}

// copyInto copies the data of the file name to f at an offset; its holes are left.
func copyInto(f *os.File, name string, at int64) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	return eachData(in, func(from, to int64) error {
		_, err := io.Copy(io.NewOffsetWriter(f, at+from), io.NewSectionReader(in, from, to-from))
		return err
	})
}

// copyDisk takes over the image of a whole disk and lets it fill the target.
func (b *build) copyDisk(ctx context.Context) error {
	layer, info, err := guestfs.Image(b.opt.Image)
	if err == nil {
		err = guestfs.Whole(layer, info)
	}
	if err != nil {
		return err
	}
	if b.size == 0 {
		b.size = info.VirtualSize
	}
	if b.report.Size = b.size; info.VirtualSize > b.size {
		return refuse("the image is a disk of %d MB, the target has %d MB", info.VirtualSize/mib, b.size/mib)
	}
	if err := b.Run.Convert(ctx, layer, disk.Target{Path: b.raw, Format: disk.Raw}, func(part float64) { b.done("copy the image", int64(part*float64(info.VirtualSize)), info.VirtualSize) }); err != nil {
		return err
	}
	if b.spec.NoMount || b.spec.Keep {
		return os.Truncate(b.raw, b.size)
	}
	grown, err := b.Run.GrowRoot(ctx, []disk.Layer{{Path: b.raw, Format: disk.Raw}}, b.size)
	if grown.Note != "" {
		b.warn("the image was not grown: %s", grown.Note)
	}
	return err
}
