package instance

import (
	"maps"
	"slices"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// volume makes the disk of a volume and gives what a spec says of it.
func (w *world) volume(id string) cloud.InstanceVolume {
	w.t.Helper()
	if _, err := w.storage.BlankDisk(w.t.Context(), cloud.VolumeDisk(id), 1<<20, ""); err != nil {
		w.t.Fatal(err)
	}
	return cloud.InstanceVolume{AttachmentID: "a-" + id, VolumeID: id, Disk: cloud.VolumeDisk(id)}
}

// has are the ids of the guest's disks and NICs, in order.
func (w *world) has(spec cloud.InstanceSpec) (disks, nics []string) {
	cfg, _ := w.host.Guest(spec.ID)
	for _, d := range cfg.Disks {
		disks = append(disks, d.ID)
	}
	for _, n := range cfg.NICs {
		nics = append(nics, n.ID)
	}
	return disks, nics
}

func another(spec cloud.InstanceSpec, change func(*cloud.InstanceSpec)) cloud.InstanceSpec {
	spec = with(spec, func(*cloud.Intent) {})
	spec.Volumes, spec.Ports = slices.Clone(spec.Volumes), slices.Clone(spec.Ports)
	change(&spec)
	return spec
}

var third = cloud.InstancePort{ID: "p3", NetworkID: "n2", MAC: "fa:16:3e:00:00:03"}

func TestVolumesAndPortsComeAndGo(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	own, _ := w.has(spec)
	one, two := w.volume("11111111-2222-4333-8444-555555555555"), w.volume("v2")
	one.ReadOnly = true

	spec = another(spec, func(s *cloud.InstanceSpec) {
		s.Volumes, s.Ports = []cloud.InstanceVolume{one, two}, append(s.Ports, third)
	})
	must(t, m.Apply(t.Context(), spec))
	st := awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	if !slices.Equal(st.Volumes, []string{one.VolumeID, "v2"}) || !slices.Equal(st.Ports, []string{"p1", "p2", "p3"}) || len(st.Refused) > 0 {
		t.Errorf("%+v", st.Observation)
	}
	disks, nics := w.has(spec)
	if !slices.Equal(disks[len(own):], []string{"vol-111111112222", "vol-v2"}) || !slices.Equal(nics, []string{"nic-p1", "nic-p2", "nic-p3"}) {
		t.Errorf("the guest has %v, %v", disks, nics)
	}
	cfg, _ := w.host.Guest(spec.ID)
	if d := cfg.Disks[len(own)]; d.Serial != "11111111-2222-4333-8" || !d.ReadOnly || d.Path == "" {
		t.Errorf("%+v", d)
	}

	// A new agent finds all as it should be, and touches nothing.
	must(t, m.Close())
	m = w.agent()
	again := awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	if !slices.Equal(again.Volumes, st.Volumes) {
		t.Errorf("%+v", again.Observation)
	}

	spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes, s.Ports = s.Volumes[1:], s.Ports[1:] })
	must(t, m.Apply(t.Context(), spec))
	st = awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	if !slices.Equal(st.Volumes, []string{"v2"}) || !slices.Equal(st.Ports, []string{"p2", "p3"}) {
		t.Errorf("%+v", st.Observation)
	}
	if disks, nics = w.has(spec); !slices.Equal(disks[len(own):], []string{"vol-v2"}) || !slices.Equal(nics, []string{"nic-p2", "nic-p3"}) {
		t.Errorf("the guest has %v, %v", disks, nics)
	}
	left := w.ports.list()
	slices.Sort(left)
	if !slices.Equal(left, []string{"port n1/p2", "port n2/p3"}) {
		t.Errorf("taps: %v", left)
	}

	// Off: what is attached meanwhile is there at the next start, before the config drive.
	spec = with(spec, off)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceStopped, spec.Intent.Generation)
	spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes = append(s.Volumes, one) })
	must(t, m.Apply(t.Context(), spec))
	st = awaitState(t, m, spec.ID, cloud.InstanceStopped, spec.Intent.Generation)
	if !slices.Equal(st.Volumes, []string{"v2", one.VolumeID}) {
		t.Errorf("%+v", st.Observation)
	}
	spec = with(spec, on)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	if disks, _ = w.has(spec); !slices.Equal(disks, []string{"root", "ephemeral0", "swap", "vol-v2", "vol-111111112222", "config"}) {
		t.Errorf("after a start: %v", disks)
	}
	must(t, m.Remove(t.Context(), spec.ID))
	gone(t, m, spec.ID)
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := w.storage.Disk(t.Context(), two.Disk); err != nil {
		t.Errorf("a volume went with its server: %v", err)
	}
}

