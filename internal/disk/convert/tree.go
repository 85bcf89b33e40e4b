package convert

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/dump"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/workdir"
)

// TreeOptions says what is made of a tree.
type TreeOptions struct {
	Source   string         // a disk, an OVA, a file system, an archive, NAME-root.dump (and NAME-boot.dump), Ganeti's export, or NAME.ext4 of an AMI
	Disk     int            // which of those in an OVA, from 1 on; 0: the only one
	Target   string         // the file to be made, or for dump and ami the beginning of its files' names
	To       string         // "tar", "tar.gz", "tar.zst", "dump", "ganeti", "ganeti-disk", "ami", "fs", "ova", or a format of a disk
	Compress string         // of a qcow2: "zstd" or "zlib"; of dump and ganeti: "zlib" or "none"; "": zlib for these
	Size     int64          // bytes of a disk; 0: what the tree needs and a third
	Loader   string         // of a disk, see package bootloader; "": grub
	Firmware string         // that a disk boots under, see package bootloader; "": the loader's own
	FS       string         // of a disk or of fs: "ext4", "xfs", "btrfs" or "f2fs"; "": ext4
	Machine  ova.Machine    // of an OVA
	Limits   tree.Limits    // of the source
	Progress func(Progress) // of reading the files, and of what is made of them; each begins at 0. May be nil
}

// TreeResult is what was made.
type TreeResult struct {
	From  string     `json:"from"`  // "disk", "tar", "dump", "ganeti" or "ami"
	To    string     `json:"to"`    //
	Files []string   `json:"files"` // absolute
	Notes []string   `json:"notes"` // what was changed or is left out
	AMI   *AMIResult `json:"ami,omitempty"`
}

// TreeTargets are the forms that only trees have.
func TreeTargets() []string {
	return []string{"tar", "tar.gz", "tar.zst", "dump", "ganeti", "ganeti-disk", "fs"}
}

// Tree makes of whatever holds a file tree another form of it, by way of the tree.
// A disk is made bootable if the tree has a kernel.
func Tree(ctx context.Context, run *disk.Runner, opt TreeOptions) (*TreeResult, error) {
	target, err := filepath.Abs(opt.Target)
	if err != nil {
		return nil, err
	}
	opt.Target = target
	work, remove, err := workdir.Temp(filepath.Dir(target), ".hearth-convert-")
	if err != nil {
		return nil, err
	}
	defer remove()
	if opt.To == "ganeti-disk" {
		m := &maker{run: run, opt: opt, work: work, out: &TreeResult{From: kindDisk, To: opt.To, Notes: []string{}}}
		return m.out, m.wholeDisk(ctx)
	}
	src, err := openTree(ctx, run, opt.Source, opt.Disk)
	if err != nil {
		return nil, err
	}
	src.tell(opt.Source, opt.Progress)
	m := &maker{run: run, opt: opt, work: work, src: src, out: &TreeResult{From: src.kind, To: opt.To, Notes: []string{}}}
	return m.out, errors.Join(m.make(ctx), src.Close())
}

// maker is one conversion.
type maker struct {
	run  *disk.Runner
	opt  TreeOptions
	work string // beside the target, removed at the end
	src  *opened
	out  *TreeResult
}

func (m *maker) make(ctx context.Context) error {
	switch m.opt.To {
	case "tar", "tar.gz", "tar.zst":
		return m.tar(ctx)
	case "dump":
		return m.dump(ctx)
	case "ganeti":
		return m.ganeti(ctx)
	case "ami":
		return m.ami(ctx)
	case "fs":
		return m.fileSystem(ctx)
	case "ova":
		return m.ova(ctx)
	}
	return m.disk(ctx)
}

// publish gives the made files their names, all of which must be free.
func (m *maker) publish(made ...[2]string) error {
	for _, f := range made {
		if err := free(f[1]); err != nil {
			return err
		}
	}
	for _, f := range made {
		if err := disk.Publish(f[0], f[1]); err != nil {
			return err
		}
		m.out.Files = append(m.out.Files, f[1])
	}
	return nil
}

