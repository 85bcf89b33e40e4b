package reconcile

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/store"
)

// TestSnapshotIsPrepared: an image that asks for it is made of a disk that went
// through Prepare; one that cannot be ends, and says why.
func TestSnapshotIsPrepared(t *testing.T) {
	for _, refused := range []bool{false, true} {
		w := newWorld(t)
		shelf := &imageShelf{bytes: map[string][]byte{}}
		w.Images, w.Scratch = shelf, t.TempDir()
		w.Prepare = func(_ context.Context, path string) error {
			if refused {
				return &disk.Error{Kind: disk.Unsupported, Op: "open disk", Reason: "it is of the kind xfs"}
			}
			return os.WriteFile(path, bytes.Repeat([]byte("p"), 1<<20), 0o600)
		}
		w.want("a", 512)
		w.step()
		w.report("a", cloud.InstanceRunning, "")
		w.write(func(tx *store.Tx) error {
			s, err := tx.Servers.Get("a")
			s.Snapshots, s.NextAttemptAt = []string{"i1"}, w.clock.Now()
			return firstError(err, tx.Servers.Update(s), tx.Images.Insert(cloud.Image{ID: "i1", Status: cloud.ImageQueued, Properties: map[string]string{cloud.PropertySysprep: "True"}}))
		})
		w.step()
		w.copied("a", "i1")
		w.step()
		if s := w.server("a"); len(s.Snapshots) != 0 {
			t.Errorf("the image is still on the list: %+v", s.Snapshots)
		}
		if got := bytes.Contains(shelf.bytes["i1"], []byte("pppp")); got == refused {
			t.Errorf("refused %v: %d bytes, prepared: %v", refused, len(shelf.bytes["i1"]), got)
		}
		w.write(func(tx *store.Tx) error {
			img, err := tx.Images.Get("i1")
			if killed := img.Status == cloud.ImageKilled && strings.Contains(img.Properties[cloud.PropertySysprep+"_error"], "xfs"); killed != refused {
				t.Errorf("refused %v: %+v", refused, img)
			}
			return err
		})
		if left, _ := os.ReadDir(w.Scratch); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
