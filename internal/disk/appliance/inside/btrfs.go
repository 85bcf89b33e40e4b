package inside

import (
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// subvolumes makes the mount at a place the tree that the guest sees: its root may be
// a subvolume that only its boot loader and fstab name (Fedora's), and fstab mounts
// others over folders of it (SUSE's). Snapshots that fstab mounts are left out.
func (m *machine) subvolumes(d Disk, at string, flags uintptr) error {
	root, lines := "", fstab(at, d)
	if lines == nil {
		list, err := os.ReadDir(at)
		if err != nil {
			return err
		}
		for _, e := range list {
			for _, l := range fstab(at+"/"+e.Name(), d) {
				if l.dir == "/" && strings.Trim(l.subvolume, "/") == e.Name() {
					root, lines = l.subvolume, fstab(at+"/"+e.Name(), d)
				}
			}
		}
	}
	if root != "" {
		if err := m.mountAt(d, at, flags, "subvol="+root); err != nil {
			return err
		}
	}
	for _, l := range lines {
		if l.dir == "/" || l.subvolume == "" {
			continue
		}
		if path.Base(l.dir) == ".snapshots" {
			m.note("the snapshots in %s are left out", l.dir)
			continue
		}
		if st, err := os.Lstat(at + l.dir); err != nil || !st.IsDir() {
			continue
		}
		if err := m.mountAt(d, at+l.dir, flags, "subvol="+l.subvolume); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

type fstabLine struct{ dir, subvolume string }

// fstab reads the lines of the file system d in a tree; nil without the file.
func fstab(root string, d Disk) []fstabLine {
	b, err := os.ReadFile(root + "/etc/fstab")
	if err != nil {
		return nil
	}
	lines := []fstabLine{}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 4 || strings.HasPrefix(f[0], "#") || f[2] != "btrfs" || !strings.HasPrefix(f[1], "/") || path.Clean(f[1]) != f[1] {
			continue
		}
		if id, ok := strings.CutPrefix(f[0], "UUID="); ok && !strings.EqualFold(strings.Trim(id, `"`), d.UUID) {
			continue
		}
		l := fstabLine{dir: f[1]}
		for opt := range strings.SplitSeq(f[3], ",") {
			if s, ok := strings.CutPrefix(opt, "subvol="); ok {
				l.subvolume = s
			}
		}
		lines = append(lines, l)
	}
	return lines
}
