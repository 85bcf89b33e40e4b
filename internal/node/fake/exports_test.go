package fake

import (
	"testing"

	"hearth/internal/agent"
	"hearth/internal/cloud"
	hypervisor "hearth/internal/driver/hypervisor/fake"
	"hearth/internal/node/nodetest"
)

// TestDownEndsExports: a host that goes down gives nothing to others, and does again
// when it comes up.
func TestDownEndsExports(t *testing.T) {
	dir, disk := t.TempDir(), cloud.VolumeDisk(cloud.NewID())
	world := NewWorld(nil)
	open := func() *Node {
		n, err := New(t.Context(), dir, nodetest.NewImages(), Options{World: world})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		return n
	}
	n := open()
	if _, err := n.ApplyVolume(t.Context(), cloud.VolumeSpec{ID: disk, SizeBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.ExportVolume(t.Context(), cloud.ExportSpec{Disk: disk, Nodes: []string{"node-2"}}); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil || world.Host.Running() != 1 {
		t.Fatalf("%d processes, %v", world.Host.Running(), err)
	}
	cfg := n.Agent.Config
	cfg.Hypervisor = hypervisor.New(world.Host)
	if err := agent.Down(t.Context(), cfg); err != nil || world.Host.Running() != 0 {
		t.Fatalf("%d processes are left, %v", world.Host.Running(), err)
	}
	n = open()
	given, err := n.Exports(t.Context())
	if err != nil || len(given) != 1 || given[0].Error != "" || world.Host.Running() != 1 {
		t.Errorf("%+v, %v", given, err)
	}
}
