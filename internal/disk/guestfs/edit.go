package guestfs

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/workdir"
)

// Edit gathers changes of a [Tree]; [Edit.Commit] carries them out. Until then
// the tree reads as before. Paths may lead through symbolic links of the guest,
// but for their last part they name the file itself. The first error of any
// method is kept and given by Commit, which then changes nothing.
type Edit struct {
	// Labels, if it is set, gives the SELinux label of what is new by its name in
	// the guest and its type as in stat(2); "" leaves that of the folder.
	Labels func(name string, kind uint32) string

	t       *Tree
	scripts map[*Volume][]command
	order   []*Volume
	demands map[*Volume][]demand
	files   []content
	made    map[string]place // folders that will be there
	put     map[place]bool   // files that will be there
	err     error
}

// content is what a file is to hold: data, or what a file of this host holds.
type content struct {
	data []byte
	path string // "" for data
}

// put makes it the new file path of this host.
func (c content) put(path string) error {
	if c.path == "" {
		return os.WriteFile(path, c.data, 0o600)
	}
	return os.Link(c.path, path)
}

// command is one of debugfs; between its parts is the name of a staged file,
// unless file is negative.
type command struct {
	before string
	file   int
	after  string
}

// place is where a name lies: in a volume, by a path without links.
type place struct {
	volume *Volume
	inner  string
}

// Owner is to whom a file belongs, and its permission bits (with setuid and the
// like, as in chmod(2)).
type Owner struct {
	UID, GID uint32
	Mode     uint32
}

// Edit begins changes. They can be committed if the disk was opened ReadWrite or
// Scratch.
func (t *Tree) Edit() *Edit {
	return &Edit{t: t, scripts: map[*Volume][]command{}, demands: map[*Volume][]demand{}, made: map[string]place{}, put: map[place]bool{}}
}

func (e *Edit) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// say adds a command for a volume.
func (e *Edit) say(v *Volume, format string, args ...any) {
	e.add(v, command{before: fmt.Sprintf(format, args...), file: -1})
}

// stage adds a command with the name of a file that has data.
func (e *Edit) stage(v *Volume, before string, c content, after string) {
	e.add(v, command{before, len(e.files), after})
	e.files = append(e.files, c)
}

func (e *Edit) add(v *Volume, c command) {
	if e.scripts[v] == nil {
		e.order = append(e.order, v)
	}
	e.scripts[v] = append(e.scripts[v], c)
}

// clear removes what has the name of p now.
func (e *Edit) clear(p place, old *Node) {
	if old != nil || e.put[p] {
		e.say(p.volume, "rm %s", quote(p.inner))
	}
	if old != nil && !e.put[p] {
		e.gives(old)
	}
	e.put[p] = true
}

// place finds where a name is or will be; old is nil if nothing is there yet.
func (e *Edit) place(name string) (p place, old *Node, err error) {
	if name = path.Clean("/" + name); name == "/" {
		return p, nil, &disk.Error{Kind: disk.Refused, Op: "change files", Reason: "the root folder itself cannot be replaced"}
	}
	if _, err := disk.QuoteExt(name); err != nil {
		return p, nil, err
	}
	if old, err = e.t.Lstat(name); err == nil {
		return place{old.Volume, old.inner}, old, nil
	}
	if !Missing(err) {
		return p, nil, err
	}
	dir := path.Dir(name)
	if made, ok := e.made[dir]; ok {
		return place{made.volume, path.Join(made.inner, path.Base(name))}, nil, nil
	}
	n, err := e.t.Stat(dir)
	if err != nil {
		return p, nil, err
	}
	return place{n.Volume, path.Join(n.inner, path.Base(name))}, nil, nil
}

// Mkdir makes a folder, and those on the way, unless they are there. The new
// ones belong to root, but for the last.
func (e *Edit) Mkdir(name string, o Owner) {
	name = path.Clean("/" + name)
	if e.err != nil || name == "/" {
		return
	}
	if _, ok := e.made[name]; ok {
		return
	}
	if n, err := e.t.Stat(name); err == nil {
		if !n.IsDir() {
			e.fail(&disk.Error{Kind: disk.Unsupported, Op: "make folder " + name, Reason: "a file has this name"})
		}
		return
	}
	e.Mkdir(path.Dir(name), Owner{Mode: 0o755})
	p, old, err := e.place(name)
	if err == nil && old != nil {
		err = &disk.Error{Kind: disk.Unsupported, Op: "make folder " + name, Reason: "a link to nowhere has this name"}
	}
	if err != nil {
		e.fail(err)
		return
	}
	e.made[name] = p
	q, err := disk.QuoteExt(p.inner)
	if err != nil {
		e.fail(err)
		return
	}
	e.say(p.volume, "mkdir %s", q)
	e.takes(p.volume, 1)
	e.owner(p, 0o40000, o)
	e.label(p, nil, 0o40000)
}

