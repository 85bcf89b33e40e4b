package convert

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/dump"
	"hearth/internal/disk/fat"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/workdir"
)

// The kinds of sources that hold a tree.
const (
	kindDisk   = "disk"
	kindTar    = "tar"
	kindDump   = "dump"
	kindGaneti = "ganeti"
	kindAMI    = "ami" // NAME.ext4 with NAME.vmlinuz beside it
)

// opened is a source as a tree.
type opened struct {
	tree.Source
	kind   string
	guest  *guestfs.Tree // of a disk
	path   string        // of that disk; of the one in an OVA, a file that Close removes
	beside string        // of the root of an Amazon image: the beginning of its kernel's and ramdisk's names
	image  string        // the whole disk in an export of Ganeti's
	used   int64         // of a disk: bytes that its file systems use
	close  []func() error
}

// Close lets the source go.
func (o *opened) Close() error {
	var err error
	for i := len(o.close) - 1; i >= 0; i-- {
		err = errors.Join(err, o.close[i]())
	}
	return err
}

// kindOf tells what a file is by its bytes, but for the root of an Amazon image, which
// is told by the kernel beside it: a disk when nothing else fits.
func kindOf(name string) (string, error) {
	if stem, ok := strings.CutSuffix(name, ".ext4"); ok {
		if _, err := os.Stat(stem + ".vmlinuz"); err == nil {
			return kindAMI, nil
		}
	}
	f, err := disk.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 1024)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	if dump.Is(head[:n]) {
		return kindDump, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	in, err := tarball.Unpack(f)
	if err != nil {
		return kindDisk, nil
	}
	clear(head)
	_, _ = io.ReadFull(in, head[:512])
	if !bytes.HasPrefix(head[257:], []byte("ustar")) && (n < 6 || tarball.PackingOf(head[:6]) != tarball.Plain) {
		return kindDisk, nil
	}
	return kindOfTar(head[:512], name)
}

