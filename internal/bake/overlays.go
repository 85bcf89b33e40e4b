package bake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hearth/internal/bake/layer"
	"hearth/internal/bake/recipe"
	"hearth/internal/disk/fill"
)

// overlayPart puts the recipe's own files over the system.
func (k *kitchen) overlayPart() part {
	return part{name: "overlay",
		input: func(context.Context) (any, error) {
			in := []any{k.recipe.Name, k.recipe.Hostname}
			for _, o := range k.recipe.Overlay {
				s, err := digest(k.recipe.Path(o.From))
				if err != nil {
					return nil, err
				}
				o.From = "" // where it lies does not matter
				in = append(in, s, o)
			}
			return in, nil
		},
		make: func(_ context.Context, l layer.Layer) (*layer.Layer, error) {
			done := k.steps.begin("put the overlay over it", 0)
			made, err := k.change(l, func(r *rootfs) error {
				for _, o := range k.recipe.Overlay {
					if err := k.lay(r, o); err != nil {
						return fmt.Errorf("%s: %w", o.From, err)
					}
				}
				return nil
			})
			return made, done.end(err)
		}}
}

// digest hashes a file, or a folder with the names, modes, links and bytes in it.
func digest(name string) (string, error) {
	st, err := os.Stat(name)
	if err == nil {
		name, err = filepath.EvalSymlinks(name) // a walk does not go through a link that it begins at
	}
	if err != nil {
		return "", err
	}
	if !st.IsDir() {
		s, _, err := layer.Sum(name)
		return s, err
	}
	h := sha256.New()
	err = filepath.WalkDir(name, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(name, p)
		content := ""
		switch {
		case d.Type() == fs.ModeSymlink:
			content, err = os.Readlink(p)
		case d.Type().IsRegular():
			content, _, err = layer.Sum(p)
		}
		fmt.Fprintf(h, "%q %o %q\n", rel, info.Mode(), content)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)), err
}

// lay puts one overlay over the system.
func (k *kitchen) lay(r *rootfs, o recipe.Overlay) error {
	from := k.recipe.Path(o.From)
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	if st.IsDir() {
		err = k.layFolder(r, o, from)
	} else {
		err = r.overTar(from, orElse(o.To, "/"))
	}
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(o.Modes)) {
		mode, merr := strconv.ParseUint(o.Modes[name], 8, 12)
		err = errors.Join(err, merr, r.setOwner(path.Clean(name), -1, -1, int(mode)))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Owners)) {
		uid, gid, oerr := recipe.ParseOwner(o.Owners[name])
		err = errors.Join(err, oerr, r.setOwner(path.Clean(name), uid, gid, -1))
	}
	return err
}

func (k *kitchen) layFolder(r *rootfs, o recipe.Overlay, from string) error {
	filler := fill.New()
	return r.putFolder(from, entry{path: path.Join("/", o.To), uid: o.UID, gid: o.GID}, func(rel string, e *entry) error {
		plain, ok := strings.CutSuffix(e.path, ".tmpl")
		if !ok || !o.Templates {
			return nil
		}
		text, err := os.ReadFile(e.from)
		if err != nil {
			return err
		}
		e.path, e.from = plain, ""
		e.data, err = k.fill(filler, rel, text, o.Values)
		return err
	})
}

// fill carries a template out. It knows the values, and name and hostname of the
// recipe; a value that is not there is an error.
func (k *kitchen) fill(f *fill.Filler, name string, text []byte, values map[string]string) ([]byte, error) {
	all := map[string]string{"name": k.recipe.Name, "hostname": orElse(k.recipe.Hostname, k.recipe.Name)}
	maps.Copy(all, values)
	return f.Fill(name, text, all)
}
