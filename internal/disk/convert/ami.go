package convert

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/resize"
	"hearth/internal/disk/workdir"
)

// AMIResult is a disk taken apart into what boots without a boot loader.
type AMIResult struct {
	Kernel      string   `json:"kernel"`       // aki
	Ramdisk     string   `json:"ramdisk"`      // ari; "" if the disk has none
	Root        string   `json:"root"`         // ami: the root file system, small
	RootSize    int64    `json:"root_size"`    // bytes
	Version     string   `json:"version"`      // of the kernel
	CommandLine string   `json:"command_line"` // for the image property os_command_line
	Notes       []string `json:"notes"`        // what was changed or is left out
}

// Telling is whom a long work tells how far it is.
type Telling struct {
	Step     func(string)                         // is given each step as it begins; may be nil
	Progress func(step string, done, total int64) // is told how many bytes of a step are done; may be nil
}

func (t Telling) step(text string) {
	if t.Step != nil {
		t.Step(text)
	}
}

const maxBootFile = 512 << 20

// AMI makes of a disk with an ext root the files PREFIX.vmlinuz, PREFIX.initrd and
// PREFIX.ext4: the kernel and ramdisk that its boot loader starts by default, and
// its root file system, checked and made small, with 3 % of what it holds free. Lines of its
// /etc/fstab that name other partitions of the disk are put out of use.
func AMI(ctx context.Context, run *disk.Runner, source, prefix string, tell Telling) (*AMIResult, error) {
	layer, info, err := guestfs.Image(source)
	if err == nil {
		err = guestfs.Whole(layer, info)
	}
	if err != nil {
		return nil, err
	}
	if prefix, err = filepath.Abs(prefix); err != nil { // tools run in another folder
		return nil, err
	}
	if err := Vacant(prefix, "ami"); err != nil {
		return nil, err
	}
	out := &AMIResult{Kernel: prefix + ".vmlinuz", Root: prefix + ".ext4", Notes: []string{}}
	dir, remove, err := workdir.Temp(filepath.Dir(prefix), ".hearth-ami-")
	if err != nil {
		return nil, err
	}
	defer remove()
	a := &ami{run: run, dir: dir, out: out, tell: tell}
	if err := a.take(ctx, layer); err != nil {
		return nil, err
	}
	if err := a.shrink(ctx); err != nil {
		return nil, err
	}
	moves := []struct{ name, to string }{{"kernel", out.Kernel}, {"root", out.Root}}
	if a.ramdisk {
		out.Ramdisk = prefix + ".initrd"
		moves = append(moves, struct{ name, to string }{"ramdisk", out.Ramdisk})
	}
	for _, m := range moves {
		if err := free(m.to); err != nil {
			return nil, err
		}
	}
	for _, m := range moves {
		if err := disk.Publish(filepath.Join(dir, m.name), m.to); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type ami struct {
	run     *disk.Runner
	dir     string
	out     *AMIResult
	tell    Telling
	ramdisk bool
}

// take copies the three parts. What the journal holds is replayed on an overlay.
func (a *ami) take(ctx context.Context, layer disk.Layer) error {
	mode := guestfs.ReadOnly
	d, err := guestfs.Open(ctx, a.run, []disk.Layer{layer}, mode)
	if err != nil {
		return err
	}
	defer func() { d.Close() }()
	for _, v := range d.Volumes {
		if fs := v.FS(); fs != nil && fs.NeedsRecovery && mode == guestfs.ReadOnly {
			mode = guestfs.Scratch
		}
	}
	if mode == guestfs.Scratch {
		if err := d.Close(); err != nil {
			return err
		}
		if d, err = guestfs.Open(ctx, a.run, []disk.Layer{layer}, mode); err != nil {
			return err
		}
	}
	tree, err := d.Tree()
	if err != nil {
		return err
	}
	if err := a.bootFiles(tree); err != nil {
		return err
	}
	root := tree.Root
	if root.Mirrored() {
		return refuse("an Amazon image's root is ext4 here, and this disk's is %s; convert the disk to a tar first, and that to ami", root.Content)
	}
	const step = "copy the root file system"
	a.tell.step(step)
	from := io.Reader(io.NewSectionReader(d.Reader(), root.Start, root.FS().Size))
	if a.tell.Progress != nil {
		from = disk.Told(from, func(n int64) { a.tell.Progress(step, n, root.FS().Size) })
	}
	if err := disk.CopySparse(ctx, filepath.Join(a.dir, "root"), from); err != nil {
		return err
	}
	return a.settle(ctx, tree)
}

// bootFiles copies what the boot loader starts; without one that is known, the
// newest kernel.
func (a *ami) bootFiles(tree *guestfs.Tree) error {
	var kernel, ramdisk, args string
	if e := guestos.DefaultEntry(tree); e != nil && e.Kernel != "" {
		kernel, ramdisk, args = e.Kernel, e.Ramdisk, e.Args
	} else if all := guestos.Kernels(tree); len(all) > 0 {
		kernel, ramdisk = all[0].Path, all[0].Ramdisk
		a.out.Notes = append(a.out.Notes, "no boot entry was found: the newest kernel was taken")
	} else {
		return refuse("the disk has no kernel in /boot")
	}
	a.out.Version = guestos.VersionOf(tree, kernel)
	if err := a.copyFile(tree, kernel, "kernel"); err != nil {
		return err
	}
	if a.ramdisk = ramdisk != ""; a.ramdisk {
		if err := a.copyFile(tree, ramdisk, "ramdisk"); err != nil {
			return err
		}
	}
	a.out.CommandLine = a.commandLine(tree, args)
	return nil
}

func (a *ami) copyFile(tree *guestfs.Tree, name, to string) error {
	b, err := tree.ReadFile(name, maxBootFile)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(a.dir, to), b, 0o600)
}

// commandLine names the root by its UUID if there is a ramdisk that can look for
// it, else as the first disk, which has no partitions any more.
func (a *ami) commandLine(tree *guestfs.Tree, args string) string {
	root := "root=UUID=" + tree.Root.UUID
	if !a.ramdisk {
		root = "root=/dev/vda"
	}
	line := []string{root}
	for f := range strings.FieldsSeq(args) {
		if !strings.HasPrefix(f, "root=") && !strings.HasPrefix(f, "BOOT_IMAGE=") {
			line = append(line, f)
		}
	}
	return strings.Join(line, " ")
}

// settle puts lines of fstab out of use that name what the disk had besides its
// root, and names the root by its UUID.
func (a *ami) settle(ctx context.Context, from *guestfs.Tree) error {
	d, err := guestfs.Open(ctx, a.run, []disk.Layer{{Path: filepath.Join(a.dir, "root"), Format: disk.Raw}}, guestfs.ReadWrite)
	if err != nil {
		return err
	}
	tree := d.TreeOf(d.Volumes[0])
	if tree == nil {
		return errors.Join(refuse("the copy of the root file system cannot be read"), d.Close())
	}
	old, err := tree.ReadFile("/etc/fstab", 64<<10)
	if guestfs.Missing(err) {
		return d.Close()
	}
	if err != nil {
		return errors.Join(err, d.Close())
	}
	text := a.fstab(string(old), from)
	edit := tree.Edit()
	if text != string(old) {
		edit.Rewrite("/etc/fstab", []byte(text), guestfs.Owner{Mode: 0o644})
	}
	return errors.Join(edit.Commit(ctx), d.Close())
}

func (a *ami) fstab(text string, from *guestfs.Tree) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch {
		case len(f) < 4 || strings.HasPrefix(f[0], "#"):
			b.WriteString(line)
		case f[1] == "/":
			if id := "UUID=" + from.Root.UUID; strings.HasPrefix(f[0], "/dev/") || strings.HasPrefix(f[0], "PART") {
				a.out.Notes = append(a.out.Notes, "/etc/fstab: the root is "+id+", not "+f[0])
				line = strings.Replace(line, f[0], id, 1)
			}
			b.WriteString(line)
		case from.OnDisk(f[0]):
			a.out.Notes = append(a.out.Notes, "/etc/fstab: "+f[1]+" ("+f[0]+") is not in this image")
			b.WriteString("# not in this image: " + line)
		default:
			b.WriteString(line)
		}
	}
	return b.String()
}

// shrink makes the root small: its guest grows it only after it wrote to it.
func (a *ami) shrink(ctx context.Context) error {
	a.tell.step("check it and make it small")
	size, err := resize.Ext(ctx, a.run, filepath.Join(a.dir, "root"))
	a.out.RootSize = size
	return err
}
