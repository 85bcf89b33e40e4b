package image_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/service/image"
)

// TestCutImagesAreRefused: a qcow2 whose end is missing is told by its tables; the image waits for its
// bytes again, and takes them whole.
func TestCutImagesAreRefused(t *testing.T) {
	dir := t.TempDir()
	raw, whole := filepath.Join(dir, "raw"), filepath.Join(dir, "whole")
	if err := os.WriteFile(raw, bytes.Repeat([]byte("data"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	err := (&disk.Runner{}).Convert(t.Context(), disk.Layer{Path: raw, Format: disk.Raw}, disk.Target{Path: whole, Format: disk.QCOW2}, nil) // with the tables first
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, image.Options{})
	img, err := h.Create(ctx, ann, map[string]any{"name": "cut", "disk_format": "qcow2", "container_format": "bare"})
	if err != nil {
		t.Fatal(err)
	}
	for _, length := range []int64{2 << 20, -1} {
		err := h.Upload(ctx, ann, img.ID, bytes.NewReader(data[:2<<20]), length)
		if !cloud.Is(err, cloud.Invalid) || !strings.Contains(err.Error(), "cut short: it has 2097152 bytes") {
			t.Error(err)
		}
		if now, err := h.Get(ctx, ann, img.ID); err != nil || now.Status != cloud.ImageQueued || now.Digest != "" {
			t.Errorf("%+v, %v", now, err)
		}
	}
	if err := h.Upload(ctx, ann, img.ID, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Error(err)
	}
}
