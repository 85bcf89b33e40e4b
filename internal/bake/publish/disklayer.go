package publish

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// kubevirt is the user and group that KubeVirt's guests run as, who must be able to read a disk.
const kubevirt = 107

// diskLayer is an archive with the one file /disk/NAME. It is not packed, for the clusters of the
// disk are, and is put together as it is read: nothing is written here.
func diskLayer(path string) (blob, error) {
	st, err := os.Stat(path)
	if err != nil {
		return blob{}, err
	}
	var head bytes.Buffer
	w := tar.NewWriter(&head)
	name := filepath.Base(path)
	for _, h := range []*tar.Header{
		{Name: "disk/", Typeflag: tar.TypeDir, Mode: 0o555, Uid: kubevirt, Gid: kubevirt},
		{Name: "disk/" + name, Typeflag: tar.TypeReg, Mode: 0o444, Uid: kubevirt, Gid: kubevirt, Size: st.Size()},
	} {
		if err := w.WriteHeader(h); err != nil {
			return blob{}, err
		}
	}
	const block = 512
	tail := make([]byte, (block-st.Size()%block)%block+2*block) // the end of an archive is two empty blocks
	b := blob{open: func() (io.ReadCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		all := io.MultiReader(bytes.NewReader(head.Bytes()), io.LimitReader(f, st.Size()), bytes.NewReader(tail))
		return struct {
			io.Reader
			io.Closer
		}{all, f}, nil
	}}
	r, err := b.open()
	if err != nil {
		return b, err
	}
	defer r.Close()
	sum := digest.Canonical.Digester()
	n, err := io.Copy(sum.Hash(), r)
	b.Descriptor = ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageLayer, Digest: sum.Digest(), Size: n,
		Annotations: map[string]string{ocispec.AnnotationTitle: name + ".tar"},
	}
	return b, err
}
