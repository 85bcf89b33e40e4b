package image_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"hearth/internal/cloud"
	"hearth/internal/service/image"
)

// send gives an image bytes from to to of data.
func (h *house) send(id string, data []byte, from, to int) (int64, error) {
	return h.UploadPart(ctx, ann, id, image.Span{From: int64(from), Length: int64(to - from), Total: int64(len(data))}, bytes.NewReader(data[from:to]))
}

func TestPartsOutliveTheProcess(t *testing.T) {
	h := newHouse(t, image.Options{})
	img, other := h.image(ann, nil), h.image(ann, nil)
	data := bytes.Repeat([]byte("abcdefgh"), 20_000)
	for _, id := range []string{img.ID, other.ID} {
		if came, err := h.send(id, data, 0, 80_000); err != nil || came != 80_000 {
			t.Fatal(came, err)
		}
	}
	if err := h.Delete(ctx, ann, other.ID); err != nil {
		t.Fatal(err)
	}
	// The connection breaks in the second part: what came of it stays.
	broken := io.MultiReader(bytes.NewReader(data[80_000:90_000]), iotest.ErrReader(errors.New("broken")))
	came, err := h.UploadPart(ctx, ann, img.ID, image.Span{From: 80_000, Length: 40_000, Total: int64(len(data))}, broken)
	if !cloud.Is(err, cloud.Invalid) || came != 90_000 {
		t.Errorf("%d, %v", came, err)
	}
	again := h.with(h.blobs)
	if err := again.Recover(ctx); err != nil {
		t.Fatal(err)
	}
	parts, err := h.blobs.Parts(ctx)
	if err != nil || len(parts) != 1 || parts[0] != img.ID {
		t.Errorf("parts of %v, %v", parts, err)
	}
	now, _ := again.Get(ctx, ann, img.ID)
	if came, ok, err := again.Came(now); err != nil || !ok || came != 90_000 {
		t.Errorf("%d, %v", came, err)
	}
	if came, err := again.send(img.ID, data, 90_000, len(data)); err != nil || came != int64(len(data)) {
		t.Errorf("%d, %v", came, err)
	}
	now, _ = again.Get(ctx, ann, img.ID)
	if now.Status != cloud.ImageActive || now.Size != int64(len(data)) {
		t.Errorf("%+v", now)
	}
	if parts, _ := h.blobs.Parts(ctx); len(parts) != 0 {
		t.Errorf("%v are left", parts)
	}
}

func TestRefusedParts(t *testing.T) {
	h := newHouse(t, image.Options{MaxSize: 1 << 20})
	lie := h.image(ann, m{"disk_format": "qcow2"})
	data := make([]byte, 200_000)
	if _, err := h.send(lie.ID, data, 0, 100_000); !cloud.Is(err, cloud.Invalid) {
		t.Errorf("zeros as qcow2: %v", err)
	}
	// A first part too short to judge is judged at the end, and nothing stays.
	for _, span := range [][2]int{{0, 10}, {10, len(data)}} {
		_, err := h.send(lie.ID, data, span[0], span[1])
		if last := span[1] == len(data); last != cloud.Is(err, cloud.Invalid) {
			t.Errorf("%v: %v", span, err)
		}
	}
	now, _ := h.Get(ctx, ann, lie.ID)
	if came, _, err := h.Came(now); now.Status != cloud.ImageQueued || came != 0 || err != nil {
		t.Errorf("%s, %d, %v", now.Status, came, err)
	}
	raw := h.image(ann, nil)
	for name, span := range map[string]image.Span{"none": {0, 0, 9}, "before": {-1, 2, 9}, "behind": {8, 2, 9}, "overflow": {1 << 62, 1 << 62, 1 << 62}} {
		if _, err := h.UploadPart(ctx, ann, raw.ID, span, bytes.NewReader(nil)); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.UploadPart(ctx, ann, raw.ID, image.Span{Length: 1, Total: 2 << 20}, bytes.NewReader(nil)); !cloud.Is(err, cloud.TooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := h.UploadPart(ctx, bob, raw.ID, image.Span{Length: 1, Total: 1}, bytes.NewReader(nil)); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("another's image: %v", err)
	}
}
