package image_test

import (
	"bytes"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk/disktest"
	"hearth/internal/service/image"
)

// TestHostileImagesAreRefused: none is kept, whatever the uploader says it is.
func TestHostileImagesAreRefused(t *testing.T) {
	h := newHouse(t, image.Options{})
	for _, c := range disktest.Hostile() {
		img, err := h.Create(ctx, ann, map[string]any{"name": c.Name, "disk_format": c.Format, "container_format": "bare"})
		if err != nil {
			t.Fatal(err)
		}
		for _, length := range []int64{int64(len(c.Data)), -1} {
			if err := h.Upload(ctx, ann, img.ID, bytes.NewReader(c.Data), length); !cloud.Is(err, cloud.Invalid) {
				t.Errorf("%s, %s: %v", c.Format, c.Name, err)
			}
		}
		if img, err = h.Get(ctx, ann, img.ID); err != nil || img.Status != cloud.ImageQueued || img.Digest != "" {
			t.Errorf("%s, %s: %+v, %v", c.Format, c.Name, img, err)
		}
	}
	if kept, err := h.blobs.Digests(ctx); err != nil || len(kept) != 0 {
		t.Errorf("kept: %v, %v", kept, err)
	}
}
