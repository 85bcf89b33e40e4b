package glance_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/openstack/glance"
)

func downloads(t *testing.T, from string) *glance.Downloads {
	t.Helper()
	d, err := glance.NewDownloads(from)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// brittle serves data, but breaks every answer off after some bytes.
func brittle(t *testing.T, data []byte, header http.Header, after int, requests *atomic.Int32) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		for name, values := range header {
			w.Header()[name] = values
		}
		http.ServeContent(&short{ResponseWriter: w, left: after}, r, "", time.Time{}, bytes.NewReader(data))
	}))
	t.Cleanup(s.Close)
	return s
}

// short is an answer that breaks off.
type short struct {
	http.ResponseWriter
	left int
}

func (s *short) Write(p []byte) (int, error) {
	if len(p) > s.left {
		_, _ = s.ResponseWriter.Write(p[:s.left])
		panic(http.ErrAbortHandler)
	}
	s.left -= len(p)
	return s.ResponseWriter.Write(p)
}

func TestDownloadGoesOnWhereItBrokeOff(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 20_000)
	var requests atomic.Int32
	s := brittle(t, data, http.Header{"Etag": {`"one"`}}, 70_000, &requests)
	body, length, err := downloads(t, "127.0.0.0/8").Open(t.Context(), s.URL)
	if err != nil || length != int64(len(data)) {
		t.Fatalf("%d, %v", length, err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(got, data) || requests.Load() < 3 {
		t.Errorf("%d bytes of %d in %d requests: %v", len(got), len(data), requests.Load(), err)
	}
}

func TestDownloadThatCannotGoOn(t *testing.T) {
	var requests atomic.Int32
	s := brittle(t, make([]byte, 100_000), nil, 50_000, &requests) // without an ETag the rest could be of another file
	body, _, err := downloads(t, "127.0.0.0/8").Open(t.Context(), s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if n, err := io.Copy(io.Discard, body); err == nil || n != 50_000 || requests.Load() != 1 {
		t.Errorf("%d bytes, %d requests, %v", n, requests.Load(), err)
	}
}

// TestDownloadsAreFiltered: what a tenant names must not make the cloud talk to
// what only its host can reach.
func TestDownloadsAreFiltered(t *testing.T) {
	secret := httptest.NewServer(http.NotFoundHandler())
	defer secret.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(secret.URL, "http://"), ":")
	d := downloads(t, "")
	for _, uri := range []string{
		"file:///etc/passwd", "ftp://example.org/x", "http://", "::", "http://127.0.0.1/x", "http://[::1]/x", "http://[::ffff:127.0.0.1]/",
		"http://169.254.169.254/latest", "http://10.0.0.1/", "http://100.64.0.1/", "http://0.0.0.0/",
	} {
		if err := d.Check(uri); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", uri, err)
		}
	}
	if err := d.Check("https://example.org/image.qcow2"); err != nil {
		t.Error(err)
	}
	// A name is looked at when it is dialled.
	if _, _, err := d.Open(t.Context(), "http://localhost:"+port); !cloud.Is(err, cloud.Invalid) || !strings.Contains(err.Error(), "not public") {
		t.Errorf("%v", err)
	}
}

func TestRedirectionsAreFiltered(t *testing.T) {
	for _, to := range []string{"file:///etc/passwd", "http://10.0.0.1/"} {
		s := httptest.NewServer(http.RedirectHandler(to, http.StatusFound))
		_, _, err := downloads(t, "127.0.0.0/8").Open(t.Context(), s.URL)
		if err == nil || !strings.Contains(err.Error(), "filtering") {
			t.Errorf("%s: %v", to, err)
		}
		s.Close()
	}
	missing := httptest.NewServer(http.NotFoundHandler())
	defer missing.Close()
	if _, _, err := downloads(t, "127.0.0.0/8").Open(t.Context(), missing.URL); !cloud.Is(err, cloud.Invalid) || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
	if _, err := glance.NewDownloads("10.0.0.0"); err == nil {
		t.Error("10.0.0.0 is no network")
	}
}
