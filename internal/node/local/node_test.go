package local_test

import (
	"testing"

	"hearth/internal/node/fake"
	"hearth/internal/node/local"
	"hearth/internal/node/nodetest"
)

// TestSuite runs the suite on the local node over the real agent; its drivers
// are the fakes, each of which passes the suite of its driver.
func TestSuite(t *testing.T) {
	nodetest.Run(t, func(t *testing.T) nodetest.Bench {
		images := nodetest.NewImages()
		n, err := fake.New(t.Context(), t.TempDir(), images, fake.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		return nodetest.Bench{Node: local.New(n.Agent), Images: images, Guests: n.World.Host}
	})
}
