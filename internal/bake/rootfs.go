package bake

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"hearth/internal/bake/guest"
	filetree "hearth/internal/disk/tree"
)

// rootfs is a system that somebody else put together, unpacked into a folder.
// It is reached through os.Root only: no link in it leads out of the folder.
type rootfs struct {
	*staged
	root    *os.Root
	folders map[string]string // what real has found; nil when folders may have changed
}

func openRootfs(s *staged) (*rootfs, error) {
	root, err := os.OpenRoot(s.dir)
	return &rootfs{staged: s, root: root}, err
}

// has tells whether there is a file, folder or link of this absolute name.
func (r *rootfs) has(name string) bool {
	_, err := r.root.Lstat(name[1:])
	return err == nil
}

// first gives the first of the names that is there, or "".
func (r *rootfs) first(names ...string) string {
	for _, n := range names {
		if r.has(n) {
			return n
		}
	}
	return ""
}

// read gives a file's text; one that is not there has none.
func (r *rootfs) read(name string) (string, error) {
	b, err := r.root.ReadFile(name[1:])
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(b), err
}

// put makes a file, link or folder, in place of a file or link of that name. A
// folder that is there stays as it is.
func (r *rootfs) put(e entry) error {
	if e.mode.IsDir() && r.isDir(e.path) {
		return nil
	}
	if err := r.place(e); err != nil {
		return fmt.Errorf("put %s into the system: %w", e.path, err)
	}
	r.touch(e.path)
	if e.same == "" {
		r.owners = append(r.owners, filetree.Entry{Path: e.path, UID: e.uid, GID: e.gid, Mode: e.unixMode()})
	}
	size := int64(len(e.data))
	if e.from != "" {
		size = fileLength(e.from)
	}
	r.files++
	r.bytes += (size + blockSize - 1) / blockSize * blockSize
	return nil
}

// isDir tells whether there is a folder of this name, or a link to one.
func (r *rootfs) isDir(name string) bool {
	st, err := r.root.Stat(name[1:])
	return err == nil && st.IsDir()
}

func (r *rootfs) place(e entry) error {
	name := e.path[1:]
	if err := r.parents(path.Dir(e.path)); err != nil {
		return err
	}
	if e.mode.IsDir() {
		return r.root.Mkdir(name, 0o755)
	}
	if err := r.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch {
	case e.same != "":
		return r.root.Link(e.same[1:], name)
	case e.link != "":
		return r.root.Symlink(e.link, name)
	case e.from != "":
		return r.copyIn(name, e.from)
	}
	return r.root.WriteFile(name, e.data, 0o600)
}

// putFolder puts what is in a folder of the host below a place, for its owner. edit, unless
// nil, may change a regular file before, of which it gets the name in the folder.
func (r *rootfs) putFolder(from string, below entry, edit func(rel string, e *entry) error) error {
	from, err := filepath.EvalSymlinks(from) // a walk does not go through a link that it begins at
	if err != nil {
		return err
	}
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		rel, rerr := filepath.Rel(from, name)
		if err = errors.Join(err, rerr); err != nil || rel == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{path: path.Join(below.path, filepath.ToSlash(rel)), mode: info.Mode(), uid: below.uid, gid: below.gid}
		switch {
		case d.Type() == fs.ModeSymlink:
			e.link, err = os.Readlink(name)
		case d.Type().IsRegular():
			if e.from = name; edit != nil {
				err = edit(rel, &e)
			}
		case !d.IsDir():
			err = fmt.Errorf("%s is neither file, folder nor link", name)
		}
		if err != nil {
			return err
		}
		return r.put(e)
	})
}

// copyIn copies a file of the host.
func (r *rootfs) copyIn(name, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := r.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// parents makes the folders on the way, which belong to root.
func (r *rootfs) parents(dir string) error {
	if dir == "/" {
		return nil
	}
	if _, err := r.root.Stat(dir[1:]); err == nil {
		return nil
	}
	if err := r.parents(path.Dir(dir)); err != nil {
		return err
	}
	r.touch(dir)
	r.owners = append(r.owners, filetree.Entry{Path: dir, Mode: entry{mode: fs.ModeDir | 0o755}.unixMode()})
	return r.root.Mkdir(dir[1:], 0o755)
}

func (r *rootfs) text(name, text string) error {
	return r.put(entry{path: name, mode: 0o644, data: []byte(text)})
}

func (r *rootfs) symlink(name, target string) error {
	return r.put(entry{path: name, mode: fs.ModeSymlink | 0o777, link: target})
}

// edit changes a text file, which keeps its owner and mode; one that is not
// there begins empty, with the given mode.
func (r *rootfs) edit(name string, mode fs.FileMode, change func(string) string) error {
	if !r.has(name) {
		return r.put(entry{path: name, mode: mode, data: []byte(change(""))})
	}
	old, err := r.read(name)
	if err != nil {
		return err
	}
	r.touch(name)
	return r.root.WriteFile(name[1:], []byte(change(old)), 0o600)
}

// initSystem finds what starts the services of this system.
func (r *rootfs) initSystem() (string, error) {
	for _, kind := range []struct {
		name  string
		signs []string
	}{
		{guest.OpenRC, []string{"/sbin/openrc-run", "/usr/sbin/openrc-run", "/usr/bin/openrc-run"}},
		{guest.Systemd, []string{"/lib/systemd/systemd", "/usr/lib/systemd/systemd"}},
		{guest.Runit, []string{"/etc/runit/2"}},
		{guest.SysV, []string{"/etc/init.d/rc", "/etc/rc2.d"}},
	} {
		if r.first(kind.signs...) != "" {
			return kind.name, nil
		}
	}
	return "", errors.New("the system has none of systemd, OpenRC, runit and SysV init, so nothing would start the guest agent")
}

// line adds a line to a text, unless it is there.
func line(text, add string) string {
	if strings.Contains("\n"+text, "\n"+add+"\n") {
		return text
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + add + "\n"
}
