package instance

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/storage"
)

// calls counts those of the storage driver that are about volumes.
func (w *world) calls() func() []string {
	var mu sync.Mutex
	var all []string
	w.storage.Fail(func(op, id string) error {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(id, cloud.VolumeDisk("")) {
			all = append(all, op+" "+id)
		}
		return nil
	})
	return func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(all) }
}

// swapped is a spec in which v2 takes the place of v1.
func (w *world) swapped(spec cloud.InstanceSpec) cloud.InstanceSpec {
	return another(spec, func(s *cloud.InstanceSpec) {
		v2 := w.volume("v2")
		v2.Swaps, v2.SwapsDisk = "v1", cloud.VolumeDisk("v1")
		s.Volumes = []cloud.InstanceVolume{v2}
	})
}

func volumesOf(disks []string) (out []string) {
	return slices.DeleteFunc(slices.Clone(disks), func(id string) bool { return !strings.HasPrefix(id, volumePrefix) })
}

// TestSwapUnderAGuest has a volume take another's place while the guest runs, and
// while it stands still: the storage copies nothing.
func TestSwapUnderAGuest(t *testing.T) {
	for name, change := range map[string]func(*cloud.Intent){"running": on, "paused": func(in *cloud.Intent) { in.Paused = true }} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, spec := running(t, w)
			spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes = []cloud.InstanceVolume{w.volume("v1")} })
			change(&spec.Intent)
			must(t, m.Apply(t.Context(), spec))
			state := cloud.InstanceRunning
			if spec.Intent.Paused {
				state = cloud.InstancePaused
			}
			awaitState(t, m, spec.ID, state, spec.Intent.Generation)
			calls := w.calls()
			spec = w.swapped(spec)
			must(t, m.Apply(t.Context(), spec))
			st := awaitState(t, m, spec.ID, state, spec.Intent.Generation)
			disks, _ := w.has(spec)
			if !slices.Equal(st.Volumes, []string{"v2"}) || !slices.Equal(volumesOf(disks), []string{"vol-v2"}) {
				t.Errorf("%+v, %v", st.Observation, disks)
			}
			for _, c := range calls() {
				if strings.HasPrefix(c, "RevertDisk") {
					t.Error(c)
				}
			}
		})
	}
}

// TestSwapWithoutAGuest has the storage copy, once, for a guest that ended before
// its disk was whole.
func TestSwapWithoutAGuest(t *testing.T) {
	w := newWorld(t)
	m, spec := running(t, w)
	spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes = []cloud.InstanceVolume{w.volume("v1")} })
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	calls := w.calls()
	spec = w.swapped(with(spec, off))
	must(t, m.Apply(t.Context(), spec))
	st := awaitState(t, m, spec.ID, cloud.InstanceStopped, spec.Intent.Generation)
	spec = with(spec, on)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	copies := slices.DeleteFunc(calls(), func(c string) bool { return !strings.HasPrefix(c, "RevertDisk") })
	disks, _ := w.has(spec)
	if !slices.Equal(st.Volumes, []string{"v2"}) || !slices.Equal(copies, []string{"RevertDisk volume-v2"}) || !slices.Equal(volumesOf(disks), []string{"vol-v2"}) {
		t.Errorf("%+v, copied %v, disks %v", st.Observation, copies, disks)
	}
}

// TestGuestEndsInASwap kills the agent, and then the guest, at each point of a swap.
// Before it is written down that both disks are alike, the old one counts and is
// copied; after that the new one must not be written over.
func TestGuestEndsInASwap(t *testing.T) {
	for point, copied := range map[string]bool{"instance.swap.before": true, "instance.swap.alike": true, "instance.swap.noted": false, "instance.swap.after": false} {
		t.Run(point, func(t *testing.T) {
			w := newWorld(t)
			m, spec := running(t, w)
			spec = another(spec, func(s *cloud.InstanceSpec) { s.Volumes = []cloud.InstanceVolume{w.volume("v1")} })
			must(t, m.Apply(t.Context(), spec))
			awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
			must(t, m.Close())
			reached := make(chan struct{})
			m = w.agent(func(c *Config) {
				c.Hook = func(p string) {
					if p == point {
						close(reached)
						runtime.Goexit()
					}
				}
			})
			spec = w.swapped(spec)
			must(t, m.Apply(t.Context(), spec))
			<-reached
			_ = m.Close()
			w.host.Crash(spec.ID)
			calls := w.calls()
			m = w.agent()
			spec = with(spec, hard)
			must(t, m.Apply(t.Context(), spec))
			st := awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
			if got := slices.Contains(calls(), "RevertDisk volume-v2"); got != copied || !slices.Equal(st.Volumes, []string{"v2"}) {
				t.Errorf("copied %v, want %v; %+v", got, copied, st.Observation)
			}
		})
	}
}

