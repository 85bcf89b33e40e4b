package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/identity"
	"hearth/internal/disk/sysprep"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

const (
	maxText    = 1 << 20
	maxOverlay = 256 << 20 // bytes of one file
)

// open opens the raw disk in the making.
func (b *build) open(ctx context.Context, mode guestfs.Mode) (*guestfs.Disk, error) {
	return guestfs.Open(ctx, b.Run, []disk.Layer{{Path: b.raw, Format: disk.Raw}}, mode)
}

// fstab is written first, alone: by it the file systems are joined afterwards.
func (b *build) fstab(ctx context.Context) error {
	d, err := b.open(ctx, guestfs.ReadWrite)
	if err != nil {
		return err
	}
	var root *guestfs.Tree
	for _, v := range d.Volumes {
		if v.UUID == b.table.find("/").UUID {
			root = d.TreeOf(v)
		}
	}
	if root == nil {
		return errors.Join(refuse("the root file system that was made is not there"), d.Close())
	}
	edit := root.Edit()
	edit.Rewrite("/etc/fstab", []byte(b.fstabText()), guestfs.Owner{Mode: 0o644})
	return errors.Join(edit.Commit(ctx), d.Close())
}

func (b *build) fstabText() string {
	var t strings.Builder
	t.WriteString("# /etc/fstab: static file system information.\n#\n# <file system> <mount point> <type> <options> <dump> <pass>\n")
	parts := slices.Clone(b.table.parts)
	slices.SortStableFunc(parts, func(x, y Part) int { return strings.Compare(x.Mount, y.Mount) })
	for _, p := range parts {
		switch {
		case p.Mount == "/":
			fmt.Fprintf(&t, "UUID=%s / %s defaults 0 1\n", p.UUID, p.FileSystem)
		case p.Mount == "swap":
			fmt.Fprintf(&t, "UUID=%s none swap sw 0 0\n", p.UUID)
		case strings.HasPrefix(p.Mount, "/"):
			fmt.Fprintf(&t, "UUID=%s %s %s defaults 0 2\n", p.UUID, p.Mount, p.FileSystem)
		}
	}
	t.WriteString("proc /proc proc defaults 0 0\n")
	return t.String()
}

// settle makes the instance's own system of the image's: boot loader, console,
// name, identity, overlay.
func (b *build) settle(ctx context.Context) error {
	d, err := b.open(ctx, guestfs.ReadWrite)
	if err != nil {
		return err
	}
	err = b.settleIn(ctx, d)
	return errors.Join(err, d.Close())
}

func (b *build) settleIn(ctx context.Context, d *guestfs.Disk) error {
	t, err := d.Tree()
	if err != nil {
		if b.table == nil { // a disk image of something else
			b.warn("nothing is changed within the image: %v", err)
			b.foreign = true
			return nil
		}
		return err
	}
	if b.table == nil && !guestos.Has(t, "/etc/*") {
		b.warn("nothing is changed within the image: it has no /etc")
		b.foreign = true
		return nil
	}
	if b.spec.On("ssh") {
		if _, err := sysprep.Prepare(ctx, d, sysprep.Options{Only: []string{"host-keys", "machine-id", "duid", "random-seed", "net-rules"}}); err != nil {
			return err
		}
		if t, err = d.Tree(); err != nil {
			return err
		}
	}
	edit := t.Edit()
	if b.opt.Name != "" {
		family := guestos.Unknown
		if os := guestos.Identify(t); os != nil {
			family = os.Family
		}
		for _, c := range identity.SetHostname(t, family, b.opt.Name) {
			edit.Rewrite(c.Path, c.Data, guestfs.Owner{Mode: 0o644})
		}
	}
	if b.opt.Serial {
		b.console(t, edit)
	}
	switch {
	case !b.spec.On("grub"):
	case b.table != nil && b.opt.KernelPath == "":
		if err := b.bootMenu(t, edit); err != nil {
			return err
		}
	case b.table != nil:
		b.report.CommandLine = strings.Join(withArgs([]string{b.rootArg("initrd"), "ro"}, b.wanted()), " ")
	default:
		b.ownMenu(t, edit)
	}
	if b.spec.Overlay != "" && b.spec.On("overlays") {
		if err := b.overlay(ctx, edit); err != nil {
			return err
		}
	}
	return edit.Commit(ctx)
}

