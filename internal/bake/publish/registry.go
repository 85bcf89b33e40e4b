package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/ssh"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"

	"hearth/internal/oci"
)

// Registry is where to in a registry of OCI, and how.
type Registry struct {
	Reference string              // HOST[:PORT]/NAME:TAG
	PlainHTTP bool                // without TLS, which loopback addresses always are
	Login     auth.CredentialFunc // nil: nobody logs in
	// Sending is told of each file that is sent, with its size in bytes, and gives the reader to
	// send it by; sent is called when the registry has it. nil tells nobody.
	Sending func(name string, size int64, r io.Reader) (from io.Reader, sent func())
	// Wait is how long the second try of what broke off waits, the third twice as long; 0 is half a second.
	Wait time.Duration
}

// parse reads the reference.
func (r Registry) parse() (registry.Reference, error) {
	text := r.Reference
	for _, scheme := range []string{"docker://", "oci://"} {
		text = strings.TrimPrefix(text, scheme)
	}
	ref, err := registry.ParseReference(text)
	if err != nil || ref.ValidateReferenceAsTag() != nil {
		return ref, fmt.Errorf("%q is no place in a registry: say HOST[:PORT]/NAME:TAG, such as registry.example.org/images/web:1", r.Reference)
	}
	return ref, nil
}

// loginAt is the login for one registry: no other gets it, wherever that one points.
func (r Registry) loginAt(host string) auth.CredentialFunc {
	return func(ctx context.Context, at string) (auth.Credential, error) {
		if r.Login == nil || at != host {
			return auth.EmptyCredential, nil
		}
		return r.Login(ctx, at)
	}
}

// ToRegistry puts the disk into a registry as an image whose one layer is the file /disk/NAME,
// as KubeVirt's containerdisks have it. What belongs to it refers to the image: the bill of
// materials, the other papers, and the sums of all of them and of the image's manifest, signed.
// What is there already is not sent again. The tag comes last: until then nobody finds the
// image. The result is the digest of the image's manifest.
func (s *Set) ToRegistry(ctx context.Context, to Registry, key ssh.Signer) (string, error) {
	ref, err := to.parse()
	if err != nil {
		return "", err
	}
	image, err := s.image()
	if err != nil {
		return "", err
	}
	papers, err := s.referrers(image, key)
	if err != nil {
		return "", err
	}
	repo, err := remote.NewRepository(ref.String())
	if err != nil {
		return "", err
	}
	repo.Client = &auth.Client{Client: retry.DefaultClient, Cache: auth.NewCache(), Credential: to.loginAt(ref.Host())}
	repo.PlainHTTP = to.PlainHTTP || oci.Loopback(ref.Registry)
	repo.SkipReferrersGC = true // many registries let nobody delete
	p := &pusher{Registry: to, repo: repo}
	if err := p.all(ctx, ref.Reference, image, papers); err != nil {
		return "", explain(ctx, ref.Registry, err)
	}
	return image.digest(), nil
}

// artifact is a manifest and what it names.
type artifact struct {
	ocispec.Manifest
	text  []byte // of the manifest
	blobs []blob
}

func (a *artifact) digest() string { return digest.FromBytes(a.text).String() }

func (a *artifact) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: a.MediaType, Digest: digest.FromBytes(a.text), Size: int64(len(a.text))}
}

// newArtifact writes the manifest; blobs[0] is its configuration, the others its layers.
func newArtifact(m ocispec.Manifest, blobs ...blob) (*artifact, error) {
	m.SchemaVersion, m.MediaType = 2, ocispec.MediaTypeImageManifest
	m.Config = blobs[0].Descriptor
	for _, b := range blobs[1:] {
		m.Layers = append(m.Layers, b.Descriptor)
	}
	text, err := json.Marshal(m)
	return &artifact{Manifest: m, text: text, blobs: blobs}, err
}

// blob is a file of a registry. open reads it from its beginning.
type blob struct {
	ocispec.Descriptor
	open func() (io.ReadCloser, error)
}

// title is what the file is called.
func (b blob) title() string { return b.Annotations[ocispec.AnnotationTitle] }

// textBlob is a blob of what is in memory. Without a name it is no file.
func textBlob(kind, name string, text []byte) blob {
	d := ocispec.Descriptor{MediaType: kind, Digest: digest.FromBytes(text), Size: int64(len(text))}
	if name != "" {
		d.Annotations = map[string]string{ocispec.AnnotationTitle: name}
	}
	return blob{Descriptor: d, open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }}
}

// image is the disk as an image. The same disk is always the same image: neither times nor owners
// of here are in it.
func (s *Set) image() (*artifact, error) {
	if s.Disk == "" {
		return nil, errors.New("the bake made no qcow2, which is what a registry gets")
	}
	layer, err := diskLayer(filepath.Join(s.Dir, s.Disk))
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(ocispec.Image{
		Platform: ocispec.Platform{Architecture: "amd64", OS: "linux"}, // what hearth bakes for
		RootFS:   ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{layer.Digest}},
	})
	if err != nil {
		return nil, err
	}
	return newArtifact(ocispec.Manifest{Annotations: map[string]string{ocispec.AnnotationTitle: s.Name}}, textBlob(ocispec.MediaTypeImageConfig, "", config), layer)
}

// What the papers are, as artifactType.
const (
	TypeSBOM      = "application/spdx+json"
	TypePapers    = "application/vnd.hearth.papers"
	TypeSignature = "application/vnd.hearth.signature.ssh"
)

// referrers are the papers of an image and the signature: SHA256SUMS is of the disk, the papers and
// the manifest, which it has under the name NAME.oci-manifest.json.
func (s *Set) referrers(image *artifact, key ssh.Signer) ([]*artifact, error) {
	all := sums{s.Name + ".oci-manifest.json": image.descriptor().Digest.Encoded()}
	var bill, others []blob
	for _, name := range s.Files {
		if name == s.Disk {
			all[name] = s.sum
			continue
		}
		if !s.paper(name) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(s.Dir, name))
		if err != nil {
			return nil, err
		}
		b := textBlob(mediaType(name), strings.ReplaceAll(name, "/", "-"), text)
		all[b.title()] = b.Digest.Encoded()
		if b.MediaType == TypeSBOM {
			bill = append(bill, b)
		} else {
			others = append(others, b)
		}
	}
	text := []byte(all.text())
	signed, err := Sign(key, Namespace, text)
	if err != nil {
		return nil, err
	}
	subject := image.descriptor()
	var list []*artifact
	for _, c := range []struct {
		kind  string
		files []blob
	}{
		{TypeSBOM, bill}, {TypePapers, others},
		{TypeSignature, []blob{textBlob("text/plain", Sums, text), textBlob(TypeSignature, Signature, signed)}},
	} {
		none := textBlob(ocispec.MediaTypeEmptyJSON, "", ocispec.DescriptorEmptyJSON.Data)
		a, err := newArtifact(ocispec.Manifest{ArtifactType: c.kind, Subject: &subject}, slices.Insert(c.files, 0, none)...)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// paper tells whether a file is no image.
func (s *Set) paper(name string) bool {
	return strings.Contains(name, "/") || slices.ContainsFunc(companions, func(c string) bool { return name == s.Name+c })
}

// mediaType is that of a paper.
func mediaType(name string) string {
	switch {
	case strings.HasSuffix(name, ".spdx.json"):
		return TypeSBOM
	case strings.HasSuffix(name, ".json"):
		return "application/json"
	}
	return "text/plain"
}
