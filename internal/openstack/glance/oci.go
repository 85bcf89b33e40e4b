package glance

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"hearth/internal/cloud"
	"hearth/internal/oci"
)

// ociSchemes are the beginnings of references of registries; whether TLS is spoken. A
// registry at a loopback address is spoken to without, as other programs do.
var ociSchemes = map[string]bool{"docker://": true, "oci://": true, "docker+http://": false, "oci+http://": false}

const (
	manifestMost = 4 << 20 // bytes of a manifest, as registries have it
	layersMost   = 128
)

// ociReference reads an address like docker://quay.io/containerdisks/fedora:42.
func ociReference(uri string) (ref registry.Reference, tls, is bool, err error) {
	for scheme, secure := range ociSchemes {
		rest, ok := strings.CutPrefix(uri, scheme)
		if !ok {
			continue
		}
		if ref, err = registry.ParseReference(rest); err != nil {
			return ref, secure, true, refusedURI("it is no reference such as docker://registry/name:tag")
		}
		if ref.Reference == "" {
			ref.Reference = "latest"
		}
		return ref, secure && !oci.Loopback(ref.Registry), true, nil
	}
	return ref, false, false, nil
}

// openOCI reads the disk that an image of a registry carries: KubeVirt's containerdisks
// have it in a layer at /disk, others as a layer by itself; else all layers are one tree
// of files, of which the cloud makes a disk. All is held against the digests.
func (d *Downloads) openOCI(ctx context.Context, ref registry.Reference, tls bool) (io.ReadCloser, int64, error) {
	return d.pull(ctx, ref, tls, (*puller).open)
}

func (d *Downloads) pull(ctx context.Context, ref registry.Reference, tls bool, open func(*puller, string) (io.ReadCloser, int64, error)) (io.ReadCloser, int64, error) {
	repo, err := remote.NewRepository(ref.String())
	if err != nil {
		return nil, 0, refusedURI("it is no reference such as docker://registry/name:tag")
	}
	client := &auth.Client{Client: d.client, Cache: auth.NewCache()}
	if d.logins != nil && (tls || oci.Loopback(ref.Registry)) { // in the clear no password is sent, whatever a tenant asks for
		if client.Credential, err = d.logins(); err != nil {
			return nil, 0, cloud.E("glance.oci", cloud.Internal, "The file of logins to registries (image.registry_logins) cannot be read: the operator mends it, and 'hearth up' says what is wrong.")
		}
	}
	repo.Client, repo.PlainHTTP = client, !tls
	repo.MaxMetadataBytes = manifestMost
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(d.stall, cancel)
	body, length, err := open(&puller{ctx: ctx, repo: repo, came: func() { timer.Reset(d.stall) }}, ref.Reference)
	if err != nil {
		timer.Stop()
		cancel()
		return nil, 0, err
	}
	return &watched{ReadCloser: body, cancel: cancel, timer: timer}, length, nil
}

// OpenTree gives the files of an image in a registry, those of all its layers together,
// as a tar archive.
func (d *Downloads) OpenTree(ctx context.Context, uri string) (io.ReadCloser, error) {
	ref, tls, is, err := ociReference(uri)
	if !is {
		return nil, refusedURI("it is no reference such as docker://registry/name:tag")
	}
	if err = cmp.Or(err, d.Check(uri)); err != nil {
		return nil, err
	}
	body, _, err := d.pull(ctx, ref, tls, (*puller).openTree)
	return body, err
}

// watched ends a download that stalls, or is closed.
type watched struct {
	io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
}

// Close ends the download.
func (w *watched) Close() error {
	w.timer.Stop()
	w.cancel()
	return w.ReadCloser.Close()
}

// puller reads one image of a registry.
type puller struct {
	ctx  context.Context
	repo *remote.Repository
	came func() // is called as bytes come
}

func (p *puller) open(reference string) (io.ReadCloser, int64, error) {
	layers, err := p.layers(reference)
	if err != nil {
		return nil, 0, err
	}
	largest := slices.Clone(layers)
	slices.SortStableFunc(largest, func(a, b ocispec.Descriptor) int { return cmp.Compare(b.Size, a.Size) })
	for _, layer := range largest { // beside a disk all else is small
		body, length, err := p.diskIn(layer)
		if err != nil || body != nil {
			return body, length, err
		}
	}
	return p.tree(layers), -1, nil
}

func (p *puller) openTree(reference string) (io.ReadCloser, int64, error) {
	layers, err := p.layers(reference)
	if err != nil {
		return nil, 0, err
	}
	return p.tree(layers), -1, nil
}

