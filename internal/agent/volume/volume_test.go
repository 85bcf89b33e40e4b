package volume

import (
	"context"
	"crypto/sha512"
	"fmt"
	"io"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/fake"
)

// texts are images, by their digests.
type texts map[string]string

// Open implements [Images].
func (t texts) Open(_ context.Context, digest string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(t[digest])), nil
}

// TestReplacedByImage: a volume that is given an image anew has what it had until that is made,
// plain, whole or encrypted, and nothing is left beside it; so it is when it fails.
func TestReplacedByImage(t *testing.T) {
	text := strings.Repeat("image", 1000)
	digest := fmt.Sprintf("sha512:%x", sha512.Sum512([]byte(text)))
	image := &cloud.ImageRef{ID: "i", Digest: digest, Format: "raw", Size: int64(len(text)), VirtualSize: 5120}
	for name, spec := range map[string]cloud.VolumeSpec{"plain": {}, "whole": {Whole: true}, "encrypted": {Key: "open sesame", KeyBits: 256}} {
		for _, fails := range []string{"CloneDisk", "EnsureImage", ""} {
			t.Run(name+" "+fails, func(t *testing.T) {
				f := fake.New()
				b := &backed{Driver: f, over: map[string]string{}}
				if _, err := b.BlankDisk(t.Context(), "volume-v", 4<<20, ""); err != nil {
					t.Fatal(err)
				}
				if _, err := b.BlankDisk(t.Context(), "volume-v.seed.seed", 16<<20, ""); err != nil { // of one that was killed
					t.Fatal(err)
				}
				f.Fail(func(op, _ string) error {
					if op == fails {
						return cloud.E(op, cloud.Unavailable, "not today")
					}
					return nil
				})
				m := New(b, texts{digest: text}, func() Guests { return &noGuests{} })
				spec.ID, spec.SizeBytes, spec.Image, spec.Replace, spec.Made = "volume-v", 8<<20, image, true, true
				_, err := m.Apply(t.Context(), spec)
				if (err == nil) != (fails == "") {
					t.Error(err)
				}
				list, lerr := f.Disks(t.Context())
				want := map[bool]int64{true: 8 << 20, false: 4 << 20}[fails == ""]
				if lerr != nil || len(list) != 1 || list[0].ID != "volume-v" || list[0].Size != want {
					t.Errorf("there are %+v, %v", list, lerr)
				}
				f.Fail(nil)
				for _, left := range []string{"volume-v.seed", "volume-v.seed.seed"} {
					if _, err := b.BlankDisk(t.Context(), left, 1<<20, ""); err != nil {
						t.Fatal(err)
					}
				}
				if err := m.Remove(t.Context(), "volume-v"); err != nil {
					t.Error(err)
				}
				if list, _ := f.Disks(t.Context()); len(list) != 0 {
					t.Errorf("left are %+v", list)
				}
			})
		}
	}
}