// TestStableRescue has a server rescued by a disk that comes last, of another bus.
func TestStableRescue(t *testing.T) {
	for name, boot := range map[string]bool{"of its own disk": false, "of a volume": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			m, spec := w.agent(), w.spec()
			first := rootDisk
			if boot {
				v := w.volume("v1")
				v.Boot, spec.Image, spec.Kernel, first = true, cloud.ImageRef{}, nil, "vol-v1"
				spec.Volumes = []cloud.InstanceVolume{v}
			}
			must(t, m.Apply(t.Context(), spec))
			awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
			before, _ := w.has(spec)
			spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRescue, true) })
			spec.Image, spec.RescueAs = w.images.add("rescue"), &cloud.RescueAs{Device: "cdrom", Bus: "scsi"}
			must(t, m.Apply(t.Context(), spec))
			awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
			cfg, _ := w.host.Guest(spec.ID)
			disks, _ := w.has(spec)
			last := cfg.Disks[len(cfg.Disks)-1]
			if !slices.Equal(disks, append(slices.Clone(before), rescueDisk)) || disks[0] != first || cfg.Disks[0].BootIndex != 0 || cfg.Kernel != "" {
				t.Errorf("%v, before %v; %+v", disks, before, cfg.Disks[0])
			}
			if last.BootIndex != 1 || !last.CDROM || !last.ReadOnly || last.Bus != hypervisor.BusSCSI || !strings.Contains(last.Path, "root.1") {
				t.Errorf("%+v", last)
			}
			spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Back(cloud.DiskUnrescue) })
			spec.RescueAs = nil
			must(t, m.Apply(t.Context(), spec))
			awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
			if disks, _ := w.has(spec); !slices.Equal(disks, before) {
				t.Errorf("%v, before %v", disks, before)
			}
		})
	}
}

// TestReimage has a boot volume made anew once for a rebuild, whatever becomes of
// the agent's record.
func TestReimage(t *testing.T) {
	w := newWorld(t)
	m, spec := w.agent(), w.spec()
	v := w.volume("v1")
	v.Boot, v.SizeGB, spec.Image, spec.Kernel = true, 1, cloud.ImageRef{}, nil
	spec.Volumes = []cloud.InstanceVolume{v}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	calls := w.calls()
	image := w.images.add("another")
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRebuild, false) })
	spec.Volumes = slices.Clone(spec.Volumes)
	spec.Volumes[0].Image = &image
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	spec = with(spec, hard)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	made := slices.DeleteFunc(calls(), func(c string) bool { return !strings.HasPrefix(c, "CloneDisk") })
	d, err := w.storage.Disk(t.Context(), v.Disk)
	if !slices.Equal(made, []string{"CloneDisk volume-v1.seed"}) || err != nil || d.Backing == "" {
		t.Errorf("made %v; %+v, %v", made, d, err)
	}
}

// TestReimageFails: a boot volume that cannot be made anew has what it had.
func TestReimageFails(t *testing.T) {
	w := newWorld(t)
	m, spec := w.agent(), w.spec()
	v := w.volume("v1")
	v.Boot, v.SizeGB, spec.Image, spec.Kernel = true, 1, cloud.ImageRef{}, nil
	spec.Volumes = []cloud.InstanceVolume{v}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	before, err := w.storage.Disk(t.Context(), v.Disk)
	must(t, err)
	w.storage.Fail(func(op, _ string) error {
		if op == "CloneDisk" {
			return cloud.E("storage.CloneDisk", cloud.Invalid, "not so")
		}
		return nil
	})
	image := w.images.add("another")
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRebuild, false) })
	spec.Volumes = slices.Clone(spec.Volumes)
	spec.Volumes[0].Image = &image
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceFailed, spec.Intent.Generation)
	w.storage.Fail(nil)
	if d, err := w.storage.Disk(t.Context(), v.Disk); err != nil || d != before {
		t.Errorf("%+v, %v; was %+v", d, err, before)
	}
	if list, err := w.storage.Disks(t.Context()); err != nil || slices.ContainsFunc(list, func(d storage.Disk) bool { return storage.IsBeside(d.ID) }) {
		t.Errorf("left beside: %+v, %v", list, err)
	}
}