// console has a login on the serial line, by whatever starts logins there.
func (b *build) console(t *guestfs.Tree, edit *guestfs.Edit) {
	read := func(name string) string {
		x, _ := t.ReadFile(name, maxText)
		return string(x)
	}
	has := func(name string) bool { return guestos.Has(t, name) }
	first := func(names ...string) string {
		for _, n := range names {
			if has(n) {
				return n
			}
		}
		return names[0]
	}
	switch {
	case has("/etc/event.d/tty1"): // the first upstart
		edit.Write("/etc/event.d/ttyS0", []byte(strings.ReplaceAll(read("/etc/event.d/tty1"), "tty1", "ttyS0")), guestfs.Owner{Mode: 0o644})
	case has("/etc/init/tty1.conf"): // upstart
		var out strings.Builder
		for l := range strings.Lines(read("/etc/init/tty1.conf")) {
			if strings.HasPrefix(l, "exec") {
				l = "exec /sbin/getty -L 115200 ttyS0 vt102\n"
			}
			out.WriteString(strings.ReplaceAll(l, "tty1", "ttyS0"))
		}
		edit.Write("/etc/init/ttyS0.conf", []byte(out.String()), guestfs.Owner{Mode: 0o644})
	case has("/usr/lib/systemd/systemd"), has("/lib/systemd/systemd"):
		edit.Symlink("/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service", first("/usr/lib/systemd/system/serial-getty@.service", "/lib/systemd/system/serial-getty@.service"))
	case has("/etc/inittab"):
		if old := read("/etc/inittab"); !serialLogin(old) {
			if old != "" && !strings.HasSuffix(old, "\n") {
				old += "\n"
			}
			edit.Rewrite("/etc/inittab", []byte(old+"T0:2345:respawn:"+first("/sbin/getty", "/sbin/agetty", "/usr/sbin/agetty", "/usr/bin/agetty")+" -L 115200 ttyS0 vt100\n"), guestfs.Owner{Mode: 0o644})
		}
	default:
		b.warn("nothing is known here that would start a login on the serial line of this system")
	}
}

// serialLogin tells whether an inittab has one already.
func serialLogin(text string) bool {
	for l := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(l), "#") && strings.Contains(l, "ttyS0") && strings.Contains(l, "respawn") {
			return true
		}
	}
	return false
}

// overlaySource is the files of an overlay: a folder, or an archive.
func overlaySource(name string) (tree.Source, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, refuse("the overlay %s is not there: %v", name, err)
	}
	if st.IsDir() {
		return folder(name), nil
	}
	return tarball.File(name), nil
}

// overlay puts its files over the guest's.
func (b *build) overlay(ctx context.Context, edit *guestfs.Edit) error {
	from, err := overlaySource(b.spec.Overlay)
	if err != nil {
		return err
	}
	linked := map[string][]byte{}
	return from.Walk(ctx, tree.Bounded(tree.Limits{Files: 100000, Bytes: 4 << 30}, func(e *tree.Entry, content io.Reader) error {
		owner := guestfs.Owner{UID: uint32(e.UID), GID: uint32(e.GID), Mode: e.Mode & 0o7777}
		switch {
		case e.Path == "/":
			return nil
		case e.Same != "":
			edit.Write(e.Path, linked[e.Same], owner)
		case e.Type() == tree.TypeDir:
			edit.Mkdir(e.Path, owner)
		case e.Type() == tree.TypeLink:
			edit.Symlink(e.Path, e.Link)
		case e.Type() == tree.TypeFile:
			if e.Size > maxOverlay {
				return refuse("%s of the overlay has more than %d MB", e.Path, maxOverlay/mib)
			}
			data := []byte{}
			if content != nil {
				var err error
				if data, err = io.ReadAll(content); err != nil {
					return err
				}
			}
			if linked[e.Path] = data; e.Size > 1<<20 {
				delete(linked, e.Path)
			}
			edit.Write(e.Path, data, owner)
		default:
			b.warn("%s of the overlay is neither file, folder nor link: left out", e.Path)
		}
		return nil
	}))
}

// folder is a tree in a folder of the host. Root keeps the owners; to root belongs
// what a user without rights gives, who could not say otherwise.
type folder string

// Walk implements [tree.Source].
func (f folder) Walk(ctx context.Context, visit tree.Visit) error {
	root, err := os.OpenRoot(string(f))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entryOf(path.Join("/", name), info)
		switch e.Type() {
		case tree.TypeLink:
			if e.Link, err = root.Readlink(name); err != nil {
				return err
			}
		case tree.TypeFile:
			file, err := root.Open(name)
			if err != nil {
				return err
			}
			defer file.Close()
			return visit(e, file)
		}
		return visit(e, nil)
	})
}

// abs is filepath.Abs for names that may be empty.
func abs(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	return filepath.Abs(name)
}
