package main

import (
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"hearth/internal/disk/imagedir"
)

// memoryGlance is a glance that keeps images in memory, by the requests of an uploader.
type memoryGlance struct{ images []map[string]any }

func (s *memoryGlance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // v2 images ID file
	switch {
	case r.Method == http.MethodGet && len(parts) == 2:
		found := slices.Clone(s.images)
		for _, key := range []string{"name", "owner"} {
			if word := r.URL.Query().Get(key); word != "" {
				found = slices.DeleteFunc(found, func(i map[string]any) bool { return i[key] != word })
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"images": found})
	case r.Method == http.MethodPost:
		image := map[string]any{}
		_ = json.NewDecoder(r.Body).Decode(&image)
		image["id"], image["status"] = strings.Repeat("i", len(s.images)+1), "queued"
		s.images = append(s.images, image)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(image)
	default:
		image := s.images[len(parts[2])-1]
		switch {
		case r.Method == http.MethodPut:
			b, _ := io.ReadAll(r.Body)
			sum := sha512.Sum512(b)
			image["status"], image["size"], image["os_hash_algo"], image["os_hash_value"] = "active", len(b), "sha512", hex.EncodeToString(sum[:])
			w.WriteHeader(http.StatusNoContent)
		case len(parts) == 4:
			w.WriteHeader(http.StatusNoContent)
		default:
			_ = json.NewEncoder(w).Encode(image)
		}
	}
}

// TestImportDirAgain uploads what is new or has changed, and nothing twice.
func TestImportDirAgain(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	cloud := &memoryGlance{}
	server := httptest.NewServer(cloud)
	defer server.Close()
	up := uploader{ctx: t.Context(), glance: &gophercloud.ServiceClient{ProviderClient: &gophercloud.ProviderClient{}, Endpoint: server.URL + "/v2/"}, progress: io.Discard}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dump := strings.Repeat("\x00", 24) + "\x6c\xea\x00\x00"
	write("debian-12-x86_64.tar.gz", "\x1f\x8b")
	write("debian-12-aarch64.tar.gz", "\x1f\x8b")
	write("old-x86-root.dump", dump+"root")
	write("old-x86-boot.dump", dump+"boot")
	for round, want := range []int{3, 3, 4} {
		if round == 2 {
			write("old-x86-boot.dump", dump+"tobo")
		}
		list, _, err := imagedir.Read(dir)
		if err != nil || len(list) != 3 {
			t.Fatal(list, err)
		}
		var out strings.Builder
		for _, img := range list {
			if err := importOne(up, img, &out); err != nil {
				t.Fatal(err)
			}
		}
		if again := strings.Count(out.String(), "it is there"); len(cloud.images) != want || again != []int{0, 3, 2}[round] {
			t.Errorf("round %d: %d images, %d there:\n%s", round, len(cloud.images), again, out.String())
		}
	}
}

// TestImportDirOfOthers takes no image of another project for its own, whole or begun, as an admin sees
// them.
func TestImportDirOfOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "debian-12-x86_64.tar.gz"), []byte("\x1f\x8b"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, _, err := imagedir.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	cloud := &memoryGlance{}
	server := httptest.NewServer(cloud)
	defer server.Close()
	for n, project := range []string{"theirs", "ours", "ours"} {
		provider := &gophercloud.ProviderClient{}
		login := tokens.CreateResult{}
		login.Body = map[string]any{"token": map[string]any{"project": map[string]any{"id": project}}}
		if err := provider.SetTokenAndAuthResult(login); err != nil {
			t.Fatal(err)
		}
		up := uploader{ctx: t.Context(), glance: &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: server.URL + "/v2/"}, progress: io.Discard}
		if err := importOne(up, list[0], io.Discard); err != nil {
			t.Fatal(err)
		}
		if len(cloud.images) != min(n+1, 2) {
			t.Fatalf("after that of %s there are %d images", project, len(cloud.images))
		}
		cloud.images[len(cloud.images)-1]["owner"] = project
		if project == "theirs" {
			half := maps.Clone(cloud.images[0])
			mark := markOfFile(t, list[0].Path)
			half["status"], half[uploadMark], half["name"] = "queued", mark, "half"
			cloud.images[0] = half
			if id := up.begun("half", mark); id == "" {
				t.Error("an upload that was begun is not gone on with")
			}
			cloud.images[0]["name"] = "debian-12"
		}
	}
}

func markOfFile(t *testing.T, path string) string {
	t.Helper()
	f, size, err := openUpload(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return markOf(content{size: size, at: f})
}