// TestGuestThatClings has a guest that does not let go of a volume: it is asked
// again and again, then that is said; after its reboot the volume is gone.
func TestGuestThatClings(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	w.host.Cling(spec.ID)
	spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes = []cloud.InstanceVolume{w.volume("v1")} })
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	attached := spec.Intent.Generation
	spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes = nil })
	must(t, m.Apply(t.Context(), spec))
	began := w.clock.Now()
	for range unplugTries {
		if st := m.Statuses()[0]; st.Generation != attached || !slices.Equal(st.Volumes, []string{"v1"}) {
			t.Fatalf("%+v", st.Observation)
		}
		w.timers.next(t)
	}
	st := awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	if !slices.Equal(st.Volumes, []string{"v1"}) || st.Refused["v1"] == "" || w.clock.Now().Sub(began) < time.Minute {
		t.Errorf("%+v after %v", st.Observation, w.clock.Now().Sub(began))
	}
	w.host.Reboot(spec.ID)
	st = await(t, m, spec.ID, "rid of the volume", func(st cloud.InstanceStatus) bool { return len(st.Volumes) == 0 })
	if disks, _ := w.has(spec); slices.Contains(disks, "vol-v1") {
		t.Errorf("%+v, %v", st, disks)
	}
}

// TestWantedAgain has a volume attached again while the guest still holds it: when
// it lets go at last, the guest gets it back.
func TestWantedAgain(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	w.host.Cling(spec.ID)
	with1 := another(spec, func(s *cloud.InstanceSpec) { s.Volumes = []cloud.InstanceVolume{w.volume("v1")} })
	must(t, m.Apply(t.Context(), with1))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, with1.Intent.Generation)
	spec = another(with1, func(s *cloud.InstanceSpec) { s.Volumes = nil })
	must(t, m.Apply(t.Context(), spec))
	w.timers.next(t) // it was asked
	spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes = with1.Volumes })
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	plugged := func() bool { disks, _ := w.has(spec); return slices.Contains(disks, "vol-v1") }
	w.host.Reboot(spec.ID)
	late := time.After(2 * time.Minute)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !plugged() {
		select {
		case <-look.C:
		case <-late:
			t.Fatal("the guest did not get the volume back")
		}
	}
}

func TestVolumeThatCannotBePlugged(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	ide := w.volume("v2")
	ide.Bus = "ide"
	spec = another(spec, func(s *cloud.InstanceSpec) {
		s.Volumes = []cloud.InstanceVolume{{VolumeID: "v1", Disk: cloud.VolumeDisk("v1")}, ide, w.volume("v3")}
	})
	must(t, m.Apply(t.Context(), spec))
	st := awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	if got := slices.Sorted(maps.Keys(st.Refused)); !slices.Equal(st.Volumes, []string{"v3"}) || !slices.Equal(got, []string{"v1", "v2"}) {
		t.Errorf("%+v", st.Observation)
	}
	w.volume("v1") // it is there by now, and wanted anew
	spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes = s.Volumes[:1] })
	must(t, m.Apply(t.Context(), spec))
	st = awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	if !slices.Equal(st.Volumes, []string{"v1"}) || len(st.Refused) > 0 {
		t.Errorf("%+v", st.Observation)
	}
}

func TestBootFromVolume(t *testing.T) {
	w := newWorld(t)
	m := w.agent()
	spec := w.spec()
	boot := w.volume("v1")
	boot.Boot = true
	spec.Image, spec.Kernel, spec.Volumes = cloud.ImageRef{}, nil, []cloud.InstanceVolume{boot, w.volume("v2")}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	cfg, _ := w.host.Guest(spec.ID)
	disks, _ := w.has(spec)
	if !slices.Equal(disks, []string{"vol-v1", "ephemeral0", "swap", "vol-v2", "config"}) || cfg.Disks[0].BootIndex != 1 {
		t.Errorf("%v, %+v", disks, cfg.Disks[0])
	}
	if _, err := w.storage.Disk(t.Context(), spec.ID+"-root"); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("a root disk beside the boot volume: %v", err)
	}

	// Rescued, it boots from the image and has the volume beside it.
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRescue, true) })
	spec.Image = w.images.add("rescue")
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	cfg, _ = w.host.Guest(spec.ID)
	at := func(id string) hypervisor.Disk {
		i := slices.IndexFunc(cfg.Disks, func(d hypervisor.Disk) bool { return d.ID == id })
		if i < 0 {
			t.Fatalf("no %s: %+v", id, cfg.Disks)
		}
		return cfg.Disks[i]
	}
	if at("root").BootIndex != 1 || at("vol-v1").BootIndex != 0 {
		t.Errorf("%+v", cfg.Disks)
	}
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Back(cloud.DiskUnrescue) })
	spec.Image = cloud.ImageRef{}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	if disks, _ := w.has(spec); !slices.Equal(disks, []string{"vol-v1", "ephemeral0", "swap", "vol-v2", "config"}) {
		t.Errorf("%v", disks)
	}
	must(t, m.Remove(t.Context(), spec.ID))
	gone(t, m, spec.ID)
	if left := w.leftovers(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