// kindOfTar looks at the first member.
func kindOfTar(head []byte, name string) (string, error) {
	if !bytes.HasPrefix(head[257:], []byte("ustar")) {
		return kindDisk, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	in, err := tarball.Unpack(f)
	if err != nil {
		return "", err
	}
	for read := tar.NewReader(in); ; {
		h, err := read.Next()
		if err != nil {
			return kindTar, nil // the reader of the tree says what is wrong
		}
		switch {
		case h.Typeflag == tar.TypeDir && path.Clean(h.Name) == ".":
			continue
		case exported(path.Clean(h.Name)):
			return kindGaneti, nil
		case strings.HasSuffix(h.Name, ".ovf"):
			return kindDisk, nil
		}
		return kindTar, nil
	}
}

// exported tells whether Ganeti's export has a file of this name.
func exported(name string) bool {
	return name == "boot.dump" || name == "root.dump" || name == "disk.img"
}

// IsTree tells whether a file is an archive, a dump or the root of an Amazon image
// rather than a disk.
func IsTree(name string) (bool, error) {
	kind, err := kindOf(name)
	return kind != kindDisk, err
}

// IsBare tells whether a file is an ext file system by itself that holds a system which
// nothing would start: it has a kernel, but neither a table of partitions nor boot code
// before it. By its files it becomes a disk that boots.
func IsBare(ctx context.Context, run *disk.Runner, name string) (bool, error) {
	layer, info, err := guestfs.Image(name)
	if err != nil || layer.Format != disk.QCOW2 && info.Content != disk.Ext {
		return false, err
	}
	plain := *run
	plain.FileSystems = nil // what only the appliance reads stays as it is
	d, err := guestfs.Open(ctx, &plain, []disk.Layer{layer}, guestfs.ReadOnly)
	if err != nil {
		return false, err
	}
	defer d.Close()
	if len(d.Volumes) != 1 || d.Volumes[0].Partition != 0 || d.Volumes[0].FS() == nil {
		return false, nil
	}
	head := make([]byte, 512)
	if _, err := d.Reader().ReadAt(head, 0); err != nil || head[510] == 0x55 && head[511] == 0xaa {
		return false, err
	}
	return len(guestos.Kernels(d.TreeOf(d.Volumes[0]))) > 0, nil
}

// openTree opens whatever holds a tree; number says which disk of an OVA, 0 the only one.
func openTree(ctx context.Context, run *disk.Runner, name string, number int) (*opened, error) {
	kind, err := kindOf(name)
	if err != nil {
		return nil, err
	}
	o := &opened{kind: kind}
	switch kind {
	case kindTar:
		o.Source = tarball.File(name)
	case kindDump:
		o.Source, err = dumpPair(name)
	case kindGaneti:
		err = o.container(ctx, run, name)
	default:
		if o.path, err = o.unpack(ctx, name, number); err == nil {
			err = o.disk(ctx, run, o.path)
		}
	}
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return o, nil
}

// unpack takes the disk out of an OVA; any other file is given back as it is.
func (o *opened) unpack(ctx context.Context, name string, number int) (string, error) {
	is, err := ova.IsFile(name)
	if err != nil || !is {
		return name, err
	}
	p, file, err := ova.OpenFile(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	work, err := workdir.Make("", "hearth-convert-", nil)
	if err != nil {
		return "", err
	}
	o.close = append(o.close, work.Close)
	dir := work.Path
	inner := filepath.Join(dir, "disk")
	return inner, p.Extract(ctx, number, inner)
}

// disk opens a disk; what its journals hold is replayed on an overlay.
func (o *opened) disk(ctx context.Context, run *disk.Runner, name string) error {
	layer, info, err := guestfs.Image(name)
	if err != nil {
		return err
	}
	if info.Content == disk.Packed {
		return refuse("the source is packed with %s and holds no archive; unpack it first", info.Packing)
	}
	if err := guestfs.Whole(layer, info); err != nil {
		return err
	}
	mode := guestfs.ReadOnly
	d, err := guestfs.Open(ctx, run, []disk.Layer{layer}, mode)
	if err != nil {
		return err
	}
	for _, v := range d.Volumes {
		if fs := v.FS(); fs != nil && fs.NeedsRecovery && mode == guestfs.ReadOnly {
			mode = guestfs.Scratch
		}
	}
	if mode == guestfs.Scratch {
		if err := d.Close(); err != nil {
			return err
		}
		if d, err = guestfs.Open(ctx, run, []disk.Layer{layer}, mode); err != nil {
			return err
		}
	}
	for _, v := range d.Volumes {
		o.used += v.Used
	}
	o.close = append(o.close, d.Close)
	if o.guest, err = d.Tree(); err != nil {
		return err
	}
	o.Source = tree.FromDisk(o.guest)
	if err := o.joinFAT(d); err != nil {
		return err
	}
	if o.kind == kindAMI {
		o.beside = strings.TrimSuffix(name, ".ext4")
	}
	return nil
}

// joinFAT adds what fstab mounts of the disk that is FAT, such as /boot/efi. One that is
// not of a form that is known is left out, as nobody has mounted it here.
func (o *opened) joinFAT(d *guestfs.Disk) error {
	for _, line := range o.guest.Fstab() {
		id, named := strings.CutPrefix(line.Device, "UUID=")
		if !named || line.Type != "vfat" || !strings.HasPrefix(line.Dir, "/") || path.Clean(line.Dir) != line.Dir || line.Dir == "/" {
			continue
		}
		for _, v := range d.Volumes {
			if v.Content != "vfat" || !strings.EqualFold(v.UUID, id) {
				continue
			}
			f, err := fat.Open(io.NewSectionReader(d.Reader(), v.Start, v.Size), v.Size)
			if disk.KindOf(err) == disk.Refused {
				continue
			}
			if err != nil {
				return err
			}
			o.Source = tree.Join(o.Source, line.Dir, tree.FromFAT(f))
		}
	}
	return nil
}

// dumpPair is the tree of NAME-root.dump, or root.dump, with NAME-boot.dump beside
// it at /boot.
func dumpPair(name string) (tree.Source, error) {
	dir, base := filepath.Split(name)
	stem, ok := strings.CutSuffix(base, "root.dump")
	if !ok {
		if s, isBoot := strings.CutSuffix(base, "boot.dump"); isBoot {
			if _, err := os.Stat(filepath.Join(dir, s+"root.dump")); err == nil {
				return nil, refuse("name the other file of the pair: %s", s+"root.dump")
			}
		}
		return dump.File(name), nil
	}
	boot := filepath.Join(dir, stem+"boot.dump")
	if _, err := os.Stat(boot); errors.Is(err, os.ErrNotExist) {
		return dump.File(name), nil
	}
	return tree.Join(dump.File(name), "/boot", dump.File(boot)), nil
}

// unreadable is the tree of a disk whose files cannot be read.
type unreadable struct{ err error }

// Walk implements [tree.Source].
func (u unreadable) Walk(context.Context, tree.Visit) error { return u.err }

// container unpacks Ganeti's export: a tar of root.dump and boot.dump, or of disk.img
// where nothing could be mounted.
func (o *opened) container(ctx context.Context, run *disk.Runner, name string) error {
	work, err := workdir.Make("", "hearth-export-", nil)
	if err != nil {
		return err
	}
	o.close = append(o.close, work.Close)
	dir := work.Path
	err = tarball.File(name).Walk(ctx, tree.Bounded(tree.Limits{Files: 16}, func(e *tree.Entry, content io.Reader) error {
		if !exported(e.Path[1:]) || content == nil {
			return nil
		}
		return disk.CopySparse(ctx, filepath.Join(dir, path.Base(e.Path)), content)
	}))
	if err != nil {
		return err
	}
	root := filepath.Join(dir, "root.dump")
	if _, err := os.Stat(root); err == nil {
		o.Source, err = dumpPair(root)
		return err
	}
	o.image = filepath.Join(dir, "disk.img")
	if _, err := os.Stat(o.image); err != nil {
		return refuse("the export has neither root.dump nor disk.img")
	}
	if err := o.disk(ctx, run, o.image); disk.KindOf(err) == disk.Unsupported {
		o.Source = unreadable{err}
	} else if err != nil {
		return err
	}
	return nil
}

// ReadManifest reads the tree in a disk, an OVA, an archive, a dump pair or Ganeti's export.
func ReadManifest(ctx context.Context, run *disk.Runner, name string, limits tree.Limits) (*tree.Manifest, error) {
	o, err := openTree(ctx, run, name, 0)
	if err != nil {
		return nil, err
	}
	m, err := tree.NewManifest(ctx, bounded{o, limits})
	return m, errors.Join(err, o.Close())
}

// bounded puts limits on a source.
type bounded struct {
	tree.Source
	limits tree.Limits
}

// Walk implements [tree.Source].
func (b bounded) Walk(ctx context.Context, visit tree.Visit) error {
	return b.Source.Walk(ctx, tree.Bounded(b.limits, visit))
}

// tell has the progress of each walk of the tree told: of an archive by the bytes of its
// file, else by those of the files in it, of which a disk is known to have about as many
// as it uses.
func (o *opened) tell(name string, progress func(Progress)) {
	switch {
	case progress == nil:
	case o.kind == kindTar:
		o.Source = tarball.Told(name, func(total int64) func(int64) { return Meter(progress, total, time.Now) })
	case o.Source != nil:
		o.Source = metered{o.Source, o.used, progress}
	}
}

// metered is a source that tells how many bytes of its files were read.
type metered struct {
	tree.Source
	total int64 // about; 0 if nobody knows
	tell  func(Progress)
}

// Walk implements [tree.Source].
func (m metered) Walk(ctx context.Context, visit tree.Visit) error {
	tell, done := Meter(m.tell, m.total, time.Now), int64(0)
	return m.Source.Walk(ctx, func(e *tree.Entry, content io.Reader) error {
		if content == nil {
			return visit(e, nil)
		}
		before := done
		read := disk.Told(content, func(n int64) {
			if done = before + n; m.total > 0 {
				done = min(done, m.total)
			}
			tell(done)
		})
		if seek, ok := content.(io.Seeker); ok { // whose holes need not be read
			return visit(e, struct {
				io.Reader
				io.Seeker
			}{read, seek})
		}
		return visit(e, read)
	})
}
