package ganeti

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"hearth/internal/disk"
	"hearth/internal/disk/deploy"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

// MaxArchive is the largest archive of a definition, packed, in bytes; its files are
// bounded by their own.
const MaxArchive = 4 << 30

var (
	archiveLimits = tree.Limits{Files: 20000, Bytes: 16 << 30}
	linkLimit     = int64(16 << 20) // of a file outside that a link leads to
)

// Describe reads what the folder of a definition says of itself. Its archive's digest
// is not known yet.
func Describe(dir string) (*osdef.Foreign, error) {
	f, err := choices(dir)
	if err != nil {
		return nil, err
	}
	if f.API, err = words(filepath.Join(dir, "ganeti_api_version")); err != nil {
		return nil, fmt.Errorf("%s is no definition of Ganeti's: %w", dir, err)
	}
	if !slices.ContainsFunc(versions, func(v string) bool { return slices.Contains(f.API, v) }) {
		return nil, fmt.Errorf("the definition in %s speaks version %s of Ganeti's interface; here are %s", dir, strings.Join(f.API, ", "), strings.Join(versions, ", "))
	}
	for _, name := range Scripts() {
		switch st, err := os.Stat(filepath.Join(dir, name)); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case !st.Mode().IsRegular() || st.Mode()&0o111 == 0:
			return nil, fmt.Errorf("%s/%s cannot be run: make it executable", dir, name)
		default:
			f.Scripts = append(f.Scripts, name)
		}
	}
	if !slices.Contains(f.Scripts, "create") {
		return nil, fmt.Errorf("%s has no script create, by which servers are made", dir)
	}
	return f, nil
}

// choices are the variants and parameters that the definition in a folder has.
func choices(dir string) (f *osdef.Foreign, err error) {
	f = &osdef.Foreign{}
	if f.Variants, err = words(filepath.Join(dir, "variants.list")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list, err := words(filepath.Join(dir, "parameters.list"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, line := range list {
		name, text, _ := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		f.Parameters = append(f.Parameters, osdef.Parameter{Name: name, Text: strings.TrimSpace(text)})
	}
	return f, nil
}

// Pack writes the folder of a definition as an archive that [UnpackPushed] takes; the
// same folder gives the same bytes. A link that leads out of the folder, as Debian's
// variants.list does to /etc, becomes the file that it leads to, 16 MiB at most.
func Pack(ctx context.Context, w io.Writer, dir string) error {
	left, err := tarball.Write(ctx, w, tarball.Gzip, closed(dir))
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("the definition has sockets: %s", strings.Join(left, ", "))
	}
	return err
}

// closed is a folder from which no link leads.
type closed string

// Walk implements [tree.Source].
func (c closed) Walk(ctx context.Context, visit tree.Visit) error {
	return deploy.Folder(c).Walk(ctx, tree.Bounded(archiveLimits, func(e *tree.Entry, content io.Reader) error {
		own := *e
		own.UID, own.GID, own.Xattrs = 0, 0, nil // whoever keeps it, its digest says what it does
		switch {
		case e.Type() == tree.TypeLink && leadsOut(e):
			b, mode, err := c.follow(e.Path)
			if err != nil {
				return err
			}
			own.Link, own.Mode, own.Size = "", mode, int64(len(b))
			return visit(&own, bytes.NewReader(b))
		case unfit(e) != "":
			return fmt.Errorf("%s of the definition %s", e.Path, unfit(e))
		}
		return visit(&own, content)
	}))
}

// follow reads the file at the end of a link.
func (c closed) follow(name string) ([]byte, uint32, error) {
	f, err := os.Open(filepath.Join(string(c), name))
	if err != nil {
		return nil, 0, fmt.Errorf("%s of the definition leads out of its folder: %w", name, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() > linkLimit {
		return nil, 0, errors.Join(err, fmt.Errorf("%s of the definition leads out of its folder, and not to a file of up to %d MiB: put there what it needs", name, linkLimit>>20))
	}
	b, err := io.ReadAll(io.LimitReader(f, linkLimit))
	return b, tree.TypeFile | uint32(st.Mode().Perm()), err
}

// leadsOut tells whether a link may lead out of the folder: it is absolute, goes up
// further than the folder, or goes up after it went down, which may have been by
// another link.
func leadsOut(e *tree.Entry) bool {
	parts := strings.Split(e.Link, "/")
	up := 0
	for up < len(parts) && parts[up] == ".." {
		up++
	}
	return path.IsAbs(e.Link) || up > strings.Count(e.Path, "/")-1 || slices.Contains(parts[up:], "..")
}

// unfit says why an entry is none of a definition's; "" if it is.
func unfit(e *tree.Entry) string {
	switch {
	case e.Type() == tree.TypeLink && leadsOut(e):
		return fmt.Sprintf("is a link that leads out of the folder, to %.200q", e.Link)
	case e.Type() != tree.TypeDir && e.Type() != tree.TypeFile && e.Type() != tree.TypeLink:
		return "is neither file, folder nor link"
	}
	return ""
}

// UnpackPushed takes an archive of [Pack]'s into the new folder dir, whose files are
// then those of who runs this. Links that lead out of it, devices, pipes, names that
// leave it and more than 20000 files or 16 GiB are refused.
func UnpackPushed(ctx context.Context, in io.Reader, dir string) error {
	return unpackWithin(ctx, in, dir, archiveLimits)
}

func unpackWithin(ctx context.Context, in io.Reader, dir string, limits tree.Limits) error {
	staged, err := tree.Stage(ctx, inside{tarball.Reader(in)}, limits, dir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for name, e := range staged.Entries {
		if e.Type() != tree.TypeFile {
			continue
		}
		mode := os.FileMode(0o644)
		if e.Mode&0o111 != 0 {
			mode = 0o755
		}
		if err := root.Chmod(name[1:], mode); err != nil {
			return err
		}
	}
	return nil
}

// inside is a tree that is refused for what a definition has none of.
type inside struct{ tree.Source }

// Walk implements [tree.Source].
func (s inside) Walk(ctx context.Context, visit tree.Visit) error {
	return s.Source.Walk(ctx, func(e *tree.Entry, content io.Reader) error {
		if why := unfit(e); why != "" {
			return &disk.Error{Kind: disk.Refused, Op: "unpack definition", Reason: e.Path + " " + why}
		}
		return visit(e, content)
	})
}
