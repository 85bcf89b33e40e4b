package bake

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"syscall"
	"time"

	"hearth/internal/bake/layer"
	tarfile "hearth/internal/disk/tarball"
	filetree "hearth/internal/disk/tree"
	"hearth/internal/disk/workdir"
)

// materialise unpacks the layers into a folder, or those that are not in it yet.
func (k *kitchen) materialise() (*rootfs, error) {
	if k.tree == nil {
		s, err := newTree().stage(workdir.Tree(k.work))
		if err != nil {
			return nil, err
		}
		s.kept = true
		if k.tree, err = openRootfs(s); err != nil {
			return nil, err
		}
	}
	k.tree.touched, k.tree.folders = nil, nil
	for ; k.applied < len(k.chain); k.applied++ {
		done := k.steps.begin("unpack layer "+k.chain[k.applied].Name, 0)
		if err := done.end(k.tree.apply(k.chain[k.applied])); err != nil {
			return nil, err
		}
	}
	return k.tree, nil
}

// apply puts a layer over the system.
func (r *rootfs) apply(l *layer.Layer) error {
	for _, name := range l.Removed {
		if err := r.remove("/" + name); err != nil {
			return err
		}
	}
	return l.Each(func(h *tar.Header, in io.Reader) error { return r.over(h, in) })
}

// remove takes a file or a folder away.
func (r *rootfs) remove(name string) error {
	r.touch(name)
	r.owners = slices.DeleteFunc(r.owners, func(o filetree.Entry) bool {
		return o.Path == name || len(o.Path) > len(name) && o.Path[:len(name)+1] == name+"/"
	})
	return r.root.RemoveAll(name[1:])
}

// change has do change the system, and makes a layer of what it touches.
func (k *kitchen) change(l layer.Layer, do func(*rootfs) error) (*layer.Layer, error) {
	r, err := k.materialise()
	if err != nil {
		return nil, err
	}
	r.touched = map[string]bool{}
	if err := do(r); err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(r.touched))
	r.touched, r.folders = nil, nil
	var there []string
	for _, n := range names {
		if r.has(n) {
			there = append(there, n)
		} else {
			l.Removed = append(l.Removed, r.real(n)[1:])
		}
	}
	made, err := k.put(l, func(w *tar.Writer) error { return r.write(w, there) })
	if err == nil {
		k.applied++ // it is in the folder already
	}
	return made, err
}

// write writes the named files, folders and links with their owners.
func (r *rootfs) write(w *tar.Writer, names []string) error {
	owners := map[string]filetree.Entry{}
	for _, o := range r.owners {
		owners[r.real(o.Path)] = o
	}
	links, err := r.links(names, owners)
	if err != nil {
		return err
	}
	for _, name := range names {
		name = r.real(name)
		if links[name] != "" {
			continue
		}
		st, err := r.root.Lstat(name[1:])
		if err != nil {
			return err
		}
		h := &tar.Header{Name: name[1:], ModTime: time.Unix(0, 0)}
		if o, ok := owners[name]; ok {
			h.Uid, h.Gid, h.Mode = o.UID, o.GID, int64(o.Mode&0o7777)
			if h.PAXRecords, err = tarfile.Records(o.Xattrs); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		} else {
			h.Mode = int64(entry{mode: st.Mode()}.unixMode() & 0o7777)
		}
		if err := r.writeOne(w, h, st); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeLink, Name: name[1:], Linkname: links[name][1:], ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
	}
	return nil
}

// links gives those of the names that are hard links of another of them: the one whose owner
// and mode are known, else the first.
func (r *rootfs) links(names []string, owners map[string]filetree.Entry) (map[string]string, error) {
	var many []os.FileInfo
	groups := map[int][]string{}
	for _, name := range names {
		name = r.real(name)
		st, err := r.root.Lstat(name[1:])
		if err != nil {
			return nil, err
		}
		if of, ok := st.Sys().(*syscall.Stat_t); !ok || !st.Mode().IsRegular() || of.Nlink < 2 {
			continue
		}
		i := slices.IndexFunc(many, func(other os.FileInfo) bool { return os.SameFile(st, other) })
		if i < 0 {
			i, many = len(many), append(many, st)
		}
		groups[i] = append(groups[i], name)
	}
	links := map[string]string{}
	for _, group := range groups {
		file := group[0]
		if i := slices.IndexFunc(group, func(n string) bool { _, ok := owners[n]; return ok }); i > 0 {
			file = group[i]
		}
		for _, name := range group {
			if name != file {
				links[name] = file
			}
		}
	}
	return links, nil
}

// real is a name whose folders are no links: where /lib leads to /usr/lib, a layer
// has one name for a module and not two.
func (r *rootfs) real(name string) string {
	dir := path.Dir(name)
	if dir == "/" {
		return name
	}
	if r.folders == nil {
		r.folders = map[string]string{}
	}
	found, ok := r.folders[dir]
	if !ok {
		found = r.real(dir)
		for range 10 {
			target, err := r.root.Readlink(found[1:])
			if err != nil {
				break
			}
			if !path.IsAbs(target) {
				target = path.Join(path.Dir(found), target)
			}
			if found = path.Clean(target); found == "/" {
				return "/" + path.Base(name)
			}
			found = r.real(found)
		}
		r.folders[dir] = found
	}
	return path.Join(found, path.Base(name))
}

func (r *rootfs) writeOne(w *tar.Writer, h *tar.Header, st fs.FileInfo) (err error) {
	switch {
	case st.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return w.WriteHeader(h)
	case st.Mode()&fs.ModeSymlink != 0:
		h.Typeflag, h.Mode = tar.TypeSymlink, 0o777
		if h.Linkname, err = r.root.Readlink(h.Name); err != nil {
			return err
		}
		return w.WriteHeader(h)
	case !st.Mode().IsRegular():
		return errors.New("it is neither file, folder nor link")
	}
	h.Typeflag, h.Size = tar.TypeReg, st.Size()
	f, err := r.root.Open(h.Name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// writeAll writes the whole system.
func (r *rootfs) writeAll(w *tar.Writer) error {
	var names []string
	err := fs.WalkDir(r.root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if name != "." {
			names = append(names, "/"+name)
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.write(w, names)
}

// follow reads a file through links that are absolute in the guest too.
func (r *rootfs) follow(name string) ([]byte, error) {
	for range 10 {
		if name == "" {
			return nil, errors.New("no layer has made one")
		}
		target, err := r.root.Readlink(name[1:])
		if err != nil {
			return r.root.ReadFile(name[1:])
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(name), target)
		}
		name = path.Clean(target)
	}
	return nil, fmt.Errorf("%s: links in a circle", name)
}
