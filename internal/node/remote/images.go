package remote

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"sync"

	"golang.org/x/net/http2"

	"hearth/internal/cloud"
	"hearth/internal/node"
)

// imageHandler serves the head's images to nodes: GET /images/DIGEST.
func imageHandler(images node.Images) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /images/{digest}", func(w http.ResponseWriter, r *http.Request) {
		src, err := images.Open(r.Context(), r.PathValue("digest"))
		if err != nil {
			w.Header().Set(metaKind, cloud.KindOf(err).String())
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, cloud.Message(err))
			return
		}
		defer src.Close()
		w.Header().Set("Content-Type", "application/octet-stream")
		if _, err := io.Copy(w, src); err != nil {
			panic(http.ErrAbortHandler) // so that a part is not taken for the whole
		}
	})
	return mux
}

// Images are the head's images, for a node elsewhere. It is a node.Images.
type Images struct {
	cfg NodeConfig

	mu   sync.Mutex
	line *http2.ClientConn
}

var _ node.Images = (*Images)(nil)

// NewImages makes a client of the head's images; it connects when asked.
func NewImages(cfg NodeConfig) *Images { return &Images{cfg: cfg.withDefaults()} }

// connection gives one that takes requests.
func (i *Images) connection(ctx context.Context) (*http2.ClientConn, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.line != nil && i.line.CanTakeNewRequest() {
		return i.line, nil
	}
	conn, err := i.cfg.dial(ctx, protocolImages)
	if err != nil {
		return nil, err
	}
	transport := &http2.Transport{AllowHTTP: true, ReadIdleTimeout: idle, PingTimeout: patience}
	line, err := transport.NewClientConn(conn)
	if err != nil {
		_ = conn.Close()
		return nil, cloud.E("images.Open", cloud.Unavailable, "the head speaks another protocol: %w", err)
	}
	i.line = line
	return line, nil
}

// Open implements node.Images.
func (i *Images) Open(ctx context.Context, digest string) (io.ReadCloser, error) {
	const op = "images.Open"
	line, err := i.connection(ctx)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://head/images/"+url.PathEscape(digest), nil)
	if err != nil {
		return nil, cloud.E(op, cloud.Invalid, "%q is no digest: %w", digest, err)
	}
	resp, err := line.RoundTrip(r)
	if err != nil {
		return nil, cloud.E(op, cloud.Unavailable, "the image %s cannot be fetched from the head: %w", digest, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	kind := cloud.Unavailable
	if name := resp.Header.Get(metaKind); name != "" {
		kind = kindOf(name)
	}
	return nil, cloud.E(op, kind, "%s", text)
}

// Close ends the connection.
func (i *Images) Close() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.line == nil {
		return nil
	}
	return i.line.Close()
}
