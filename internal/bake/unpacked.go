package bake

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/bake/sbom"
)

// unpacked adds the packages whose files a layer took without installing them, as ember
// is made: the image has no database that tells of them. They lie in the cache, unless
// the layer is older than it: they are fetched again then.
func (k *kitchen) unpacked(ctx context.Context, list *sbom.List) error {
	for _, file := range strings.Fields(k.note("packages")) {
		name, _, _ := strings.Cut(file, "_")
		d := deb{name: name, path: filepath.Join(k.CacheDir, "packages", file+".deb")}
		if _, err := os.Stat(d.path); err != nil {
			debs, err := k.fetch(ctx, name)
			if err != nil {
				return err
			}
			d = debs[name]
		}
		control, err := command(ctx, k.work, nil, "dpkg-deb", "--field", d.path)
		if err != nil {
			return err
		}
		licence := "usr/share/doc/" + name + "/copyright"
		files, err := unpack(ctx, d, func(n string) bool { return n == licence })
		if err != nil {
			return err
		}
		if p, ok := sbom.Deb(control, string(files[licence])); ok && !slices.ContainsFunc(list.Packages, func(o sbom.Package) bool { return o.Name == p.Name }) {
			list.Packages = append(list.Packages, p)
		}
	}
	return nil
}
