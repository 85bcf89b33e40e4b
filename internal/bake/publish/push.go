package publish

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// pushTries is how often a file is sent whose connection broke off.
const pushTries = 4

// pusher sends to one repository.
type pusher struct {
	Registry
	repo *remote.Repository
}

// all sends what lacks: files, the image, what refers to it, the tag.
func (p *pusher) all(ctx context.Context, tag string, image *artifact, papers []*artifact) error {
	for _, a := range append(slices.Clone(papers), image) { // the small ones first: they tell at once who may not write here
		for _, b := range a.blobs {
			if err := p.blob(ctx, b); err != nil {
				return err
			}
		}
	}
	if err := p.manifest(ctx, image); err != nil {
		return err
	}
	var there []string
	err := p.repo.Referrers(ctx, image.descriptor(), "", func(list []ocispec.Descriptor) error {
		for _, d := range list {
			there = append(there, d.Digest.String())
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, a := range papers {
		if slices.Contains(there, a.digest()) { // a manifest alone is not enough: a list that lacks may name it
			continue
		}
		if err := p.repo.Manifests().Push(ctx, a.descriptor(), bytes.NewReader(a.text)); err != nil {
			return err
		}
	}
	if now, err := p.repo.Resolve(ctx, tag); err == nil && now.Digest.String() == image.digest() {
		return nil
	} else if err != nil && !errors.Is(err, errdef.ErrNotFound) {
		return err
	}
	return p.repo.Manifests().PushReference(ctx, image.descriptor(), bytes.NewReader(image.text), tag)
}

// manifest sends the manifest of an image, which has no tag yet.
func (p *pusher) manifest(ctx context.Context, a *artifact) error {
	there, err := p.repo.Manifests().Exists(ctx, a.descriptor())
	if err != nil || there {
		return err
	}
	return p.repo.Manifests().Push(ctx, a.descriptor(), bytes.NewReader(a.text))
}

// blob sends a file that is not there, and again if its connection broke off.
func (p *pusher) blob(ctx context.Context, b blob) error {
	wait := p.Wait
	if wait == 0 {
		wait = 500 * time.Millisecond
	}
	for try := 1; ; try++ {
		there, err := p.repo.Blobs().Exists(ctx, b.Descriptor)
		if err == nil && !there {
			err = p.send(ctx, b)
		}
		if err == nil || try == pushTries || ctx.Err() != nil || final(err) {
			return err
		}
		select { // nothing tells when a network is back
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
			wait *= 2
		}
	}
}

func (p *pusher) send(ctx context.Context, b blob) error {
	body, err := b.open()
	if err != nil {
		return err
	}
	defer body.Close()
	var from io.Reader = body
	sent := func() {}
	if p.Sending != nil && b.title() != "" {
		from, sent = p.Sending(b.title(), b.Size, body)
	}
	if err := p.repo.Blobs().Push(ctx, b.Descriptor, from); err != nil {
		return err
	}
	sent()
	return nil
}

// Answers of HTTP that another try does not mend, and those that it may.
const (
	wantsLogin = 401
	forbidden  = 403
	unknown    = 404
	notAllowed = 405
	tooSlow    = 408
	tooLarge   = 413
	tooMany    = 429
	broken     = 500 // and above
)

// final tells whether another try would do no better.
func final(err error) bool {
	answer := &errcode.ErrorResponse{}
	if errors.As(err, &answer) {
		return answer.StatusCode < broken && answer.StatusCode != tooSlow && answer.StatusCode != tooMany
	}
	return explained(err) != ""
}

// explain says in a sentence why a registry did not take an image, and what to do.
func explain(ctx context.Context, registry string, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(ctx.Err(), context.Canceled) { // the connection may break first
		return errors.New("the publishing was cancelled: no tag was set, and the same command goes on with what lacks")
	}
	why := explained(err)
	answer := &errcode.ErrorResponse{}
	if errors.As(err, &answer) {
		switch answer.StatusCode {
		case wantsLogin, forbidden:
			why = "lets nobody write there without another login: give --username with --password-file, or log in with 'docker login'"
		case unknown, notAllowed:
			why = "has no place of this name that can be written to: make it there first, or mend the name"
		case tooLarge:
			why = "takes no files of this size: raise the limit there, or of the proxy before it"
		}
	}
	if why == "" {
		why = "did not take the image; the same command goes on with what lacks"
	}
	return fmt.Errorf("the registry %s %s: %w", registry, why, err)
}

// explained is what is wrong with login or connection; "" if it is nothing that lasts.
func explained(err error) string {
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return "wants a login: give --username with --password-file, or log in with 'docker login'"
	case errors.As(err, &record) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "speaks no TLS: say --plain-http if that is meant"
	case errors.As(err, &certificate) || errors.As(err, &authority):
		return "has a certificate that is not trusted here: add its authority to the system's, or name it in SSL_CERT_FILE"
	}
	return ""
}