// Write puts a file in place of what is there. Folders that lack are made. What
// was there gives its extended attributes.
func (e *Edit) Write(name string, data []byte, o Owner) { e.write(name, content{data: data}, o) }

func (e *Edit) write(name string, c content, o Owner) {
	e.Mkdir(path.Dir(path.Clean("/"+name)), Owner{Mode: 0o755})
	p, old, err := e.place(name)
	if e.fail(err); e.err != nil {
		return
	}
	if old != nil && old.IsDir() {
		e.fail(&disk.Error{Kind: disk.Unsupported, Op: "write " + name, Reason: "a folder has this name"})
		return
	}
	dir, base := path.Split(p.inner)
	e.clear(p, old)
	e.say(p.volume, "cd %s", quote(path.Clean(dir)))
	e.stage(p.volume, "write ", c, " "+quote(base))
	e.takes(p.volume, c.size())
	e.say(p.volume, "cd /")
	e.owner(p, 0o100000, o)
	e.label(p, old, 0o100000)
}

// Rewrite changes the content of a file that is there, or makes it with o.
// Symbolic links are followed.
func (e *Edit) Rewrite(name string, data []byte, o Owner) {
	n, err := e.t.Stat(name)
	switch {
	case err == nil && n.IsRegular():
		e.Write(n.Path, data, Owner{n.UID, n.GID, n.Mode & 0o7777})
	case err == nil || Missing(err):
		e.Write(name, data, o)
	default:
		e.fail(err)
	}
}

// Symlink puts a symbolic link in place of what is there.
func (e *Edit) Symlink(name, target string) {
	e.Mkdir(path.Dir(path.Clean("/"+name)), Owner{Mode: 0o755})
	p, old, err := e.place(name)
	if e.fail(err); e.err != nil {
		return
	}
	if strings.ContainsFunc(target, func(r rune) bool { return r < ' ' || r == 0x7f }) || target == "" || len(target) > 1024 {
		e.fail(&disk.Error{Kind: disk.Refused, Op: "link " + name, Reason: "the target has control characters, or none at all"})
		return
	}
	e.clear(p, old)
	e.say(p.volume, "symlink %s %s", quote(p.inner), quote(target))
	e.takes(p.volume, max(0, int64(len(target))-59)) // a shorter one lies in its inode
	e.label(p, old, 0o120000)
}

// Remove removes a file, or a folder with all that is in it, if it is there.
// What is mounted in it stays, and the folders that lead there.
func (e *Edit) Remove(name string) {
	n, err := e.t.Lstat(path.Clean("/" + name))
	if e.err != nil || Missing(err) {
		return
	}
	if err == nil && n.inner == "/" {
		err = &disk.Error{Kind: disk.Refused, Op: "remove " + name, Reason: "it is the root of a file system"}
	}
	var list []*Node
	if err == nil {
		err = e.t.under(n, func(n *Node) error { list = append(list, n); return nil })
	}
	for _, n := range list {
		if _, nerr := disk.QuoteExt(n.inner); err == nil {
			err = nerr
		}
	}
	if err != nil {
		e.fail(err)
		return
	}
	for _, n := range slices.Backward(list) {
		verb := "rm"
		if n.IsDir() {
			verb = "rmdir"
		}
		e.say(n.Volume, "%s %s", verb, quote(n.inner))
		e.gives(n)
	}
}

// Chown sets to whom a file belongs; Mode is left.
func (e *Edit) Chown(name string, uid, gid uint32) {
	e.set(name, func(n *Node) Owner { return Owner{uid, gid, n.Mode} })
}

// Chmod sets the permission bits of a file.
func (e *Edit) Chmod(name string, mode uint32) {
	e.set(name, func(n *Node) Owner { return Owner{n.UID, n.GID, mode} })
}

func (e *Edit) set(name string, to func(*Node) Owner) {
	n, err := e.t.Stat(name)
	if e.fail(err); e.err != nil {
		return
	}
	e.owner(place{n.Volume, n.inner}, n.Mode&0xf000, to(n))
}

// SetXattr sets an extended attribute; its value has the form of setxattr(2).
func (e *Edit) SetXattr(name, attr string, value []byte) {
	n, err := e.t.Stat(name)
	if e.fail(err); e.err == nil {
		e.xattr(place{n.Volume, n.inner}, attr, value)
	}
}