// layers reads the manifest; of an index that for this machine's kind.
func (p *puller) layers(reference string) ([]ocispec.Descriptor, error) {
	desc, body, err := p.repo.FetchReference(p.ctx, reference)
	if wantsLogin(err) {
		return nil, unreachable(fmt.Errorf("%s gives it to nobody without a login, or there is no such image; the operator names logins in image.registry_logins: %w", p.repo.Reference.Registry, err))
	}
	if err != nil {
		return nil, unreachable(err)
	}
	for depth := 0; depth < 3; depth++ {
		text, err := content.ReadAll(io.LimitReader(body, manifestMost), desc) // checks size and digest
		_ = body.Close()
		if err != nil {
			return nil, unreachable(fmt.Errorf("the manifest is not what its digest says: %w", err))
		}
		var m struct {
			Manifests []ocispec.Descriptor `json:"manifests"`
			Layers    []ocispec.Descriptor `json:"layers"`
			Blobs     []ocispec.Descriptor `json:"blobs"` // of artifacts, as ORAS had them first
		}
		if err := json.Unmarshal(text, &m); err != nil {
			return nil, unreachable(fmt.Errorf("the manifest cannot be read: %w", err))
		}
		if all := slices.Concat(m.Layers, m.Blobs); len(m.Manifests) == 0 {
			if len(all) == 0 || len(all) > layersMost {
				return nil, unreachable(fmt.Errorf("the manifest has %d layers, and 1 to %d are read", len(all), layersMost))
			}
			return all, nil
		}
		if desc, err = platform(m.Manifests); err != nil {
			return nil, err
		}
		if body, err = p.repo.Fetch(p.ctx, desc); err != nil {
			return nil, unreachable(err)
		}
	}
	return nil, unreachable(errors.New("the index of the image leads to further ones only"))
}

// wantsLogin tells whether a registry did not answer for want of a login, or of a better one.
func wantsLogin(err error) bool {
	answer := &errcode.ErrorResponse{}
	if errors.As(err, &answer) {
		return answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden
	}
	return errors.Is(err, auth.ErrBasicCredentialNotFound)
}

// platform chooses of an index.
func platform(all []ocispec.Descriptor) (ocispec.Descriptor, error) {
	for _, m := range all {
		if m.Platform != nil && m.Platform.Architecture == "amd64" && (m.Platform.OS == "linux" || m.Platform.OS == "") {
			return m, nil
		}
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return ocispec.Descriptor{}, unreachable(errors.New("the image is there for other machines than amd64 only"))
}

// blob opens a layer's bytes as they are stored, which are checked when they end.
func (p *puller) blob(desc ocispec.Descriptor) (*blob, error) {
	body, err := p.repo.Blobs().Fetch(p.ctx, desc)
	if err != nil {
		return nil, unreachable(err)
	}
	if err := desc.Digest.Validate(); err != nil {
		_ = body.Close()
		return nil, unreachable(err)
	}
	again := func() (io.ReadCloser, error) { return p.repo.Blobs().Fetch(p.ctx, desc) }
	return &blob{desc: desc, body: body, again: again, came: p.came, check: desc.Digest.Verifier()}, nil
}

// blob is a layer that is being read. It goes on by itself where the connection broke
// off: the digest tells if the rest were of another.
type blob struct {
	desc  ocispec.Descriptor
	body  io.ReadCloser
	again func() (io.ReadCloser, error)
	came  func()
	check digest.Verifier
	at    int64
	tries int
}

// Read reads on.
func (b *blob) Read(p []byte) (int, error) {
	if left := b.desc.Size - b.at; int64(len(p)) > left {
		p = p[:max(left, 0)]
	}
	if len(p) == 0 && b.at >= b.desc.Size {
		if !b.check.Verified() {
			return 0, cloud.E("glance.oci", cloud.Invalid, "The image was refused: a layer is not what its digest says (%s).", b.desc.Digest)
		}
		return 0, io.EOF
	}
	n, err := b.body.Read(p)
	b.at += int64(n)
	_, _ = b.check.Write(p[:n]) // a hash does not fail
	if n > 0 {
		b.came()
		b.tries = 0
		return n, nil // the next Read meets an error again
	}
	if err == nil {
		return 0, nil
	}
	if b.tries++; b.tries > resumes {
		return 0, fmt.Errorf("the registry broke off after %d bytes of %d: %w", b.at, b.desc.Size, err)
	}
	return 0, b.resume(err)
}

// resume asks for the rest; why is what the connection broke off with.
func (b *blob) resume(why error) error {
	_ = b.body.Close()
	body, err := b.again()
	if err != nil {
		return err
	}
	b.body = body
	seeker, ok := body.(io.Seeker)
	if !ok {
		return fmt.Errorf("the registry broke off after %d bytes of %d, and gives no rest: %w", b.at, b.desc.Size, why)
	}
	_, err = seeker.Seek(b.at, io.SeekStart)
	return err
}

// Close ends the download.
func (b *blob) Close() error { return b.body.Close() }

// rest reads a blob to its end, so that its digest is checked.
func (b *blob) rest() error {
	_, err := io.Copy(io.Discard, b)
	return err
}

// unpacked is what a layer holds, be it packed or not.
func unpacked(b *blob) (r *bufio.Reader, packed bool, done func(), err error) {
	r, done = bufio.NewReaderSize(b, 64<<10), func() {}
	magic, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, true, done, unreachable(err)
		}
		return bufio.NewReaderSize(z, 64<<10), true, done, nil
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, true, done, unreachable(err)
		}
		return bufio.NewReaderSize(z, 64<<10), true, z.Close, nil
	}
	return r, false, done, nil
}