func (m *maker) tar(ctx context.Context) error {
	packing := map[string]tarball.Packing{"tar": tarball.Plain, "tar.gz": tarball.Gzip, "tar.zst": tarball.Zstd}[m.opt.To]
	if m.opt.Compress != "" {
		return refuse("say by --to how an archive is packed: tar, tar.gz or tar.zst")
	}
	if err := free(m.opt.Target); err != nil {
		return err
	}
	name := filepath.Join(m.work, "archive")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	left, err := tarball.Write(ctx, f, packing, bounded{m.src, m.opt.Limits})
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	m.leftOut(left)
	return m.publish([2]string{name, m.opt.Target})
}

func (m *maker) leftOut(sockets []string) {
	if n := len(sockets); n > 0 {
		m.out.Notes = append(m.out.Notes, fmt.Sprintf("%d sockets are left out, such as %s: a service makes its own", n, sockets[0]))
	}
}

// dumps writes boot.dump and root.dump into the folder for work, and gives their names. A
// tree without /boot has no boot.dump.
func (m *maker) dumps(ctx context.Context) (made []string, err error) {
	if !slices.Contains([]string{"", "zlib", "none"}, m.opt.Compress) {
		return nil, refuse("a dump is compressed by zlib or not at all (none), not by %s", m.opt.Compress)
	}
	opt := dump.Options{Compress: m.opt.Compress != "none"}
	for _, p := range []struct {
		name, dir string
		tree      tree.Source
	}{{"boot", "/boot", tree.Under(bounded{m.src, m.opt.Limits}, "/boot")}, {"root", "/", tree.Without(bounded{m.src, m.opt.Limits}, "/boot")}} {
		opt.Label, opt.Dir = p.name, p.dir
		err := m.file(p.name+".dump", func(f *os.File) error { return dump.Write(ctx, f, opt, p.tree) })
		if p.name == "boot" && errors.Is(err, dump.ErrNoRoot) {
			m.out.Notes = append(m.out.Notes, "there is no /boot, and so no boot.dump")
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s.dump: %w", p.name, err)
		}
		made = append(made, p.name+".dump")
	}
	return made, nil
}

