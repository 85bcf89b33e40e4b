package agent_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hearth/internal/agent"
	"hearth/internal/agent/metadata"
	"hearth/internal/agent/port"
	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/driver/hypervisor/qemu"
	netfake "hearth/internal/driver/network/fake"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/storagetest"
	"hearth/internal/node/local"
)

// TestRealGuest runs a guest of QEMU on files of this host. The image is an ext4
// file system without a boot loader: what counts is the host's side.
func TestRealGuest(t *testing.T) {
	if os.Getenv("HEARTH_E2E") == "" {
		t.Skip("starts QEMU: set HEARTH_E2E=1")
	}
	// Guests have users of their own, who must get as far as their folders.
	dir, err := os.MkdirTemp("", "hearth-agent-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o711))
	image := filepath.Join(dir, "image.raw")
	if out, err := exec.Command("mke2fs", "-q", "-t", "ext4", image, "100M").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	data, err := os.ReadFile(image)
	must(t, err)
	ref := storagetest.Ref(data)
	a := open(t, dir, image)
	spec := cloud.InstanceSpec{ID: cloud.NewID(), Name: "vm", Hostname: "vm", VCPUs: 1, MemoryMB: 64, RootGB: 1, EphemeralGB: 1, SwapMB: 32, ConfigDrive: true, Image: ref,
		Intent: cloud.Intent{Generation: 1, Power: cloud.PowerOn}}
	must(t, a.Instances().Apply(t.Context(), spec))
	await(t, a, spec.ID, cloud.InstanceRunning, 1)
	facts, err := a.Explain(t.Context(), "server", spec.ID)
	must(t, err)
	pid := fact(facts, "process")
	if pid == "" || !strings.Contains(fact(facts, "command"), "qemu-system") || !strings.Contains(fact(facts, "disk root"), "ext file system") {
		t.Errorf("%+v", facts)
	}
	t.Logf("timeline: %v", a.Instances().Statuses()[0].Steps)
	must(t, a.Close())
	a = open(t, dir, image)
	spec.Intent.Generation++
	must(t, a.Instances().Apply(t.Context(), spec))
	await(t, a, spec.ID, cloud.InstanceRunning, 2)
	if facts, _ = a.Explain(t.Context(), "server", spec.ID); fact(facts, "process") != pid {
		t.Errorf("the guest was replaced: %s, then %s", pid, fact(facts, "process"))
	}
	spec.Intent.Generation, spec.Intent.Reboots, spec.Intent.HardReboot = 3, 1, true
	must(t, a.Instances().Apply(t.Context(), spec))
	await(t, a, spec.ID, cloud.InstanceRunning, 3)
	spec.Intent.Generation, spec.Intent.Power = 4, cloud.PowerOff
	must(t, a.Instances().Apply(t.Context(), spec)) // it has no system that would heed the button
	await(t, a, spec.ID, cloud.InstanceStopped, 4)
	must(t, a.Instances().Remove(t.Context(), spec.ID))
	for len(a.Instances().Statuses()) > 0 {
		time.Sleep(time.Millisecond)
	}
	if found, err := a.Findings(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("left: %v, %v", found, err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "node", "disks")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func open(t *testing.T, dir, image string) *agent.Agent {
	t.Helper()
	in := func(name string) string { return filepath.Join(dir, "node", name) }
	store, err := file.New(file.Config{Paths: file.Paths{Images: in("images"), Disks: in("disks"), Tmp: in("tmp")}, Kitchen: file.DiskRoom{Runner: &disk.Runner{}}})
	must(t, err)
	must(t, os.Chmod(in(""), 0o711))
	network := netfake.New()
	a, err := agent.New(t.Context(), agent.Config{
		Dir: in(""), Storage: store, Hypervisor: qemu.New(qemu.Options{Accel: "tcg"}), Network: network,
		NewNetworks: func(find agent.Find) (agent.Networks, error) {
			return port.New(in("networks"), network, port.Instances(find), port.Options{})
		},
		Images:       local.Images{Find: func(string) (string, error) { return image, nil }},
		ConfigDrive:  func(spec cloud.InstanceSpec) (map[string][]byte, error) { return metadata.ConfigDriveFiles(spec), nil },
		HypervisorIs: "QEMU", Version: "test", ShutdownGrace: time.Second,
	})
	must(t, err)
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func await(t *testing.T, a *agent.Agent, id string, state cloud.InstanceState, generation int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	fits := func(st cloud.InstanceStatus) bool {
		return st.ID == id && st.Generation == generation && (st.State == state || st.State == cloud.InstanceFailed)
	}
	_ = a.Instances().Watch(ctx, func(st cloud.InstanceStatus) {
		if fits(st) {
			cancel()
		}
	})
	all := a.Instances().Statuses()
	if !slices.ContainsFunc(all, func(st cloud.InstanceStatus) bool { return fits(st) && st.State == state }) {
		t.Fatalf("not %s at generation %d: %+v", state, generation, all)
	}
}

func fact(facts []cloud.Fact, topic string) string {
	for _, f := range facts {
		if f.Topic == topic {
			return f.Value
		}
	}
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
