package glance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"hearth/internal/cloud"
)

// Elsewhere fetches images from the image services that the catalog names. Who
// writes the catalog is the operator, so its addresses are gone to as they are;
// redirections are not followed, for the caller's token goes along.
type Elsewhere struct {
	// Find gives the address of a region's image service, and whether it is this one;
	// NotFound.
	Find func(ctx context.Context, region, face string) (url string, own bool, err error)

	client *http.Client
}

// attributesMost bounds what another service says of an image, in bytes.
const attributesMost = 1 << 20

// NewElsewhere makes the fetcher.
func NewElsewhere(find func(ctx context.Context, region, face string) (string, bool, error)) *Elsewhere {
	return &Elsewhere{Find: find, client: &http.Client{
		Transport:     &http.Transport{ResponseHeaderTimeout: StallTime, TLSHandshakeTimeout: dialTime, IdleConnTimeout: dialTime},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Endpoint implements image.Elsewhere.
func (e *Elsewhere) Endpoint(ctx context.Context, region, face string) (string, bool, error) {
	return e.Find(ctx, region, face)
}

// Open implements image.Elsewhere.
func (e *Elsewhere) Open(ctx context.Context, base, token, id string) (map[string]any, io.ReadCloser, int64, error) {
	at := strings.TrimRight(base, "/") + "/v2/images/" + url.PathEscape(id)
	resp, err := e.get(ctx, at, token)
	if err != nil {
		return nil, nil, 0, err
	}
	var attributes map[string]any
	err = json.NewDecoder(io.LimitReader(resp.Body, attributesMost)).Decode(&attributes)
	_ = resp.Body.Close()
	if err != nil {
		return nil, nil, 0, unreachable(fmt.Errorf("what %s says of it is not to be read: %w", at, err))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	if resp, err = e.get(ctx, at+"/file", token); err != nil { //nolint:bodyclose // Steady closes it
		cancel(nil)
		return nil, nil, 0, err
	}
	return attributes, Steady(ctx, cancel, resp.Body, StallTime), resp.ContentLength, nil
}

func (e *Elsewhere) get(ctx context.Context, at, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, unreachable(err)
	}
	req.Header.Set("X-Auth-Token", token)
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, unreachable(err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		kind := cloud.Invalid
		if resp.StatusCode == http.StatusNotFound {
			kind = cloud.NotFound
		}
		return nil, cloud.E("glance.elsewhere", kind, "The image cannot be downloaded: %s answers %s", at, resp.Status)
	}
	return resp, nil
}