func (e *Edit) xattr(p place, attr string, value []byte) {
	if !plain(attr) {
		e.fail(&disk.Error{Kind: disk.Refused, Op: "change files", Reason: fmt.Sprintf("the name %q of an extended attribute", attr)})
		return
	}
	e.stage(p.volume, "ea_set -f ", content{data: value}, " "+quote(p.inner)+" "+attr)
}

func (e *Edit) owner(p place, kind uint32, o Owner) {
	q := quote(p.inner)
	e.say(p.volume, "sif %s mode 0%o\nsif %s uid %d\nsif %s gid %d", q, kind|o.Mode&0o7777, q, o.UID, q, o.GID)
}

// label gives a new file the attributes of the old one, or what SELinux would:
// what the policy says, else the label of the folder. Access control lists of the
// old one stay as well.
func (e *Edit) label(p place, old *Node, kind uint32) {
	said := ""
	if e.Labels != nil {
		said = e.Labels(e.t.full(p), kind)
	}
	if old != nil {
		attrs, err := e.t.Xattrs(old)
		if err != nil {
			e.fail(err)
			return
		}
		for name, value := range attrs {
			if name != "security.capability" && name != "security.ima" { // for the old content
				e.xattr(p, name, value)
			}
		}
		if said != "" && attrs["security.selinux"] == nil {
			e.xattr(p, "security.selinux", []byte(said+"\x00"))
		}
		return
	}
	if said != "" {
		e.xattr(p, "security.selinux", []byte(said+"\x00"))
		return
	}
	for dir := path.Dir(p.inner); ; dir = path.Dir(dir) {
		n, err := e.t.d.on(p.volume).Lstat(dir)
		if err != nil && dir != "/" {
			continue // it is made by this Edit
		}
		if err == nil {
			if attrs, err := e.t.Xattrs(n); err == nil && attrs["security.selinux"] != nil {
				e.xattr(p, "security.selinux", attrs["security.selinux"])
			}
		}
		return
	}
}

// full is the name of a place in the guest.
func (t *Tree) full(p place) string {
	for dir, v := range t.Mounts {
		if v == p.volume {
			return path.Join(dir, p.inner)
		}
	}
	return p.inner
}

// quote quotes a name that QuoteExt has accepted before.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Empty tells whether there is nothing to do.
func (e *Edit) Empty() bool { return len(e.order) == 0 && e.err == nil }

// Commit carries all out, at once: what the appliance does goes to a log beside, and when all
// that is ready, one run of tools changes the disk. That is brought to its end though ctx is done
// meanwhile or this process killed; what debugfs complains of is an error, and part of
// the changes may be made then. TooBig for what has no room: then nothing was changed.
func (e *Edit) Commit(ctx context.Context) error {
	if e.err == nil && e.t.d.file == nil {
		return &disk.Error{Kind: disk.Unsupported, Op: "change files", Reason: "the disk was opened to be read only"}
	}
	if e.err != nil || len(e.order) == 0 {
		return e.err
	}
	for _, v := range e.order {
		if err := e.fits(v); err != nil {
			return err
		}
	}
	work, err := workdir.Make("", "hearth-edit-", nil)
	if err != nil {
		return err
	}
	defer work.Close()
	changes, err := e.drafts(ctx, work.Path)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	err = e.t.d.run.CarryOut(context.WithoutCancel(ctx), e.t.d.file, work.Path, changes...)
	for _, v := range e.order { // after an error too, for part may be made; if it cannot be read, what comes next says so
		if rerr := v.reload(e.t.d.r); err == nil {
			err = rerr
		}
	}
	if err != nil {
		return err
	}
	e.t.d.changed = true
	return e.t.d.file.Sync()
}

// drafts prepares in the folder work the changes of all volumes, those that only the appliance
// makes first.
func (e *Edit) drafts(ctx context.Context, work string) (changes []disk.Change, err error) {
	dir := filepath.Join(work, "files")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	for i, c := range e.files {
		if err := c.put(staged(dir, i)); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(e.order, func(a, b *Volume) int { return rank(a) - rank(b) })
	for i, v := range e.order {
		var script strings.Builder
		for _, c := range e.scripts[v] {
			script.WriteString(c.before)
			if c.file >= 0 {
				script.WriteString(quote(staged(dir, c.file)) + c.after)
			}
			script.WriteByte('\n')
		}
		change, err := e.t.d.draft(ctx, v, dir, script.String(), filepath.Join(work, fmt.Sprintf("log%d", i)))
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
	return changes, nil
}

func rank(v *Volume) int {
	if v.mirror != nil {
		return 0
	}
	return 1
}

func staged(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("f%d", i)) }

// under is Walk from a node within its own volume.
func (t *Tree) under(n *Node, do func(*Node) error) error {
	return t.d.on(n.Volume).Walk(n.inner, do)
}
