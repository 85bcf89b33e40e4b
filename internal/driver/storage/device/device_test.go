package device

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/cloud"
)

func TestCopyLeavesOutZeros(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	want := append(append(bytes.Repeat([]byte("a"), block), make([]byte, block)...), "end"...)
	if err := os.WriteFile(path, bytes.Repeat([]byte{'x'}, 3*block), 0o600); err != nil {
		t.Fatal(err)
	}
	dev, size, err := Open(path)
	if err != nil || size != 3*block {
		t.Fatal(size, err)
	}
	defer dev.Close()
	if err := Copy(t.Context(), dev, bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	copy(want[block:], bytes.Repeat([]byte{'x'}, block)) // untouched: there it reads as zeros already
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got[:len(want)], want) || got[len(want)] != 'x' {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := Copy(t.Context(), dev, io.MultiReader(bytes.NewReader(want), broken{})); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("a source that breaks off: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := Copy(ended, dev, bytes.NewReader(want)); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the line is cut") }
