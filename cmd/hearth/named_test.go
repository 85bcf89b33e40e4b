package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
)

const (
	idA = "aaaaaaaa-0000-4000-8000-000000000001"
	idB = "aaaaaaaa-0000-4000-8000-000000000002"
	idC = "aaaaaaaa-0000-4000-8000-000000000003"
)

// TestImageNamed finds images by id and by name, and tells of each that a name could be of.
func TestImageNamed(t *testing.T) {
	all := []map[string]any{
		{"id": idA, "name": "web", "status": "active"}, {"id": idB, "name": "twice", "status": "active"}, {"id": idC, "name": "twice", "status": "queued"},
		{"id": "hidden", "name": "old", "status": "active", "os_hidden": true}, {"id": "by id", "name": idB, "status": "active"}, {"id": "odd", "name": "detail?a/b", "status": "active"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		found := []map[string]any{}
		for _, i := range all {
			if r.URL.Path == "/v2/images/"+i["id"].(string) {
				_ = json.NewEncoder(w).Encode(i)
				return
			}
			if (i["os_hidden"] != nil) == (r.URL.Query().Get("os_hidden") == "true") && i["name"] == r.URL.Query().Get("name") {
				found = append(found, i)
			}
		}
		if r.URL.Path != "/v2/images" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"images": found})
	}))
	defer server.Close()
	glance := &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/v2/"}
	for name, want := range map[string]string{"web": idA, idA: idA, idB: idB, "old": "hidden", "detail?a/b": "odd"} {
		if image, err := imageNamed(t.Context(), glance, name); err != nil || image.ID != want {
			t.Errorf("%s: %+v, %v", name, image, err)
		}
	}
	for name, want := range map[string]string{
		"none": "there is no image none", idC + "x": "there is no image", strings.Replace(idC, "aaaa", "bbbb", 1): "there is no image",
		"twice": "2 images are called twice: " + idB + " (active), " + idC + " (queued); give the id of one",
	} {
		if image, err := imageNamed(t.Context(), glance, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %q", name, image, err, want)
		}
	}
}

// TestDownloadByName takes what 'openstack image save' takes.
func TestDownloadByName(t *testing.T) {
	out := filepath.Join(t.TempDir(), "a.raw")
	c := conversion{run: imageRunner(time.Minute), to: "raw", out: out, limit: inGiB(1 << 30)}
	if err := c.download(quiet(t), glanceOf(t, make([]byte, 1<<20), 1<<20), "a tree", time.Minute); err != nil {
		t.Fatal(err)
	}
}
