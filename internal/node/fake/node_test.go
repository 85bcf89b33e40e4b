package fake

import (
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/node/nodetest"
)

func open(t *testing.T, dir string, images *nodetest.Images, opt Options) *Node {
	t.Helper()
	n, err := New(t.Context(), dir, images, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	return n
}

func TestSuite(t *testing.T) {
	nodetest.Run(t, func(t *testing.T) nodetest.Bench {
		images := nodetest.NewImages()
		n := open(t, t.TempDir(), images, Options{})
		return nodetest.Bench{Node: n, Images: images, Guests: n.World.Host}
	})
}

// TestLeftoversAreFoundAndCleaned puts things on a host that nobody wants.
func TestLeftoversAreFoundAndCleaned(t *testing.T) {
	n := open(t, t.TempDir(), nodetest.NewImages(), Options{})
	ctx := t.Context()
	stray := cloud.NewID()
	if _, err := n.World.Storage.BlankDisk(ctx, stray+"-root", 1<<20, ""); err != nil {
		t.Fatal(err)
	}
	port := cloud.NewID()
	net := cloud.NetworkSpec{ID: cloud.NewID(), Ports: []cloud.PortSpec{{ID: port, MAC: "fa:16:3e:00:00:01"}}}
	if err := n.World.Network.ApplyNetwork(ctx, net); err != nil {
		t.Fatal(err)
	}
	tap, err := n.World.Network.Plug(ctx, net.ID, port)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	found, err := n.Findings(ctx)
	if err != nil || len(found) != 3 {
		t.Fatalf("%v, %v", found, err)
	}
	for _, want := range []string{stray, net.ID, port} {
		if !slices.ContainsFunc(found, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("nothing on %s in %v", want, found)
		}
	}
	if _, err := n.Agent.Clean(ctx); err != nil {
		t.Error(err)
	}
	if found, err = n.Findings(ctx); err != nil || len(found) > 0 {
		t.Errorf("after cleaning: %v, %v", found, err)
	}
}

// TestRestart opens a node anew on its world: guests and networks are there.
func TestRestart(t *testing.T) {
	dir, images := t.TempDir(), nodetest.NewImages()
	n := open(t, dir, images, Options{})
	bench := nodetest.Bench{Node: n, Images: images, Guests: n.World.Host}
	spec := bench.Spec()
	if err := n.ApplyNetwork(t.Context(), nodetest.NetworkSpec(1, spec)); err != nil {
		t.Fatal(err)
	}
	if err := n.ApplyInstance(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	wait(t, n, spec.ID)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, images, Options{World: n.World})
	wait(t, again, spec.ID)
	if n.World.Host.Running() != 1 {
		t.Errorf("%d guests", n.World.Host.Running())
	}
	if found, err := again.Findings(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func wait(t testing.TB, n *Node, id string) {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		all, _ := n.Instances(t.Context())
		if i := slices.IndexFunc(all, func(s cloud.InstanceStatus) bool { return s.ID == id }); i >= 0 && all[i].State == cloud.InstanceRunning {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not running: %+v", all)
		}
		time.Sleep(50 * time.Microsecond)
	}
}

func BenchmarkCreate(b *testing.B) {
	images := nodetest.NewImages()
	n, err := New(b.Context(), b.TempDir(), images, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	bench := nodetest.Bench{Images: images}
	for b.Loop() {
		spec := bench.Spec()
		if err := n.ApplyNetwork(b.Context(), nodetest.NetworkSpec(1, spec)); err != nil {
			b.Fatal(err)
		}
		if err := n.ApplyInstance(b.Context(), spec); err != nil {
			b.Fatal(err)
		}
		wait(b, n, spec.ID)
	}
}
