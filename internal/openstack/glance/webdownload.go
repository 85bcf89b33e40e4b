package glance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"

	"hearth/internal/cloud"
	"hearth/internal/oci"
)

// Downloads fetches images from the web for imports. An address that a tenant
// names is not trusted: only what is public, and the networks that the operator
// allows, is connected to, whatever names and redirections lead there.
type Downloads struct {
	client  *http.Client
	allowed []netip.Prefix
	stall   time.Duration
	logins  func() (auth.CredentialFunc, error) // to registries; nil: nobody logs in
}

const (
	dialTime = 30 * time.Second
	resumes  = 5 // in a row without a byte
)

// NewDownloads makes the fetcher. from are networks beside the public internet
// that may be fetched from, separated by commas, such as "127.0.0.0/8".
func NewDownloads(from string) (*Downloads, error) {
	d := &Downloads{stall: StallTime}
	for text := range strings.SplitSeq(from, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no network such as 10.0.0.0/8: %w", text, err)
		}
		d.allowed = append(d.allowed, prefix)
	}
	dialer := &net.Dialer{Timeout: dialTime, Control: d.control}
	d.client = &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ResponseHeaderTimeout: StallTime, TLSHandshakeTimeout: dialTime,
			DisableCompression: true, IdleConnTimeout: dialTime, // no proxy: it would connect for us to what we refuse
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) >= 5 {
				return refusedURI("it redirects too often")
			}
			return d.checkWeb(r.URL.String())
		},
	}
	return d, nil
}

// LogInBy has registries told the logins that logins gives, which is asked at each image, so
// that a new password counts at once. Only over TLS, or on this machine, is anything told.
func (d *Downloads) LogInBy(logins func() (auth.CredentialFunc, error)) { d.logins = logins }

func refusedURI(why string) error {
	return cloud.E("glance.webdownload", cloud.Invalid, "URI for web-download does not pass filtering: %s", why)
}

// control refuses a connection to what may not be fetched from.
func (d *Downloads) control(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !d.allows(to.Addr().Unmap()) {
		return refusedURI(to.Addr().String() + " is not public, and the operator has not allowed it (image.import_from)")
	}
	return nil
}

// shared is the address space between carriers and their customers (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

func (d *Downloads) allows(a netip.Addr) bool {
	public := a.IsGlobalUnicast() && !a.IsPrivate() && !shared.Contains(a)
	return public || slices.ContainsFunc(d.allowed, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Check implements image.Source: it must be an address of the web, an image of a
// registry (docker://, oci://) or of a stream (simplestreams:), and an IP address that is
// spelt out must be allowed. Names are looked at when they are dialled.
func (d *Downloads) Check(uri string) error {
	ref, _, is, err := ociReference(uri)
	if is {
		return cmp.Or(err, d.checkHost(oci.Host(ref.Registry)))
	}
	w, is, err := readWish(uri)
	if is {
		return cmp.Or(err, d.checkWeb(w.index))
	}
	return d.checkWeb(uri)
}

func (d *Downloads) checkHost(host string) error {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && !d.allows(a.Unmap()) {
		return refusedURI(a.String() + " is not public, and the operator has not allowed it (image.import_from)")
	}
	return nil
}

func (d *Downloads) checkWeb(uri string) error {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return refusedURI("it is no URI")
	case u.Scheme != "http" && u.Scheme != "https":
		return refusedURI("its scheme is neither http nor https")
	case u.Hostname() == "":
		return refusedURI("it names no host")
	}
	return d.checkHost(u.Hostname())
}

// Open implements image.Source. The body goes on by itself where the connection
// broke off, if the server can do that.
func (d *Downloads) Open(ctx context.Context, uri string) (io.ReadCloser, int64, error) {
	if err := d.Check(uri); err != nil {
		return nil, 0, err
	}
	if ref, tls, is, _ := ociReference(uri); is {
		return d.openOCI(ctx, ref, tls)
	}
	if w, is, _ := readWish(uri); is {
		return d.openStream(ctx, w)
	}
	return d.openWeb(ctx, uri)
}

func (d *Downloads) openWeb(ctx context.Context, uri string) (io.ReadCloser, int64, error) {
	if err := d.checkWeb(uri); err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	f := &fetched{d: d, ctx: ctx, cancel: cancel, uri: uri}
	resp, err := f.get("", "")
	if err == nil && resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err = unreachable(fmt.Errorf("the server answers %s", resp.Status))
	}
	if err != nil {
		cancel(nil)
		return nil, 0, err
	}
	f.body, f.length = resp.Body, resp.ContentLength
	if tag := resp.Header.Get("ETag"); !strings.HasPrefix(tag, "W/") {
		f.tag = tag
	}
	return f, f.length, nil
}

func unreachable(err error) error {
	return cloud.E("glance.webdownload", cloud.Invalid, "The image cannot be downloaded: %w", err)
}

// fetched is a body that is being downloaded.
type fetched struct {
	d          *Downloads
	ctx        context.Context
	cancel     context.CancelCauseFunc
	uri, tag   string
	body       io.ReadCloser
	at, length int64
	tries      int
}

func (f *fetched) get(ranged, tag string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, f.uri, nil)
	if err != nil {
		return nil, refusedURI("it is no URI")
	}
	if ranged != "" {
		req.Header.Set("Range", ranged)
		req.Header.Set("If-Range", tag)
	}
	resp, err := f.d.client.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	return resp, nil
}

// Read reads on, over a new connection if need be.
func (f *fetched) Read(p []byte) (int, error) {
	for {
		n, err := (&steady{f.ctx, f.cancel, f.body, f.d.stall}).Read(p)
		f.at += int64(n)
		if n > 0 {
			f.tries = 0
		}
		whole := errors.Is(err, io.EOF) && (f.length < 0 || f.at == f.length)
		switch {
		case err == nil || whole:
			return n, err
		case n > 0:
			return n, nil // the next Read meets the error again
		case f.ctx.Err() != nil:
			return 0, context.Cause(f.ctx)
		}
		if f.tries++; f.tries > resumes || f.tag == "" {
			return 0, fmt.Errorf("the server broke off after %d bytes: %w", f.at, err)
		}
		if err := f.resume(); err != nil {
			return 0, err
		}
	}
}

// resume asks for the rest.
func (f *fetched) resume() error {
	f.body.Close()
	resp, err := f.get(fmt.Sprintf("bytes=%d-", f.at), f.tag) //nolint:bodyclose // Close does
	if err != nil {
		return err
	}
	f.body = resp.Body
	if resp.StatusCode != http.StatusPartialContent || !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", f.at)) {
		return fmt.Errorf("the server broke off after %d bytes and does not give the rest (%s)", f.at, resp.Status)
	}
	return nil
}

// Close ends the download.
func (f *fetched) Close() error {
	f.cancel(nil)
	return f.body.Close()
}
