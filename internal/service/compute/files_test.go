package compute_test

import (
	"bytes"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/service/compute"
	"hearth/internal/service/compute/computetest"
)

// TestFiles holds the limits of a server's files, and that a config drive brings
// them: at creation those of the request, at a rebuild those of the rebuild.
func TestFiles(t *testing.T) {
	b := computetest.New(t)
	ok := cloud.GuestFile{Path: "/etc/motd", Contents: []byte("hi")}
	for words, files := range map[string][]cloud.GuestFile{
		"file limit":   {ok, ok, ok, ok, ok, ok},
		"path exceeds": {{Path: "/" + strings.Repeat("p", 255)}},
		"content":      {{Path: "/a", Contents: bytes.Repeat([]byte{'c'}, 10241)}},
	} {
		r := computetest.Request()
		r.Files = files
		if _, err := b.Compute.Create(t.Context(), computetest.Member(), r); !cloud.Is(err, cloud.QuotaExceeded) || !strings.Contains(cloud.Message(err), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
	r := computetest.Request()
	r.Files = []cloud.GuestFile{ok}
	s := b.Create(computetest.Member(), r)
	if len(s.Files) != 1 || !s.ConfigDrive {
		t.Errorf("made with files %v, config drive %v", s.Files, s.ConfigDrive)
	}
	b.Run(s.ID)
	if _, err := b.Compute.Rebuild(t.Context(), computetest.Member(), s.ID, compute.RebuildRequest{ImageID: r.ImageID}); err != nil {
		t.Fatal(err)
	}
	if s = b.Server(s.ID); len(s.Files) != 0 {
		t.Errorf("rebuilt without files it has %v", s.Files)
	}
}
