package tree

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Item is one file of a manifest.
type Item struct {
	Entry
	SHA256 string // of a regular file, in hex
	Group  string // of a file with several names: the first of them
	Names  int    // of the file
}

// Manifest says all of a tree that a conversion must keep, by path.
type Manifest struct {
	Items map[string]*Item
}

// NewManifest reads a tree.
func NewManifest(ctx context.Context, from Source) (*Manifest, error) {
	m := &Manifest{Items: map[string]*Item{}}
	err := from.Walk(ctx, m.add)
	m.groups()
	return m, err
}

func (m *Manifest) add(e *Entry, content io.Reader) error {
	item := &Item{Entry: *e, Names: 1}
	if content != nil {
		h := sha256.New()
		n, err := io.Copy(h, content)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		item.Size, item.SHA256 = n, hex.EncodeToString(h.Sum(nil))
	}
	if first := m.Items[e.Same]; e.Same != "" && first != nil {
		same := e.Same
		*item = *first
		item.Path, item.Same = e.Path, same
	}
	m.Items[e.Path] = item
	return nil
}

// groups names each file of several names by the first of them.
func (m *Manifest) groups() {
	members := map[string][]*Item{}
	for name, i := range m.Items {
		if i.Type() != TypeDir {
			head := cmp.Or(i.Same, name)
			members[head] = append(members[head], i)
		}
	}
	for _, list := range members {
		if len(list) < 2 {
			continue
		}
		slices.SortFunc(list, func(a, b *Item) int { return strings.Compare(a.Path, b.Path) })
		for _, i := range list {
			i.Group, i.Names = list[0].Path, len(list)
		}
	}
	for name, i := range m.Items { // each file system makes its own
		if path.Base(name) == "lost+found" && i.Type() == TypeDir && !m.hasUnder(name) {
			delete(m.Items, name)
		}
	}
}

func (m *Manifest) hasUnder(dir string) bool {
	for name := range m.Items {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// kinds are mtree's words for types.
func kind(mode uint32) string {
	switch mode & TypeMask {
	case TypeDir:
		return "dir"
	case TypeFile:
		return "file"
	case TypeLink:
		return "link"
	case TypeChar:
		return "char"
	case TypeBlock:
		return "block"
	case TypeFIFO:
		return "fifo"
	case TypeSocket:
		return "socket"
	}
	return "unknown"
}

// fields are the words of mtree(5) for an item, in order.
func (i *Item) fields() [][2]string {
	list := [][2]string{{"type", kind(i.Mode)}, {"mode", fmt.Sprintf("%04o", i.Mode&0o7777)}, {"uid", fmt.Sprint(i.UID)}, {"gid", fmt.Sprint(i.GID)}}
	add := func(k, v string) { list = append(list, [2]string{k, v}) }
	switch i.Type() {
	case TypeFile:
		add("size", fmt.Sprint(i.Size))
		add("sha256digest", i.SHA256)
	case TypeLink:
		add("link", vis(i.Link))
	case TypeChar, TypeBlock:
		add("device", fmt.Sprintf("linux,%d,%d", i.Major, i.Minor))
	}
	if i.Group != "" {
		add("nlink", fmt.Sprint(i.Names))
		add("group", vis("."+i.Group))
	}
	for _, name := range slices.Sorted(maps.Keys(i.Xattrs)) {
		add("xattr."+vis(name), base64.StdEncoding.EncodeToString(i.Xattrs[name]))
	}
	add("time", fmt.Sprintf("%d.%09d", i.MTime.Unix(), i.MTime.Nanosecond()))
	return list
}

// vis writes what is no plain letter as three octal digits, as mtree does.
func vis(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' || c == '=' {
			fmt.Fprintf(&b, "\\%03o", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Write prints the manifest in the form of mtree(5), a line for each file, sorted
// by path. Of its own are group, the first of several names of a file, and xattr.NAME
// in base64.
func (m *Manifest) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, "#mtree v2.0")
	for _, name := range slices.Sorted(maps.Keys(m.Items)) {
		fmt.Fprint(out, vis("."+strings.TrimSuffix(name, "/")))
		for _, f := range m.Items[name].fields() {
			fmt.Fprintf(out, " %s=%s", f[0], f[1])
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}

// Diff says in what two trees differ, a line for each difference, sorted by path;
// none when they are equal. Times are compared as exactly as the coarser of the
// two was kept: a dump has whole seconds. Sockets are left out, as no archive has
// them: a service makes its own.
func Diff(a, b *Manifest) (list []string) {
	names := map[string]bool{}
	for _, m := range []*Manifest{a, b} {
		for name, i := range m.Items {
			names[name] = names[name] || i.Type() != TypeSocket
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x, y := a.Items[name], b.Items[name]
		switch {
		case !names[name]:
		case x == nil:
			list = append(list, fmt.Sprintf("+ .%s", name))
		case y == nil:
			list = append(list, fmt.Sprintf("- .%s", name))
		default:
			list = append(list, differences(name, x, y)...)
		}
	}
	return list
}

func differences(name string, x, y *Item) (list []string) {
	had := map[string]string{}
	for _, f := range x.fields() {
		had[f[0]] = f[1]
	}
	for _, f := range y.fields() {
		old, ok := had[f[0]]
		delete(had, f[0])
		if ok && old == f[1] || f[0] == "time" && sameTime(x.MTime, y.MTime) {
			continue
		}
		list = append(list, fmt.Sprintf("! .%s: %s=%s, was %s", name, f[0], f[1], cmp.Or(old, "not there")))
	}
	for _, k := range slices.Sorted(maps.Keys(had)) {
		list = append(list, fmt.Sprintf("! .%s: %s=%s is gone", name, k, had[k]))
	}
	return list
}

func sameTime(a, b time.Time) bool {
	for _, unit := range []time.Duration{time.Second, time.Microsecond} {
		if n := int(unit.Nanoseconds()); a.Nanosecond()%n == 0 || b.Nanosecond()%n == 0 {
			return a.Truncate(unit).Equal(b.Truncate(unit))
		}
	}
	return a.Equal(b)
}
