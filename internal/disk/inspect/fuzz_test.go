package inspect

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
)

// FuzzImage looks into anything that is read in process: no tool is started.
func FuzzImage(f *testing.F) {
	for _, c := range disktest.Hostile() {
		f.Add(c.Data)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "image")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		switch disk.Sniff(data).Format {
		case disk.Raw, disk.ISO, disk.QCOW2:
		default:
			return
		}
		if r, err := Image(context.Background(), &disk.Runner{}, path); err == nil && r.VirtualSize < 0 {
			t.Errorf("%+v", r)
		}
	})
}
