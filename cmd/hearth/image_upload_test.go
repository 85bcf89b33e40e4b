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
	"strconv"
	"sync"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
)

// forgetful is a glance whose tokens are good for one request each: every part is refused
// once, when some of it was read.
type forgetful struct {
	sync.Mutex
	good string
	came []byte
}

func (f *forgetful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.Lock()
	defer f.Unlock()
	switch {
	case r.Method == http.MethodPut && r.Header.Get("X-Auth-Token") != f.good:
		_, _ = io.CopyN(io.Discard, r.Body, 100_000)
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodPut:
		b, err := io.ReadAll(r.Body)
		if want := fmt.Sprintf("bytes %d-%d/", len(f.came), len(f.came)+len(b)-1); err != nil || !bytes.HasPrefix([]byte(r.Header.Get("Content-Range")), []byte(want)) {
			w.WriteHeader(http.StatusConflict)
			return
		}
		f.came, f.good = append(f.came, b...), f.good+"x"
		w.WriteHeader(http.StatusAccepted)
	case r.URL.Path == "/v2/images/1/file":
		w.Header().Set("Upload-Offset", strconv.Itoa(len(f.came)))
		w.WriteHeader(http.StatusNoContent)
	default:
		sum := sha512.Sum512(f.came)
		_ = json.NewEncoder(w).Encode(map[string]any{"id": "1", "status": "queued", "os_hash_algo": "sha512", "os_hash_value": hex.EncodeToString(sum[:])})
	}
}

// TestTokensEndDuringAnUpload has what arrives be what was sent.
func TestTokensEndDuringAnUpload(t *testing.T) {
	cloud := &forgetful{good: "x"}
	s := httptest.NewServer(cloud)
	defer s.Close()
	provider := &gophercloud.ProviderClient{}
	provider.UseTokenLock()
	provider.SetToken("old")
	provider.ReauthFunc = func(context.Context) error {
		cloud.Lock()
		defer cloud.Unlock()
		provider.TokenID = cloud.good
		return nil
	}
	data := bytes.Repeat([]byte("0123456789abcde"), (2*partSize+partSize/3)/15)
	for i := range data {
		data[i] += byte(i >> 16)
	}
	u := uploader{ctx: t.Context(), glance: &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: s.URL + "/v2/"}, progress: io.Discard}
	if err := u.send("1", content{name: "x", size: int64(len(data)), Reader: bytes.NewReader(data), at: bytes.NewReader(data)}); err != nil || !bytes.Equal(cloud.came, data) {
		t.Errorf("%d bytes of %d came: %v", len(cloud.came), len(data), err)
	}
}