func (m *maker) file(name string, write func(*os.File) error) error {
	f, err := os.OpenFile(filepath.Join(m.work, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

func (m *maker) dump(ctx context.Context) error {
	if err := Vacant(m.opt.Target, "dump"); err != nil {
		return err
	}
	names, err := m.dumps(ctx)
	if err != nil {
		return err
	}
	var made [][2]string
	for _, name := range names {
		made = append(made, [2]string{filepath.Join(m.work, name), m.opt.Target + "-" + name})
	}
	return m.publish(made...)
}

// ganeti writes what the export script of ganeti-instance-image does: a tar of the
// two dumps.
func (m *maker) ganeti(ctx context.Context) error {
	if err := free(m.opt.Target); err != nil {
		return err
	}
	dumps, err := m.dumps(ctx)
	if err != nil {
		return err
	}
	name := filepath.Join(m.work, "export")
	err = m.file("export", func(f *os.File) error { return tarball.Bundle(f, m.work, dumps...) })
	if err != nil {
		return err
	}
	return m.publish([2]string{name, m.opt.Target})
}

// wholeDisk writes what the same script does for a disk that it does not mount: a tar
// of the disk as qcow2.
func (m *maker) wholeDisk(ctx context.Context) error {
	if kind, err := kindOf(m.opt.Source); err != nil || kind != kindDisk {
		return errors.Join(err, refuse("the source is no disk, but of the kind %s: make a disk of it first", kind))
	}
	if err := free(m.opt.Target); err != nil {
		return err
	}
	opt := Options{Source: m.opt.Source, Target: filepath.Join(m.work, "disk.img"), Format: disk.QCOW2, Compress: m.opt.Compress, Progress: m.opt.Progress}
	if _, err := Disk(ctx, m.run, opt); err != nil {
		return err
	}
	if err := m.file("export", func(f *os.File) error { return tarball.Bundle(f, m.work, "disk.img") }); err != nil {
		return err
	}
	return m.publish([2]string{filepath.Join(m.work, "export"), m.opt.Target})
}

// ami takes a disk apart that was made of the tree.
func (m *maker) ami(ctx context.Context) error {
	source := m.src.path
	if m.src.kind != kindDisk {
		source = filepath.Join(m.work, "disk")
		if err := m.rawDisk(ctx, source); err != nil {
			return err
		}
	}
	made, err := AMI(ctx, m.run, source, m.opt.Target, Telling{})
	if err != nil {
		return err
	}
	m.out.AMI, m.out.Notes = made, append(m.out.Notes, made.Notes...)
	for _, name := range []string{made.Kernel, made.Ramdisk, made.Root} {
		if name != "" {
			m.out.Files = append(m.out.Files, name)
		}
	}
	return nil
}

// disk makes a disk of the tree.
func (m *maker) disk(ctx context.Context) error {
	format := disk.Format(m.opt.To)
	if m.opt.Compress != "" && (format != disk.QCOW2 || m.opt.Compress != "zstd" && m.opt.Compress != "zlib") {
		return refuse("only a qcow2 can be compressed, by zstd or zlib; not a %s by %s", format, m.opt.Compress)
	}
	if err := free(m.opt.Target); err != nil {
		return err
	}
	if m.src.image != "" { // as it is
		return m.whole(ctx, m.src.image)
	}
	raw := filepath.Join(m.work, "disk")
	if err := m.rawDisk(ctx, raw); err != nil {
		return err
	}
	if format == disk.Raw {
		return m.publish([2]string{raw, m.opt.Target})
	}
	return m.whole(ctx, raw)
}

// whole makes the target of a whole disk.
func (m *maker) whole(ctx context.Context, source string) error {
	made, err := Disk(ctx, m.run, Options{Source: source, Target: m.opt.Target, Format: disk.Format(m.opt.To), Compress: m.opt.Compress, Progress: m.opt.Progress})
	if err == nil {
		m.out.Files = append(m.out.Files, made.File)
	}
	return err
}

// ova makes the package of a machine, with a disk that is made of the tree.
func (m *maker) ova(ctx context.Context) error {
	if m.opt.Compress != "" {
		return refuse("the disk in an OVA is a vmdk, which is packed as it is: leave the compression out")
	}
	if err := free(m.opt.Target); err != nil {
		return err
	}
	source := m.src.image
	if source == "" {
		source = filepath.Join(m.work, "disk")
		if err := m.rawDisk(ctx, source); err != nil {
			return err
		}
	}
	made, err := OVA(ctx, m.run, Options{Source: source, Target: m.opt.Target, Progress: m.opt.Progress}, m.opt.Machine)
	if err == nil {
		m.out.Files = append(m.out.Files, made.File)
	}
	return err
}

// fileSystem makes a file system of the tree that is a file by itself, without a table
// of partitions and a boot loader.
func (m *maker) fileSystem(ctx context.Context) error {
	switch {
	case m.opt.Compress != "":
		return refuse("a file system is a file of its bytes as they are: leave the compression out")
	case m.opt.Loader != "":
		return refuse("a file system alone has no boot loader: make a disk")
	}
	if err := free(m.opt.Target); err != nil {
		return err
	}
	r, err := m.rootFile(ctx, 0)
	if err != nil {
		return err
	}
	if err := m.settleAlone(ctx, r); err != nil {
		return err
	}
	if err := m.transplant(ctx, r); err != nil {
		return err
	}
	return m.publish([2]string{r.path, m.opt.Target})
}

// DefaultTarget is the name for what is made of source, beside it.
func DefaultTarget(source, to string) string {
	stem := source
	for _, end := range []string{"-root.dump", ".tar.gz", ".tar.zst", ".tar.xz", ".tar.bz2", ".tgz"} {
		if s, ok := strings.CutSuffix(source, end); ok && filepath.Base(s) != "" {
			stem = s
			break
		}
	}
	if stem == source {
		stem = strings.TrimSuffix(source, filepath.Ext(source))
	}
	switch to {
	case "ami", "dump":
		return stem
	case "ganeti", "ganeti-disk":
		return stem + ".export.tar"
	}
	return stem + "." + to
}
