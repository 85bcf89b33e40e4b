package bake

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"hearth/internal/bake/layer"
)

// Images that an earlier bake cut from the same layers are taken as they are: to put a file
// system and a disk together and to pack it takes longer than all else of a bake whose layers
// are there. They lie in the store of the layers, as one above the topmost. Outputs that
// nearly are the layers again, or as long as the disk, are not kept.

// keeps tells whether the images of this recipe are kept.
func (k *kitchen) keeps() bool {
	for _, output := range []string{"raw", "ami", "tar"} {
		if k.recipe.Wants(output) {
			return false
		}
	}
	return k.recipe.Base.Installer == ""
}

// imagesKey is of all that the images are made of: the layers, the recipe, and the program that
// makes them.
func (k *kitchen) imagesKey() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	sum, _, err := layer.Sum(self)
	if err != nil {
		return "", err
	}
	r := *k.recipe
	r.Dir, r.File = "", ""
	return layer.Key(k.top(), "images", []any{sum, r})
}

// earlier gives the images that an earlier bake made; nil if there are none, or none are wanted.
func (k *kitchen) earlier(key string) (*RunResult, error) {
	start := k.steps.now()
	l, err := k.store.Get(key)
	if l == nil || err != nil || k.opt.Refresh {
		return nil, err
	}
	res := &RunResult{}
	if err := json.Unmarshal([]byte(l.Notes["result"]), res); err != nil {
		return nil, nil // of another form
	}
	k.packages = res.Packages
	if err := k.holdLock(); err != nil {
		return nil, err
	}
	done := k.steps.begin("take the images of an earlier bake", l.Size)
	err = l.Each(func(h *tar.Header, r io.Reader) error {
		if h.Name != filepath.Base(h.Name) || !filepath.IsLocal(h.Name) {
			return fmt.Errorf("it is no image's name")
		}
		return k.takeFile(h.Name, r)
	})
	if done.end(err) != nil {
		return nil, err
	}
	for _, name := range res.files() {
		if *name != "" {
			*name = filepath.Join(k.OutDir, *name)
		}
	}
	k.report(l, Cached, start)
	res.Layers = k.reports
	return res, nil
}

func (k *kitchen) takeFile(name string, r io.Reader) error {
	temp := filepath.Join(k.work, "taken")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if failed := f.Close(); err == nil {
		err = failed
	}
	if err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(k.OutDir, name))
}

// keepImages has the next bake find the images.
func (k *kitchen) keepImages(ctx context.Context, key string, res *RunResult) error {
	start := k.steps.now()
	noted := *res
	noted.Layers, noted.Lock = nil, ""
	var names []string
	for _, name := range noted.files() {
		if *name != "" {
			names = append(names, *name)
			*name = filepath.Base(*name)
		}
	}
	b, err := json.Marshal(&noted)
	if err != nil {
		return err
	}
	l, err := k.put(layer.Layer{Name: "images", Key: key, Notes: map[string]string{"result": string(b)}}, func(w *tar.Writer) error {
		for _, name := range names {
			if err := addImage(ctx, w, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	k.report(l, Built, start)
	res.Layers = k.reports
	return nil
}

func addImage(ctx context.Context, w *tar.Writer, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: filepath.Base(name), Mode: 0o644, Size: st.Size(), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// report tells of a layer, or of the images.
func (k *kitchen) report(l *layer.Layer, status string, start time.Time) {
	rep := LayerReport{Name: l.Name, Key: l.Key, Status: status, Size: l.Size, Took: k.steps.now().Sub(start)}
	k.reports = append(k.reports, rep)
	if k.opt.Layer != nil {
		k.opt.Layer(rep)
	}
}

// files are the names of all files of a result, but for the lock's.
func (r *RunResult) files() []*string {
	return []*string{&r.Disk, &r.RawDisk, &r.Kernel, &r.Ramdisk, &r.Root, &r.Manifest, &r.Archive, &r.SBOM, &r.Sources, &r.Licence}
}
