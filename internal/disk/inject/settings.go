package inject

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/netconf"
)

// network writes the network in the guest's own way.
func (w *worker) network(system *guestos.OS, n netconf.Network) error {
	plan, err := netconf.Write(after{w.tree, w.gone}, system, n)
	if err != nil {
		return err
	}
	plan.Put(w.edit)
	for _, f := range plan.Files {
		w.out.Changed = append(w.out.Changed, f.Path)
	}
	w.out.Warnings = append(w.out.Warnings, plan.Warnings...)
	return nil
}

// after is a guest without the files that go: what is to be there is written anew,
// though it was the same before.
type after struct {
	*guestfs.Tree
	gone map[string]bool
}

func (a after) without(name string) bool {
	n, err := a.Tree.Lstat(name)
	return err == nil && a.gone[n.Path]
}

// ReadFile implements [guestos.Files].
func (a after) ReadFile(name string, limit int64) ([]byte, error) {
	if a.without(name) {
		return nil, fs.ErrNotExist
	}
	return a.Tree.ReadFile(name, limit)
}

// Glob implements [guestos.Files].
func (a after) Glob(pattern string) ([]string, error) {
	found, err := a.Tree.Glob(pattern)
	return slices.DeleteFunc(found, a.without), err
}

// fstab enters lines of fstab(5). A line whose folder has one takes its place;
// swap has no folder and is told by its device.
func (w *worker) fstab(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	now := ""
	if b, err := w.tree.ReadFile("/etc/fstab", 1<<20); err == nil {
		now = string(b)
	} else if !guestfs.Missing(err) {
		return err
	}
	text := now
	for _, line := range lines {
		f := strings.Fields(line)
		if strings.ContainsAny(line, "\n\r\x00") || len(f) < 3 || len(f) > 6 || strings.HasPrefix(f[0], "#") || f[1] != "none" && f[1] != "swap" && !path.IsAbs(f[1]) {
			return refuse("%q is no line of fstab: DEVICE FOLDER TYPE [OPTIONS [DUMP PASS]]", line)
		}
		for len(f) < 6 {
			f = append(f, map[int]string{3: "defaults", 4: "0", 5: "0"}[len(f)])
		}
		text = withMount(text, f)
		if dir := f[1]; path.IsAbs(dir) {
			w.edit.Mkdir(dir, guestfs.Owner{Mode: 0o755})
		}
	}
	if text != now {
		w.edit.Rewrite("/etc/fstab", []byte(text), guestfs.Owner{Mode: 0o644})
		w.out.Changed = append(w.out.Changed, "/etc/fstab")
	}
	return nil
}

// withMount puts one line into fstab.
func withMount(text string, f []string) string {
	line, done := strings.Join(f, "\t")+"\n", false
	var b strings.Builder
	for l := range strings.Lines(text) {
		have := strings.Fields(l)
		same := len(have) >= 3 && !strings.HasPrefix(have[0], "#") && (path.IsAbs(f[1]) && have[1] == f[1] || !path.IsAbs(f[1]) && have[0] == f[0])
		switch {
		case same && done:
			continue
		case same && strings.Join(have, " ") != strings.Join(f, " "):
			l = line
		}
		done = done || same
		b.WriteString(l)
	}
	if !done {
		if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(line)
	}
	return b.String()
}

// files puts files in.
func (w *worker) files(list []File) error {
	for _, f := range list {
		if f.Who != "" {
			uid, gid, err := w.who(f.Who)
			if err != nil {
				return err
			}
			f.Owner.UID, f.Owner.GID = uid, gid
		}
		w.edit.Write(f.Path, f.Data, f.Owner)
		w.out.Changed = append(w.out.Changed, path.Clean("/"+f.Path))
	}
	return nil
}

// who finds USER, USER:GROUP or numbers. A user without a group brings his own.
func (w *worker) who(text string) (uid, gid uint32, err error) {
	user, group, hasGroup := strings.Cut(text, ":")
	if n, perr := strconv.ParseUint(user, 10, 32); perr == nil {
		uid, gid = uint32(n), uint32(n)
	} else {
		a, err := w.find(user)
		if err != nil {
			return 0, 0, err
		}
		uid, gid = a.uid, a.gid
	}
	if !hasGroup || group == "" {
		return uid, gid, nil
	}
	if n, perr := strconv.ParseUint(group, 10, 32); perr == nil {
		return uid, uint32(n), nil
	}
	b, err := w.tree.ReadFile("/etc/group", 1<<20)
	if err != nil {
		return 0, 0, refuse("the guest's /etc/group cannot be read: %v", err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) >= 3 && f[0] == group {
			n, err := strconv.ParseUint(f[2], 10, 32)
			return uid, uint32(n), err
		}
	}
	return 0, 0, refuse("the guest has no group %q", group)
}
