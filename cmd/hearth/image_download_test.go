package main

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/spf13/cobra"
)

// glanceOf is a glance with the one image 1 of these bytes, of which it sends the first so many
// and is silent then.
func glanceOf(t *testing.T, data []byte, sent int) *gophercloud.ServiceClient {
	t.Helper()
	over := make(chan struct{})
	sum := sha512.Sum512(data)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/images/1/file" {
			image := map[string]any{"id": "1", "name": "a tree", "size": len(data), "status": "active", "os_hash_algo": "sha512", "os_hash_value": hex.EncodeToString(sum[:])}
			found := []any{}
			w.Header().Set("Content-Type", "application/json")
			if r.URL.Query().Get("name") == image["name"] {
				found = append(found, image)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"images": found})
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(data)))
		_, _ = w.Write(data[:sent])
		if w.(http.Flusher).Flush(); sent < len(data) {
			<-over
		}
	}))
	t.Cleanup(func() { close(over); server.Close() })
	provider := &gophercloud.ProviderClient{}
	provider.UseTokenLock()
	provider.SetToken("x")
	return &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: server.URL + "/v2/"}
}

func quiet(t *testing.T) *cobra.Command {
	t.Helper()
	cmd := &cobra.Command{}
	cmd.SetContext(t.Context())
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	return cmd
}

// TestDownloadOfAnArchive makes of an image that holds files what was asked for, as 'image
// convert' does.
func TestDownloadOfAnArchive(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	out := filepath.Join(t.TempDir(), "a.tar")
	c := conversion{run: imageRunner(time.Minute), to: "tar", out: out, limit: inGiB(1 << 30)}
	source := tarOf(t, "etc/motd", "welcome\n")
	if err := c.download(quiet(t), glanceOf(t, source, len(source)), "a tree", time.Minute); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := fileIn(t, f, "etc/motd"); got != "welcome\n" {
		t.Errorf("%q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDownloadThatStalls is given up, by way of files and as a disk.
func TestDownloadThatStalls(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for to, data := range map[string][]byte{"tar": tarOf(t, "etc/motd", strings.Repeat("welcome\n", 1<<17)), "raw": make([]byte, 1<<20)} {
		dir := t.TempDir()
		c := conversion{run: imageRunner(time.Minute), to: to, out: filepath.Join(dir, "made")}
		err := c.download(quiet(t), glanceOf(t, data, 1<<19), "a tree", 20*time.Millisecond)
		if err == nil || !strings.Contains(err.Error(), "no byte came for 20ms") {
			t.Errorf("%s: %v", to, err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left behind: %v", to, left)
		}
	}
}

// TestSilentServers are given up, be it before the answer or in the middle of it.
func TestSilentServers(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begins" {
			_, _ = io.WriteString(w, "the beginning")
			w.(http.Flusher).Flush()
		}
		<-over
	}))
	t.Cleanup(func() { close(over); server.Close() })
	if _, _, err := openWeb(t.Context(), server.URL+"/never", 20*time.Millisecond); err == nil || err.Error() != "the server did not answer for 20ms" {
		t.Errorf("%v", err)
	}
	for {
		body, _, err := openWeb(t.Context(), server.URL+"/begins", 20*time.Millisecond)
		if err != nil && strings.Contains(err.Error(), "did not answer") {
			continue // a busy machine
		}
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if got, err := io.ReadAll(body); err == nil || err.Error() != "no byte came for 20ms" || len(got) > 0 && string(got) != "the beginning" {
			t.Errorf("%q, %v", got, err)
		}
		return
	}
}
