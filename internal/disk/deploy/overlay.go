package deploy

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"hearth/internal/disk/fill"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

const (
	maxOverlay = 256 << 20 // bytes of one file
	// templated is the end of the names of files of an overlay that are templates of
	// text/template: what they say for this instance is written without it.
	templated = ".hearth-template"
)

// instance is what templates of an overlay can ask for.
type instance struct {
	Name, Hostname, Domain string // web1.example.org, web1, example.org
	Definition             string
	Version                int
	Settings               map[string]string // all of the definition, those for hooks alone too
	NICs                   []card
	Variables              map[string]string // Ganeti's
}

type card struct {
	MAC       string
	Addresses []string
}

// overlaySource is the files of an overlay: a folder, or an archive.
func overlaySource(name string) (tree.Source, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, refuse("the overlay %s is not there: %v", name, err)
	}
	if st.IsDir() {
		return Folder(name), nil
	}
	return tarball.File(name), nil
}

// findOverlay finds the overlay that the definition names, and fills its templates,
// before anything is written.
func (b *build) findOverlay(ctx context.Context) (err error) {
	name := b.spec.Settings["OVERLAY"]
	if name == "" || !b.spec.On("overlays") {
		return nil
	}
	path := b.spec.Overlay
	if b.opt.Overlay != nil && !strings.HasPrefix(name, "/") {
		kept, err := b.opt.Overlay(name)
		if err != nil {
			return refuse("%v", err)
		}
		if kept != "" {
			path = kept
		}
	}
	if b.overlay, err = overlaySource(path); err != nil {
		return err
	}
	_, folder := b.overlay.(Folder)
	b.packed, b.filled = !folder, map[string][]byte{}
	who, filler := b.instance(), fill.New()
	return b.overlay.Walk(ctx, tree.Bounded(overlayLimits, func(e *tree.Entry, content io.Reader) error {
		if !strings.HasSuffix(e.Path, templated) || e.Type() != tree.TypeFile || e.Same != "" {
			return nil
		}
		text, err := filled(filler, e.Path, content, who)
		b.filled[e.Path] = text
		return err
	}))
}

var overlayLimits = tree.Limits{Files: 100000, Bytes: 4 << 30}

// filled gives what a template says.
func filled(f *fill.Filler, name string, content io.Reader, who *instance) ([]byte, error) {
	text := []byte{}
	if content != nil {
		var err error
		if text, err = io.ReadAll(io.LimitReader(content, fill.MaxText+1)); err != nil {
			return nil, err
		}
	}
	out, err := f.Fill(path.Base(name), text, who)
	if err != nil {
		return nil, refuse("the template %s of the overlay cannot be filled: %v", name, err)
	}
	return out, nil
}

func (b *build) instance() *instance {
	i := &instance{Name: b.opt.Name, Definition: b.spec.Name, Version: b.spec.Version, Settings: map[string]string{}, Variables: map[string]string{}}
	i.Hostname, i.Domain, _ = strings.Cut(b.opt.Name, ".")
	for _, s := range b.spec.List(true) {
		i.Settings[s.Name] = s.Value
	}
	for _, e := range b.opt.Environ {
		name, value, _ := strings.Cut(e, "=")
		i.Variables[name] = value
	}
	if b.network != nil {
		for _, nic := range b.network.NICs {
			c := card{MAC: nic.MAC}
			for _, a := range nic.Addresses {
				c.Addresses = append(c.Addresses, a.String())
			}
			i.NICs = append(i.NICs, c)
		}
	}
	return i
}

// putOverlay puts its files over the guest's.
func (b *build) putOverlay(ctx context.Context, edit *guestfs.Edit) error {
	if b.overlay == nil {
		return nil
	}
	linked := map[string][]byte{}
	return b.overlay.Walk(ctx, tree.Bounded(overlayLimits, func(e *tree.Entry, content io.Reader) error {
		owner := guestfs.Owner{UID: uint32(e.UID), GID: uint32(e.GID), Mode: e.Mode & 0o7777}
		switch {
		case e.Path == "/":
			return nil
		case b.packed && strings.HasPrefix(path.Base(e.Path), whiteout):
			return b.whiteOut(edit, e.Path)
		case b.filled[e.Path] != nil:
			edit.Write(strings.TrimSuffix(e.Path, templated), b.filled[e.Path], owner)
		case e.Same != "":
			edit.Write(e.Path, linked[e.Same], owner)
		case e.Type() == tree.TypeDir:
			edit.Mkdir(e.Path, owner)
		case e.Type() == tree.TypeLink:
			edit.Symlink(e.Path, e.Link)
		case e.Type() == tree.TypeFile:
			data, err := b.overlayFile(e, content)
			if err != nil {
				return err
			}
			if linked[e.Path] = data; e.Size > 1<<20 {
				delete(linked, e.Path)
			}
			edit.Write(e.Path, data, owner)
		default:
			b.warn("%s of the overlay is neither file, folder nor link: left out", e.Path)
		}
		return nil
	}))
}

// whiteout begins the names by which a layer of a container's image says that a file
// of those below is gone. Source: OCI image specification, "Image Layer Filesystem
// Changeset".
const whiteout = ".wh."

func (b *build) whiteOut(edit *guestfs.Edit, name string) error {
	gone := strings.TrimPrefix(path.Base(name), whiteout)
	if strings.HasPrefix(gone, whiteout) || gone == "" {
		return refuse("%s of the overlay would empty a whole folder of the guest's: that is not done, name what is to go", name)
	}
	edit.Remove(path.Join(path.Dir(name), gone))
	return nil
}

func (b *build) overlayFile(e *tree.Entry, content io.Reader) ([]byte, error) {
	if e.Size > maxOverlay {
		return nil, refuse("%s of the overlay has more than %d MB", e.Path, maxOverlay/mib)
	}
	if content == nil {
		return []byte{}, nil
	}
	return io.ReadAll(content)
}

// Folder is a tree in a folder of the host. Root keeps the owners; to root belongs
// what a user without rights gives, who could not say otherwise.
type Folder string

// Walk implements [tree.Source].
func (f Folder) Walk(ctx context.Context, visit tree.Visit) error {
	root, err := os.OpenRoot(string(f))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entryOf(path.Join("/", name), info)
		switch e.Type() {
		case tree.TypeLink:
			if e.Link, err = root.Readlink(name); err != nil {
				return err
			}
		case tree.TypeFile:
			file, err := root.Open(name)
			if err != nil {
				return err
			}
			defer file.Close()
			return visit(e, file)
		}
		return visit(e, nil)
	})
}
