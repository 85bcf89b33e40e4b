package instance

import (
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// ranOnce is an agent with a server that was started, and is off.
func ranOnce(t *testing.T, w *world, keys *fakeKeys, spec cloud.InstanceSpec) (*Manager, cloud.InstanceSpec) {
	t.Helper()
	m := w.agent(func(cfg *Config) { cfg.HostKeys = keys })
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	spec = with(spec, off)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceStopped, spec.Intent.Generation)
	return m, spec
}

// TestReplacedRoot: a server that is off gets the disk of another image, with nothing of
// it made new, keeps the old one until that is given up, and runs on the new one. One
// that cannot be had leaves it off, on its old disk.
func TestReplacedRoot(t *testing.T) {
	w, keys := newWorld(t), &fakeKeys{}
	m, spec := ranOnce(t, w, keys, w.spec())
	made, own := len(keys.made), spec.Image

	spec = turn(spec, spec.Intent.Disk.Next(cloud.DiskReplace, true))
	spec.Image.Digest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceFailed, spec.Intent.Generation)
	spec = turn(spec, spec.Intent.Disk.Back(cloud.DiskFirst))
	spec.Image = own
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceStopped, spec.Intent.Generation)
	if roots := w.roots(spec); !slices.Equal(roots, []string{"root"}) {
		t.Errorf("after a failure: %v", roots)
	}

	spec = turn(spec, spec.Intent.Disk.Next(cloud.DiskReplace, true))
	spec.Image = w.images.add("changed")
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceStopped, spec.Intent.Generation)
	if roots := w.roots(spec); !slices.Equal(roots, []string{"root", "root.2"}) {
		t.Errorf("replaced: %v", roots)
	}
	spec = turn(spec, spec.Intent.Disk.Stay())
	spec.Image = own
	must(t, m.Apply(t.Context(), spec))
	await(t, m, spec.ID, "given up", func(cloud.InstanceStatus) bool { return slices.Equal(w.roots(spec), []string{"root.2"}) })
	spec = with(spec, on)
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	if paths, _ := w.seat(spec); !slices.Equal(paths, []string{"root on root.2"}) || len(keys.made) != made {
		t.Errorf("runs on %v; keys made for %q", paths, keys.made)
	}
}

// TestReplacedBootVolume: the volume gets the image's content once, and its keys stay.
func TestReplacedBootVolume(t *testing.T) {
	w, keys := newWorld(t), &fakeKeys{}
	m, spec := ranOnce(t, w, keys, w.fromVolume())
	made, calls := len(keys.made), w.calls()
	image := w.images.add("changed")
	spec = another(spec, func(s *cloud.InstanceSpec) {
		s.Intent.Disk = s.Intent.Disk.Next(cloud.DiskReplace, true)
		s.Volumes = slices.Clone(s.Volumes)
		s.Volumes[0].Image, s.Volumes[0].NewKeys = &image, false
	})
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceStopped, spec.Intent.Generation)
	cloned := slices.DeleteFunc(calls(), func(c string) bool { return c != "CloneDisk "+storage.Beside(spec.Volumes[0].Disk) })
	if len(cloned) != 1 || len(keys.made) != made {
		t.Errorf("%v, keys made for %q", cloned, keys.made)
	}
}
