package glance

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"path"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"hearth/internal/cloud"
)

// diskIn opens the disk that a layer holds or is; nil if it holds none.
func (p *puller) diskIn(layer ocispec.Descriptor) (io.ReadCloser, int64, error) {
	b, err := p.blob(layer)
	if err != nil {
		return nil, 0, err
	}
	r, packed, done, err := unpacked(b)
	if err != nil {
		_ = b.Close()
		return nil, 0, err
	}
	disk := &layerDisk{blob: b, done: done}
	if !isTar(r) {
		length := layer.Size
		if disk.Reader = r; packed {
			length = -1
		}
		return disk, length, nil
	}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil, 0, errors.Join(b.rest(), disk.Close())
		}
		if err != nil {
			_ = disk.Close()
			return nil, 0, cloud.E("glance.oci", cloud.Invalid, "A layer of the image cannot be read: %w", err)
		}
		if name := path.Clean("/" + h.Name); h.Typeflag == tar.TypeReg && path.Dir(name) == "/disk" && h.Size > 0 && !strings.HasPrefix(path.Base(name), ".") {
			disk.Reader = t
			return disk, h.Size, nil
		}
	}
}

// isTar tells whether what comes is a tar archive, by the magic of its first header.
func isTar(r *bufio.Reader) bool {
	head, _ := r.Peek(512)
	return len(head) == 512 && string(head[257:262]) == "ustar"
}

// layerDisk is a disk within a layer. At its end the rest of the layer is read, so that
// its digest is checked before anybody takes the disk for whole.
type layerDisk struct {
	io.Reader
	blob *blob
	done func()
}

// Read reads on.
func (l *layerDisk) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		if bad := l.blob.rest(); bad != nil {
			return n, bad
		}
	}
	return n, err
}

// Close ends the download.
func (l *layerDisk) Close() error {
	err := l.blob.Close()
	l.done()
	return err
}

// treeMost is how many names of files a tree of layers may have.
const treeMost = 2_000_000

// The beginnings of names by which a layer takes away what is below it.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// tree gives the files of all layers as one tar archive.
func (p *puller) tree(layers []ocispec.Descriptor) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		f := &flattened{out: tar.NewWriter(w), seen: map[string]bool{}, hidden: map[string]bool{}}
		err := f.all(p, layers)
		if err == nil {
			err = f.out.Close()
		}
		_ = w.CloseWithError(err) // nil is the end
	}()
	return r
}

// flattened merges layers, the last first: what an upper one has, or takes away, is left
// out of those below.
type flattened struct {
	out    *tar.Writer
	seen   map[string]bool // true: no directory, so that nothing is below it either
	hidden map[string]bool // taken away with all below, by a layer above
	links  []*tar.Header   // hard links come last, for what they lead to may be in a layer below
}

func (f *flattened) all(p *puller, layers []ocispec.Descriptor) error {
	for i := len(layers) - 1; i >= 0; i-- {
		b, err := p.blob(layers[i])
		if err != nil {
			return err
		}
		err = f.layer(b)
		if err = errors.Join(err, b.Close()); err != nil {
			return err
		}
	}
	for _, h := range f.links {
		if err := f.out.WriteHeader(h); err != nil {
			return err
		}
	}
	return nil
}

func (f *flattened) layer(b *blob) error {
	r, _, done, err := unpacked(b)
	if err != nil {
		return err
	}
	defer done()
	if !isTar(r) {
		return cloud.E("glance.oci", cloud.Invalid, "The image has layers that are neither disks nor files (%s).", b.desc.MediaType)
	}
	gone := map[string]bool{} // taken away by this layer, which holds for those below only
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return cloud.E("glance.oci", cloud.Invalid, "A layer of the image cannot be read: %w", err)
		}
		if err := f.entry(h, t, gone); err != nil {
			return err
		}
	}
	for name := range gone {
		f.hidden[name] = true
	}
	return b.rest()
}

func (f *flattened) entry(h *tar.Header, body io.Reader, gone map[string]bool) error {
	name := path.Clean("/" + h.Name)
	dir, base := path.Split(name)
	switch rest, is := strings.CutPrefix(base, whiteout); {
	case base == opaque:
		gone[path.Clean(dir)+"/"] = true
		return nil
	case is:
		gone[path.Join(dir, rest)] = true
		return nil
	}
	if _, there := f.seen[name]; there || f.below(name) {
		return nil
	}
	if len(f.seen) >= treeMost {
		return cloud.E("glance.oci", cloud.TooLarge, "The image has more than %d files.", treeMost)
	}
	f.seen[name] = h.Typeflag != tar.TypeDir
	if name == "/" {
		return nil
	}
	h.Name, h.Format = strings.TrimPrefix(name, "/"), tar.FormatUnknown
	switch h.Typeflag {
	case tar.TypeLink:
		h.Linkname = strings.TrimPrefix(path.Clean("/"+h.Linkname), "/")
		f.links = append(f.links, h)
		return nil
	case tar.TypeDir:
		h.Name += "/"
	}
	if err := f.out.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(f.out, body)
	return err
}

// below tells whether a layer above took the name away, or has something else in its way.
func (f *flattened) below(name string) bool {
	if f.hidden[name] {
		return true
	}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if f.hidden[dir] && dir != "/" || f.hidden[dir+"/"] || dir == "/" && f.hidden["//"] || f.seen[dir] {
			return true
		}
		if dir == "/" {
			return false
		}
	}
}
