package convert

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
	"hearth/internal/disk/inspect"
)

// TestHostile: no hostile image is converted, from a file or a stream, or looked
// into, and nothing is made of it.
func TestHostile(t *testing.T) {
	ctx, run := context.Background(), &disk.Runner{}
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range disktest.Hostile() {
		t.Run(c.Format+" "+c.Name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "image")
			if err := os.WriteFile(path, c.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			refused := func(what string, err error) {
				switch disk.KindOf(err) {
				case disk.Refused, disk.TooBig, disk.Unsupported:
				default:
					t.Errorf("%s: %v", what, err)
				}
			}
			_, err := inspect.Image(ctx, run, path)
			refused("inspect", err)
			for _, to := range []disk.Format{disk.Raw, disk.QCOW2, disk.VDI} {
				_, err = Disk(ctx, run, Options{Source: path, Target: filepath.Join(dir, "made"), Format: to})
				refused("convert to "+string(to), err)
			}
			_, err = Disk(ctx, run, Options{Input: bytes.NewReader(c.Data), Output: &out, Format: disk.Raw})
			refused("stream", err)
			if list, _ := os.ReadDir(dir); len(list) != 1 || out.Len() > 0 {
				t.Errorf("made: %v, %d bytes", list, out.Len())
			}
		})
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
