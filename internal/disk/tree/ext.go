package tree

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/ext4"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/workdir"
)

// MakeExt makes an ext4 file system in the new file image, filled from the folder
// o.Dir, whose files are then given the owners, modes, times, extended attributes
// and devices of the entries: by debugfs, for a user without rights, and read again
// afterwards. An entry without MTime keeps the time of the staged file. The folder
// may have files that no entry names.
func MakeExt(ctx context.Context, run *disk.Runner, image string, o disk.ExtOptions, entries map[string]*Entry) error {
	if need := int64(len(entries)) * 5 / 4; o.InodeRatio == 0 && o.Size/16384 < need+64 {
		o.InodeRatio = max(o.Size/(need+64), 1024)
	}
	if err := run.MakeExt(ctx, image, o); err != nil {
		return err
	}
	f, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	dir, remove, err := workdir.Temp("", "hearth-tree-")
	if err != nil {
		return err
	}
	defer remove()
	for pass := range 3 { // devices are made in the first, set in the second; the last finds nothing to do
		s := &settler{dir: dir, entries: entries}
		if err := s.compare(f); err != nil {
			return err
		}
		if s.script.Len() == 0 {
			return nil
		}
		if pass == 2 {
			lines := strings.SplitN(s.script.String(), "\n", 4)
			return &disk.Error{Kind: disk.ToolFailed, Op: "fill file system", Reason: "debugfs did not do what it was told, such as " + strings.Join(lines[:min(3, len(lines))], "; ")}
		}
		if err := run.EditExt(ctx, f, s.fs.ExtFS, dir, s.script.String()); err != nil {
			return err
		}
	}
	return nil
}

// settler gathers commands for what differs in a file system.
type settler struct {
	dir     string
	entries map[string]*Entry
	fs      *ext4.FS
	script  strings.Builder
	values  int
	cwd     string
}

func (s *settler) compare(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if s.fs, err = ext4.Open(f, 0, st.Size()); err != nil || s.fs == nil {
		return errors.Join(err, errors.New("fill file system: mke2fs left none"))
	}
	there, seen := map[string]bool{}, map[uint32]bool{}
	err = guestfs.WalkFS(s.fs, func(n *guestfs.Node) error {
		there[n.Path] = true
		e := s.entries[n.Path]
		if e == nil || seen[n.Number] { // any name of a file says what it is
			return nil
		}
		seen[n.Number] = true
		return s.settle(n, e)
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.entries)) {
		if e := s.entries[name]; !there[name] {
			if !e.IsDevice() {
				return &disk.Error{Kind: disk.ToolFailed, Op: "fill file system", Reason: "mke2fs left out " + name}
			}
			if err := s.device(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// device makes a device without numbers, which the next pass sets.
func (s *settler) device(e *Entry) error {
	dir, err := quoted(path.Dir(e.Path))
	if err != nil {
		return err
	}
	name, err := quoted("/" + path.Base(e.Path))
	if err != nil {
		return err
	}
	if dir != s.cwd {
		fmt.Fprintf(&s.script, "cd %s\n", dir)
		s.cwd = dir
	}
	kind := "c"
	if e.Type() == TypeBlock {
		kind = "b"
	}
	fmt.Fprintf(&s.script, "mknod \"%s %s 0 0\n", name[2:], kind)
	return nil
}

func quoted(name string) (string, error) {
	if name == "/" {
		return `"/"`, nil
	}
	return disk.QuoteExt(name)
}

// settle writes the commands that make the inode n what e says.
func (s *settler) settle(n *guestfs.Node, e *Entry) error {
	if n.Mode&TypeMask != e.Type() {
		return &disk.Error{Kind: disk.ToolFailed, Op: "fill file system", Reason: fmt.Sprintf("%s is of type %o, not %o", e.Path, n.Mode&TypeMask, e.Type())}
	}
	set := func(field string, was, want int64) {
		if was != want {
			fmt.Fprintf(&s.script, "sif <%d> %s %d\n", n.Number, field, want)
		}
	}
	if n.Mode != e.Mode {
		fmt.Fprintf(&s.script, "sif <%d> mode 0%o\n", n.Number, e.Mode)
	}
	set("uid", int64(n.UID), int64(e.UID))
	set("gid", int64(n.GID), int64(e.GID))
	if e.IsDevice() && (n.Major != e.Major || n.Minor != e.Minor) {
		old, wide := e.Major<<8|e.Minor, uint32(0)
		if e.Major > 255 || e.Minor > 255 { // the second form
			old, wide = 0, e.Minor&0xff|e.Major<<8|e.Minor&^0xff<<12
		}
		fmt.Fprintf(&s.script, "sif <%d> block[0] %d\nsif <%d> block[1] %d\n", n.Number, old, n.Number, wide)
	}
	if !e.MTime.IsZero() && !n.MTime.Equal(e.MTime) {
		seconds, nanos := e.MTime.Unix(), int64(e.MTime.Nanosecond())
		epoch := (seconds - int64(int32(seconds))) >> 32 & 3
		fmt.Fprintf(&s.script, "sif <%d> mtime @%d\nsif <%d> mtime_extra %d\n", n.Number, seconds, n.Number, nanos<<2|epoch)
	}
	return s.xattrs(n, e)
}

func (s *settler) xattrs(n *guestfs.Node, e *Entry) error {
	have, err := s.fs.Xattrs(n.Inode)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, ok := e.Xattrs[name]; ok {
			continue
		}
		q, err := quotedAttr(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&s.script, "ea_rm <%d> %s\n", n.Number, q)
	}
	for _, name := range byRoom(e.Xattrs) {
		if old, ok := have[name]; ok && bytes.Equal(old, e.Xattrs[name]) {
			continue
		}
		q, err := quotedAttr(name)
		if err != nil {
			return err
		}
		s.values++
		file := filepath.Join(s.dir, fmt.Sprintf("value%d", s.values))
		if err := os.WriteFile(file, e.Xattrs[name], 0o600); err != nil {
			return err
		}
		fmt.Fprintf(&s.script, "ea_set -f %s <%d> %s\n", file, n.Number, q)
	}
	return nil
}

// byRoom lists names with the small values first, which fit into the inode.
func byRoom(x map[string][]byte) []string {
	return slices.SortedFunc(maps.Keys(x), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(x[a]), len(x[b])), strings.Compare(a, b))
	})
}

// quotedAttr quotes the name of an extended attribute; Refused for one that is not
// of Linux's name spaces or that debugfs cannot be given.
func quotedAttr(name string) (string, error) {
	space, _, ok := strings.Cut(name, ".")
	if !ok || !slices.Contains([]string{"user", "trusted", "security", "system"}, space) || strings.ContainsAny(name, "/") || len(name) > 255 {
		return "", &disk.Error{Kind: disk.Refused, Op: "fill file system", Reason: fmt.Sprintf("the extended attribute %.100q", name)}
	}
	q, err := disk.QuoteExt("/" + name)
	if err != nil {
		return "", err
	}
	return `"` + q[2:], nil
}
