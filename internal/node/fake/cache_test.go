package fake

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
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

// TestCacheIsNeverAboveItsLimit has images come and go at random: at no time, the moment
// before an image comes included, do they have more bytes than the limit, and what an
// instance is made of, or a disk reads from, never leaves.
func TestCacheIsNeverAboveItsLimit(t *testing.T) {
	const limit = 1000
	images, ctx := nodetest.NewImages(), t.Context()
	n := open(t, t.TempDir(), images, Options{Clock: cloud.NewFakeClock(), ImageCache: limit})
	total := func() (sum int64) {
		list, err := n.World.Storage.Images(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, img := range list {
			sum += img.VirtualSize
		}
		return sum
	}
	bring := func(ref cloud.ImageRef) (storage.Image, error) {
		return n.Agent.Storage.EnsureImage(ctx, ref, "", func() (io.ReadCloser, error) {
			if all := total() + ref.Size; all > limit {
				t.Errorf("an image comes that makes it %d bytes", all)
			}
			return images.Open(ctx, ref.Digest)
		})
	}
	wanted := images.Add(bytes.Repeat([]byte("w"), 200))
	if err := n.ApplyInstance(ctx, cloud.InstanceSpec{ID: cloud.NewID(), Name: "vm", VCPUs: 1, MemoryMB: 64, Image: wanted, Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOff}}); err != nil {
		t.Fatal(err)
	}
	read := images.Add(bytes.Repeat([]byte("r"), 150))
	img, err := bring(read)
	if err == nil {
		_, err = n.World.Storage.CloneDisk(ctx, cloud.VolumeDisk("a"), img, 0)
	}
	if err == nil {
		_, err = bring(wanted)
	}
	if err != nil {
		t.Fatal(err)
	}
	here := func(ref cloud.ImageRef) bool {
		list, _ := n.World.Storage.Images(ctx)
		return slices.ContainsFunc(list, func(img storage.Image) bool { return img.Digest == ref.Digest })
	}
	random := rand.New(rand.NewPCG(1, 2))
	var refs []cloud.ImageRef
	for i := range 40 {
		refs = append(refs, images.Add(bytes.Repeat([]byte{byte(i)}, 20+random.IntN(600))))
	}
	came := 0
	for range 400 {
		if _, err := bring(refs[random.IntN(len(refs))]); err == nil {
			came++
		} else if !cloud.Is(err, cloud.NoCapacity) {
			t.Fatal(err)
		}
		if total() > limit || !here(wanted) || !here(read) {
			t.Fatalf("%d bytes; wanted %v, read %v", total(), here(wanted), here(read))
		}
	}
	if came < 300 {
		t.Errorf("only %d of 400 came", came)
	}
	a, b, c := images.Add(bytes.Repeat([]byte("a"), 300)), images.Add(bytes.Repeat([]byte("b"), 300)), images.Add(bytes.Repeat([]byte("c"), 300))
	for _, ref := range []cloud.ImageRef{a, b, a, c} {
		if _, err := bring(ref); err != nil {
			t.Fatal(err)
		}
	}
	if !here(a) || here(b) || !here(c) {
		t.Errorf("not the one left that was unused the longest: %v %v %v", here(a), here(b), here(c))
	}
	_, err = bring(images.Add(bytes.Repeat([]byte("x"), 700)))
	if !cloud.Is(err, cloud.NoCapacity) || !strings.Contains(err.Error(), "image_cache_gb") {
		t.Error(err)
	}
}

// TestCacheLimitLowered starts a node anew with a lower limit: at once the image that was
// unused the longest is gone, and that of an instance is not.
func TestCacheLimitLowered(t *testing.T) {
	world, dir, images := NewWorld(nil), t.TempDir(), nodetest.NewImages()
	n := open(t, dir, images, Options{World: world, ImageCache: 1000})
	wanted := images.Add(bytes.Repeat([]byte("w"), 300))
	other := images.Add(bytes.Repeat([]byte("o"), 400))
	for _, ref := range []cloud.ImageRef{wanted, other} {
		if _, err := n.Agent.Storage.EnsureImage(t.Context(), ref, "", func() (io.ReadCloser, error) { return images.Open(t.Context(), ref.Digest) }); err != nil {
			t.Fatal(err)
		}
	}
	spec := cloud.InstanceSpec{ID: cloud.NewID(), Name: "vm", VCPUs: 1, MemoryMB: 64, Image: wanted, Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOff}}
	if err := n.ApplyInstance(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = open(t, dir, images, Options{World: world, ImageCache: 200})
	list, err := n.World.Storage.Images(t.Context())
	if err != nil || len(list) != 1 || list[0].Digest != wanted.Digest {
		t.Fatal(list, err)
	}
}

// TestCacheRoomOfTwoWhoBring has an image come for two, of whom the first gives up: what was
// reserved stays so for the second.
func TestCacheRoomOfTwoWhoBring(t *testing.T) {
	images, ctx := nodetest.NewImages(), t.Context()
	n := open(t, t.TempDir(), images, Options{ImageCache: 1000})
	slow, other := images.Add(bytes.Repeat([]byte("s"), 600)), images.Add(bytes.Repeat([]byte("o"), 600))
	bring := func(ref cloud.ImageRef, open func() (io.ReadCloser, error)) error {
		_, err := n.Agent.Storage.EnsureImage(ctx, ref, "", open)
		return err
	}
	both, failed, second := make(chan bool), make(chan error, 1), make(chan error, 1)
	opened := make(chan bool, 2)
	go func() {
		failed <- bring(slow, func() (io.ReadCloser, error) {
			opened <- true
			<-both
			return nil, cloud.E("test", cloud.Unavailable, "gives up")
		})
	}()
	<-opened
	hold := make(chan bool)
	go func() {
		second <- bring(slow, func() (io.ReadCloser, error) {
			opened <- true
			<-hold
			return images.Open(ctx, slow.Digest)
		})
	}()
	<-opened
	close(both)
	if err := <-failed; err == nil {
		t.Error("the first did not fail")
	}
	if err := bring(other, func() (io.ReadCloser, error) { return images.Open(ctx, other.Digest) }); !cloud.Is(err, cloud.NoCapacity) {
		t.Errorf("room that is reserved was given: %v", err)
	}
	close(hold)
	if err := <-second; err != nil {
		t.Error(err)
	}
}
