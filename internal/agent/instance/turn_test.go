package instance

import (
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// roots are the root disks that there are, by their names.
func (w *world) roots(spec cloud.InstanceSpec) (out []string) {
	disks, err := w.storage.Disks(w.t.Context())
	must(w.t, err)
	for turn := range spec.Intent.Disk.Last + 1 {
		for _, d := range disks {
			if d.ID == diskID(spec.ID, rootName(turn)) {
				out = append(out, rootName(turn))
			}
		}
	}
	return out
}

// turn is a spec on another disk.
func turn(spec cloud.InstanceSpec, d cloud.DiskIntent) cloud.InstanceSpec {
	return with(spec, func(in *cloud.Intent) { in.Disk = d })
}

// seat is what a guest has for its root disk.
func (w *world) seat(spec cloud.InstanceSpec) (paths []string, cfg hypervisor.Config) {
	cfg, _ = w.host.Guest(spec.ID)
	for _, d := range cfg.Disks {
		if d.ID == rootDisk || d.ID == rescuedDisk {
			paths = append(paths, d.ID+" on "+d.Path[len("/fake/disks/")+len(spec.ID)+1:])
		}
	}
	return paths, cfg
}

func TestTurns(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	step := func(what string, next cloud.InstanceSpec, state cloud.InstanceState, roots, seats []string) {
		t.Helper()
		spec = next
		must(t, m.Apply(t.Context(), spec))
		st := awaitState(t, m, spec.ID, state, spec.Intent.Generation)
		// What is given up goes before or just after the guest is there.
		await(t, m, spec.ID, what, func(cloud.InstanceStatus) bool { return slices.Equal(w.roots(spec), roots) })
		paths, cfg := w.seat(spec)
		if st.Turn != spec.Intent.Disk.Turn || state == cloud.InstanceRunning && (!slices.Equal(paths, seats) || cfg.VCPUs != spec.VCPUs) {
			t.Errorf("%s: turn %d, %v, %d processors", what, st.Turn, paths, cfg.VCPUs)
		}
	}
	bigger := spec
	bigger.VCPUs, bigger.RootGB = 2, 2
	step("resize", turn(bigger, spec.Intent.Disk.Next(cloud.DiskResize, true)), cloud.InstanceRunning, []string{"root", "root.1"}, []string{"root on root.1"})
	if d, err := w.storage.Disk(t.Context(), diskID(spec.ID, "root.1")); err != nil || d.Size != 2*gib {
		t.Errorf("the grown disk: %+v, %v", d, err)
	}
	smaller := spec
	smaller.VCPUs, smaller.RootGB = 1, 1
	step("revert", turn(smaller, spec.Intent.Disk.Back(cloud.DiskRevert)), cloud.InstanceRunning, []string{"root"}, []string{"root on root"})
	step("resize again", turn(spec, spec.Intent.Disk.Next(cloud.DiskResize, true)), cloud.InstanceRunning, []string{"root", "root.2"}, []string{"root on root.2"})
	was := pid(t, m, spec.ID)
	step("confirm", turn(spec, spec.Intent.Disk.Stay()), cloud.InstanceRunning, []string{"root.2"}, []string{"root on root.2"})
	if pid(t, m, spec.ID) != was {
		t.Error("to confirm a resize is to start the guest anew")
	}
	rescue := turn(spec, spec.Intent.Disk.Next(cloud.DiskRescue, true))
	step("rescue", rescue, cloud.InstanceRunning, []string{"root.2", "root.3"}, []string{"root on root.3", "rescued on root.2"})
	step("unrescue", turn(spec, spec.Intent.Disk.Back(cloud.DiskUnrescue)), cloud.InstanceRunning, []string{"root.2"}, []string{"root on root.2"})
	step("stop", with(spec, off), cloud.InstanceStopped, []string{"root.2"}, nil)
	step("rebuild while off", turn(spec, spec.Intent.Disk.Next(cloud.DiskRebuild, false)), cloud.InstanceStopped, []string{"root.4"}, nil)
	if n := w.host.Running(); n != 0 {
		t.Errorf("%d guests run of a server that is off", n)
	}
	step("start", with(spec, on), cloud.InstanceRunning, []string{"root.4"}, []string{"root on root.4"})
	must(t, m.Remove(t.Context(), spec.ID))
	gone(t, m, spec.ID)
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A new image that cannot be had: the server is failed, its other disks stay.
func TestRebuildThatFails(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	good := spec.Image
	spec.Image.Digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	spec = turn(spec, spec.Intent.Disk.Next(cloud.DiskRebuild, false))
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceFailed, 2)
	spec.Image = good
	spec = turn(spec, spec.Intent.Disk.Next(cloud.DiskRebuild, false))
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 3)
}

func TestPauseAndResume(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	was := pid(t, m, spec.ID)
	spec = with(spec, func(in *cloud.Intent) { in.Paused = true })
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstancePaused, 2)
	if _, state := w.host.Guest(spec.ID); state != hypervisor.StatePaused {
		t.Errorf("the guest is %s", state)
	}
	spec = with(spec, func(in *cloud.Intent) { in.Paused = false })
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 3)
	if _, state := w.host.Guest(spec.ID); state != hypervisor.StateRunning || pid(t, m, spec.ID) != was {
		t.Errorf("the guest is %s", state)
	}
}

func TestDiskOwner(t *testing.T) {
	for disk, owner := range map[string]string{"a-b-root": "a-b", "a-b-root.12": "a-b", "a-b-config": "a-b", "a-b-root.x": "", "vol-1": ""} {
		if got := DiskOwner(disk); got != owner {
			t.Errorf("%s: %q, want %q", disk, got, owner)
		}
	}
}

// A copy of the disk is made of a running guest, which runs on, and of a stopped
// one; it goes when it is no longer wanted, or with the server.
func TestSnapshot(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	has := func(image string) bool {
		_, err := w.storage.Disk(t.Context(), cloud.ServerSnapshotDisk(spec.ID, image))
		return err == nil
	}
	was := pid(t, m, spec.ID)
	spec.Snapshots = []string{"i1"}
	must(t, m.Apply(t.Context(), spec))
	await(t, m, spec.ID, "copied", func(st cloud.InstanceStatus) bool { return slices.Equal(st.Snapshots, []string{"i1"}) })
	if _, state := w.host.Guest(spec.ID); state != hypervisor.StateRunning || pid(t, m, spec.ID) != was || !has("i1") {
		t.Errorf("the guest is %s, copy %v", state, has("i1"))
	}
	spec.Snapshots = nil
	must(t, m.Apply(t.Context(), spec))
	await(t, m, spec.ID, "rid of it", func(st cloud.InstanceStatus) bool { return len(st.Snapshots) == 0 })
	if has("i1") {
		t.Error("the copy is left")
	}
	spec = with(spec, off)
	spec.Snapshots = []string{"i2"}
	must(t, m.Apply(t.Context(), spec))
	await(t, m, spec.ID, "copied", func(st cloud.InstanceStatus) bool { return slices.Equal(st.Snapshots, []string{"i2"}) && has("i2") })
	must(t, m.Remove(t.Context(), spec.ID))
	gone(t, m, spec.ID)
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A guest whose processors stand still cannot heed its power button: it is ended
// at once, and nobody waits out the grace.
func TestAPausedGuestIsEndedAtOnce(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	spec = with(spec, func(in *cloud.Intent) { in.Paused = true })
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstancePaused, spec.Intent.Generation)
	spec = with(spec, off)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceStopped, spec.Intent.Generation)
}
