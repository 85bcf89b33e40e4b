package deploy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/inject"
)

const maxText = 1 << 20

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
			fmt.Fprintf(&t, "UUID=%s / %s defaults 0 %d\n", p.UUID, p.FileSystem, p.pass(1))
		case p.Mount == "swap":
			fmt.Fprintf(&t, "UUID=%s none swap sw 0 0\n", p.UUID)
		case strings.HasPrefix(p.Mount, "/"):
			fmt.Fprintf(&t, "UUID=%s %s %s defaults 0 %d\n", p.UUID, p.Mount, p.FileSystem, p.pass(2))
		}
	}
	t.WriteString("proc /proc proc defaults 0 0\n")
	return t.String()
}

// personal gives the guest its name, its identity and its network.
func (b *build) personal(ctx context.Context) error {
	d, err := b.open(ctx, guestfs.ReadWrite)
	if err != nil {
		return err
	}
	return errors.Join(b.personalIn(ctx, d), d.Close())
}

func (b *build) personalIn(ctx context.Context, d *guestfs.Disk) error {
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
	o, err := b.person(t)
	if err != nil {
		return err
	}
	r, err := inject.Apply(ctx, d, o)
	if err != nil {
		return err
	}
	b.note("the guest is %s", r.System)
	b.report.Changed, b.report.HostKeys = r.Changed, r.HostKeys
	b.report.Warnings = append(b.report.Warnings, r.Warnings...)
	for _, name := range r.Changed {
		b.note("%s is written or removed", name)
	}
	return nil
}

// settle makes the image's system one that starts here: boot loader, console, and
// the site's own files.
func (b *build) settle(ctx context.Context) error {
	d, err := b.open(ctx, guestfs.ReadWrite)
	if err != nil {
		return err
	}
	err = b.settleIn(ctx, d)
	if err := errors.Join(err, d.Close()); err != nil || b.table == nil || b.opt.KernelPath != "" || !b.spec.On("grub") {
		return err
	}
	return b.bootSectors(ctx)
}

func (b *build) settleIn(ctx context.Context, d *guestfs.Disk) error {
	t, err := d.Tree()
	if err != nil {
		return err
	}
	edit := t.Edit()
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
		b.report.CommandLine = strings.Join(withArgs([]string{b.rootArg("initrd"), b.rootMode()}, b.wanted()), " ")
	default:
		if err := b.ownMenu(d, t, edit); err != nil {
			return err
		}
	}
	if err := b.putOverlay(ctx, edit); err != nil {
		return err
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

// abs is filepath.Abs for names that may be empty.
func abs(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	return filepath.Abs(name)
}
