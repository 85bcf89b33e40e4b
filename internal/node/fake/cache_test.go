package fake

import (
	"io"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node/nodetest"
)

// TestCacheForgetsWhatNobodyWants holds the image cache against what instances
// want, what disks read from, and the time.
func TestCacheForgetsWhatNobodyWants(t *testing.T) {
	clock, images := cloud.NewFakeClock(), nodetest.NewImages()
	n := open(t, t.TempDir(), images, Options{Clock: clock})
	ctx := t.Context()
	for _, text := range []string{"forgotten", "read by a disk", "wanted"} {
		ref := images.Add([]byte(text))
		img, err := n.World.Storage.EnsureImage(ctx, ref, "", func() (io.ReadCloser, error) { return images.Open(ctx, ref.Digest) })
		if err != nil {
			t.Fatal(err)
		}
		switch text {
		case "read by a disk":
			_, err = n.World.Storage.CloneDisk(ctx, cloud.VolumeDisk("a"), img, 0)
		case "wanted":
			err = n.ApplyInstance(ctx, cloud.InstanceSpec{ID: cloud.NewID(), Name: "vm", VCPUs: 1, MemoryMB: 64, Image: ref,
				Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOff}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	left := func() int {
		if err := n.Agent.SweepImages(ctx); err != nil {
			t.Fatal(err)
		}
		list, err := n.World.Storage.Images(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	for _, step := range []struct {
		after time.Duration
		left  int
	}{{0, 3}, {23 * time.Hour, 3}, {2 * time.Hour, 2}, {48 * time.Hour, 2}} {
		clock.Advance(step.after)
		if got := left(); got != step.left {
			t.Errorf("%s later %d images are cached, want %d", step.after, got, step.left)
		}
	}
}
