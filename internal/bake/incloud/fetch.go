package incloud

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hearth/internal/disk"
)

// fetch gets the images, and the lock file to beside the recipe. The builder has run what the
// recipe says as root, so that what it sends is taken as a stranger's: plain files of the job's
// name in one folder, and nothing else.
func (b *Builder) fetch(ctx context.Context, j Job) error {
	if err := os.MkdirAll(j.OutDir, 0o755); err != nil {
		return err
	}
	if err := b.fetchFrom(ctx, "run/out", "*", func(name string) string {
		if strings.HasPrefix(name, j.Name+".") {
			return filepath.Join(j.OutDir, name)
		}
		return ""
	}); err != nil {
		return err
	}
	return b.fetchFrom(ctx, "run/recipe", "*.lock", func(name string) string {
		if strings.HasSuffix(name, ".lock") {
			return filepath.Join(j.Dir, name)
		}
		return ""
	})
}

// fetchFrom gets those files of a folder for which there is a place.
func (b *Builder) fetchFrom(ctx context.Context, dir, pattern string, place func(name string) string) error {
	r, w := io.Pipe()
	went := make(chan error, 1)
	go func() {
		err := b.do(ctx, streams{out: w}, `cd "$1/$2"; find . -maxdepth 1 -type f -name "$3" -printf '%f\0' | tar -c --null -T - -f -`, b.dir(), dir, pattern)
		w.CloseWithError(err)
		went <- err
	}()
	err := unpack(ctx, r, place)
	r.CloseWithError(err)
	return errors.Join(err, <-went)
}

func unpack(ctx context.Context, r io.Reader, place func(name string) string) error {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(h.Name, "./")
		if h.Typeflag != tar.TypeReg || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			return fmt.Errorf("the builder sent %q, which is no file of a bake", h.Name)
		}
		to := place(name)
		if to == "" {
			continue
		}
		if err := keep(ctx, to, archive); err != nil {
			return err
		}
	}
}

// keep writes a file in place of one of that name.
func keep(ctx context.Context, to string, r io.Reader) error {
	if err := os.RemoveAll(to + ".new"); err != nil {
		return err
	}
	if err := disk.CopySparse(ctx, to+".new", r); err != nil {
		return err
	}
	return errors.Join(os.Chmod(to+".new", 0o644), os.Rename(to+".new", to))
}
