package main

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"golang.org/x/sys/unix"

	"hearth/internal/disk/ova"
)

// outlived is a glance whose tokens are good for one part each, and the way to it. Every
// part is refused once, when some of it was read, and what was refused is read on while it
// is sent again, as an http.RoundTripper may. What came of a part that broke off is kept.
type outlived struct {
	good    string
	came    []byte
	refused io.Reader
	times   int
}

func (o *outlived) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	switch {
	case r.Method == http.MethodPut && r.Header.Get("X-Auth-Token") != o.good:
		_, _ = io.CopyN(io.Discard, r.Body, 100_000)
		o.refused = r.Body
		o.times++
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodPut && !strings.HasPrefix(r.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", len(o.came))):
		w.WriteHeader(http.StatusConflict)
	case r.Method == http.MethodPut:
		first, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if o.refused != nil {
			_, _ = io.CopyN(io.Discard, o.refused, 100_000)
		}
		rest, err := io.ReadAll(r.Body)
		o.came = append(append(o.came, first...), rest...)
		if n := int64(len(first) + len(rest)); err != nil || n != r.ContentLength {
			return nil, fmt.Errorf("%d bytes of %d: %w", n, r.ContentLength, io.ErrUnexpectedEOF)
		}
		o.good, o.refused = o.good+"x", nil
		w.WriteHeader(http.StatusAccepted)
	case r.URL.Path == "/v2/images/1/file":
		w.Header().Set("Upload-Offset", strconv.Itoa(len(o.came)))
		w.WriteHeader(http.StatusNoContent)
	default:
		sum := sha512.Sum512(o.came)
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "1", "status": "queued", "os_hash_algo": "sha512", "os_hash_value": hex.EncodeToString(sum[:])})
	}
	return w.Result(), nil
}

// TestTokensEndDuringAnUpload has what arrives be what was sent.
func TestTokensEndDuringAnUpload(t *testing.T) {
	cloud := &outlived{good: "x"}
	provider := &gophercloud.ProviderClient{HTTPClient: http.Client{Transport: cloud}}
	provider.UseTokenLock()
	provider.SetToken("old")
	provider.ReauthFunc = func(context.Context) error {
		provider.TokenID = cloud.good
		return nil
	}
	data := bytes.Repeat([]byte("0123456789abcde"), (2*partSize+partSize/3)/15)
	for i := range data {
		data[i] += byte(i >> 16)
	}
	u := uploader{ctx: t.Context(), glance: &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: "http://cloud/v2/"}, progress: io.Discard}
	err := u.send("1", content{name: "x", size: int64(len(data)), Reader: bytes.NewReader(data), at: bytes.NewReader(data)})
	if err != nil || !bytes.Equal(cloud.came, data) || cloud.times != 3 {
		t.Errorf("%d bytes of %d came, %d times refused: %v", len(cloud.came), len(data), cloud.times, err)
	}
}

// TestUploadOfAPackage says in glance's words what the package of a virtual machine is.
func TestUploadOfAPackage(t *testing.T) {
	dir := t.TempDir()
	inner, file := filepath.Join(dir, "disk"), filepath.Join(dir, "machine.ova")
	if err := os.WriteFile(inner, append([]byte("KDMV"), make([]byte, 1020)...), 0o600); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := ova.Write(t.Context(), &b, ova.Machine{Name: "machine", CPUs: 1, MemoryMB: 512, NICs: []ova.NIC{{Network: "lan", Model: "E1000"}}}, inner, 1<<20, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var asked struct {
		Container string `json:"container_format"`
		Disk      string `json:"disk_format"`
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			_ = json.NewDecoder(r.Body).Decode(&asked)
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id": "1"}`)
		case http.MethodGet:
			_, _ = io.WriteString(w, `{"images": []}`)
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer server.Close()
	provider := &gophercloud.ProviderClient{}
	provider.UseTokenLock()
	provider.SetToken("x")
	u := uploader{ctx: t.Context(), glance: &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: server.URL + "/v2/"}, progress: io.Discard}
	format, err := formatOf(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.put("machine", format, file, nil); err == nil {
		t.Error("it was taken by a cloud that takes nothing")
	}
	if asked.Container != "ova" || asked.Disk != "vmdk" {
		t.Errorf("%+v", asked)
	}
	format, packed, err := formatAt(t.Context(), serve(t, b.Bytes()))
	if err != nil || format != "vmdk" || !packed {
		t.Errorf("%q, %v, %v", format, packed, err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, none := range []string{dir, pipe} {
		if _, err := formatOf(none); err == nil {
			t.Errorf("%s has a format", none)
		}
		if _, err := u.put("none", "raw", none, nil); err == nil {
			t.Errorf("%s was uploaded", none)
		}
	}
}

// serve gives the address of some bytes.
func serve(t *testing.T, data []byte) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }))
	t.Cleanup(server.Close)
	return server.URL + "/x"
}
