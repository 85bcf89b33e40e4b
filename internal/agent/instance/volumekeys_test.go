package instance

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// fromVolume is an instance that boots from the volume v1 for the first time.
func (w *world) fromVolume() cloud.InstanceSpec {
	spec, v := w.spec(), w.volume("v1")
	v.Boot, v.SizeGB, v.NewKeys, spec.Image, spec.Kernel = true, 1, true, cloud.ImageRef{}, nil
	spec.Volumes = []cloud.InstanceVolume{v}
	return spec
}

// told is how often an instance's console has told the fingerprints of the keys on a disk.
func told(t *testing.T, m *Manager, id, disk string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.GuestDir(id), hypervisor.FileConsole))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "BEGIN SSH HOST KEY FINGERPRINTS-----\r\n256 SHA256:"+disk)
}

// logOf tells whether there is a log of an instance's.
func logOf(m *Manager, id string) bool {
	_, err := os.Stat(filepath.Join(m.Dir, id, volumeKeysLog))
	return err == nil
}

// says is what Explain tells of the host keys.
func says(t *testing.T, m *Manager, id string) string {
	t.Helper()
	facts, err := m.Explain(t.Context(), id)
	must(t, err)
	for _, f := range facts {
		if f.Topic == "host keys" {
			return f.Value
		}
	}
	return ""
}

// TestVolumeHostKeys has the keys on a boot volume made new at the first start and when
// the volume gets an image anew, and at no other time, whatever the head says and
// whatever becomes of the agent's record.
func TestVolumeHostKeys(t *testing.T) {
	w, keys := newWorld(t), &fakeKeys{}
	use := func(c *Config) { c.HostKeys = keys }
	m, spec := w.agent(use), w.fromVolume()
	disk := spec.Volumes[0].Disk
	check := func(what string, times int) {
		t.Helper()
		if len(keys.made) != times || len(keys.applied) != times || told(t, m, spec.ID, disk) != times || logOf(m, spec.ID) {
			t.Fatalf("after the %s: made for %q, applied to %q, told %d times, a log: %v", what, keys.made, keys.applied, told(t, m, spec.ID, disk), logOf(m, spec.ID))
		}
	}
	apply := func() {
		t.Helper()
		must(t, m.Apply(t.Context(), spec))
		awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
	}
	apply()
	check("first start", 1)
	if got := says(t, m, spec.ID); got != "made new on volume v1: 256 SHA256:"+disk+" no comment (ED25519)" {
		t.Errorf("explained as %q", got)
	}
	spec = with(spec, hard) // with the word of the head's of before
	apply()
	check("hard reboot", 1)
	spec = another(spec, func(s *cloud.InstanceSpec) {
		s.Volumes = slices.Clone(s.Volumes)
		s.Volumes[0].NewKeys = false
	})
	for _, change := range []func(*cloud.Intent){
		func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRebuild, false) }, // of all but the volume
		func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskResize, true) },
		func(in *cloud.Intent) { in.Disk = in.Disk.Stay() },
	} {
		spec = with(spec, change)
		apply()
		check("rebuild, resize, confirmation", 1)
	}
	image := w.images.add("another")
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRebuild, false) })
	spec.Volumes = slices.Clone(spec.Volumes)
	spec.Volumes[0].Image, spec.Volumes[0].NewKeys = &image, true
	apply()
	check("new image", 2)

	must(t, m.Close())
	must(t, os.WriteFile(filepath.Join(m.Dir, spec.ID, stateName), []byte("?"), 0o600))
	w.host.Crash(spec.ID)
	m = w.agent(use)
	spec = with(spec, hard)
	apply()
	if len(keys.made) != 2 || len(keys.applied) != 2 {
		t.Errorf("without a record: made for %q, applied to %q", keys.made, keys.applied)
	}
}

// TestVolumeHostKeysAfterTheImage has the keys made new on what the image has put on
// the volume, not on what was there.
func TestVolumeHostKeysAfterTheImage(t *testing.T) {
	w := newWorld(t)
	var order []string
	m := w.agent(func(c *Config) {
		c.HostKeys = &fakeKeys{}
		c.Hook = func(p string) {
			if p == "instance.reimage.after" || p == "instance.keys.before" || p == "instance.keys.after" || p == "instance.guest.before" {
				order = append(order, strings.TrimPrefix(p, "instance."))
			}
		}
	})
	spec := w.fromVolume()
	image := w.images.add("another")
	spec.Volumes[0].Image = &image
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	must(t, m.Close())
	if want := []string{"reimage.after", "keys.before", "keys.after", "guest.before"}; !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
}

// TestVolumeHostKeysStay where the head or the image says so, where the node cannot
// reach the bytes, and where the guest has none to change.
func TestVolumeHostKeysStay(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*cloud.InstanceSpec)
		keys   fakeKeys
		says   string
	}{
		"not the first start": {change: func(s *cloud.InstanceSpec) { s.Volumes[0].NewKeys = false }},
		"kept by the image": {change: func(s *cloud.InstanceSpec) {
			s.ImageProperties = map[string]string{cloud.PropertyHostKeys: cloud.KeepHostKeys}
		}},
		"encrypted":    {change: func(s *cloud.InstanceSpec) { s.Volumes[0].Key = "secret" }, says: "left as they are on volume v1: the volume is encrypted"},
		"read-only":    {change: func(s *cloud.InstanceSpec) { s.Volumes[0].ReadOnly = true }, says: "left as they are on volume v1: the volume is read-only"},
		"out of reach": {keys: fakeKeys{left: "it is in Ceph"}, says: "left as they are on volume v1: it is in Ceph"},
		"none":         {keys: fakeKeys{none: true}, says: "the guest of volume v1 makes its own, or has none"},
	} {
		t.Run(name, func(t *testing.T) {
			w, keys := newWorld(t), &c.keys
			m := w.agent(func(cfg *Config) { cfg.HostKeys = keys })
			spec := w.fromVolume()
			if c.change != nil {
				c.change(&spec)
			}
			must(t, m.Apply(t.Context(), spec))
			awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
			if len(keys.made) > 0 || len(keys.applied) > 0 || told(t, m, spec.ID, "") > 0 || says(t, m, spec.ID) != c.says {
				t.Errorf("made for %q, applied to %q, told %d times, explained as %q", keys.made, keys.applied, told(t, m, spec.ID, ""), says(t, m, spec.ID))
			}
		})
	}
	remote := cloud.InstanceVolume{Source: cloud.VolumeSource{Node: "node-2"}}
	if got := unreached(remote); got != "the volume is on the node node-2" {
		t.Errorf("a volume of another node: %q", got)
	}
}

// TestVolumeHostKeysFail: a server is not started with keys that were to be made new,
// and its owner is told what keeps them.
func TestVolumeHostKeysFail(t *testing.T) {
	w := newWorld(t)
	m := w.agent(func(c *Config) { c.HostKeys, c.Attempts = &fakeKeys{fail: errors.New("no")}, 1 })
	spec := w.fromVolume()
	must(t, m.Apply(t.Context(), spec))
	st := awaitState(t, m, spec.ID, cloud.InstanceFailed, 1)
	if !strings.Contains(st.Error, "hearth_host_keys=keep") || w.host.Running() > 0 {
		t.Errorf("%q, %d guests", st.Error, w.host.Running())
	}
}

// TestKilledOverVolumeHostKeys kills the agent at each point, and then has the start go
// on or the instance removed: the volume has the new keys whole or, when it goes before
// they count, those it had.
func TestKilledOverVolumeHostKeys(t *testing.T) {
	for point, noted := range map[string]bool{
		"instance.host-keys.before": false, "instance.keys.before": false, "instance.keys.drafted": false,
		"instance.keys.noted": true, "instance.keys.applied": true, "instance.keys.after": true, "instance.host-keys.after": true,
	} {
		for _, remove := range []bool{false, true} {
			name := point + ", goes on"
			if remove {
				name = point + ", removed"
			}
			t.Run(name, func(t *testing.T) {
				w, keys := newWorld(t), &fakeKeys{}
				reached := make(chan struct{})
				m := w.agent(func(c *Config) {
					c.HostKeys = keys
					c.Hook = func(p string) {
						if p == point {
							close(reached)
							runtime.Goexit()
						}
					}
				})
				spec := w.fromVolume()
				disk := spec.Volumes[0].Disk
				must(t, m.Apply(t.Context(), spec))
				<-reached
				_ = m.Close()
				var counted atomic.Bool // which the second agent may come to before it hears that the server goes
				counted.Store(noted)
				m = w.agent(func(c *Config) {
					c.HostKeys = keys
					c.Hook = func(p string) {
						if p == "instance.keys.noted" {
							counted.Store(true)
						}
					}
				})
				if remove {
					must(t, m.Remove(t.Context(), spec.ID))
					gone(t, m, spec.ID)
					if whole := slices.Contains(keys.applied, disk); whole != counted.Load() {
						t.Errorf("applied to %q, counted %v", keys.applied, counted.Load())
					}
					return
				}
				awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
				if !slices.Contains(keys.applied, disk) || told(t, m, spec.ID, disk) != 1 || logOf(m, spec.ID) {
					t.Errorf("made for %q, applied to %q, told %d times, a log: %v", keys.made, keys.applied, told(t, m, spec.ID, disk), logOf(m, spec.ID))
				}
				if noted && len(keys.made) != 1 {
					t.Errorf("keys that counted were made again: %q", keys.made)
				}
			})
		}
	}
}

// TestHalfWrittenVolumeHostKeys: once a part may be on the volume, it is made whole
// whatever is wanted by then, unless an image has taken the place of all of it.
func TestHalfWrittenVolumeHostKeys(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(w *world, s *cloud.InstanceSpec)
		applied bool
	}{
		"kept by now": {func(_ *world, s *cloud.InstanceSpec) { s.Volumes[0].NewKeys = false }, true},
		"rescued": {func(w *world, s *cloud.InstanceSpec) {
			s.Intent.Disk = s.Intent.Disk.Next(cloud.DiskRescue, true)
			s.Image, s.RescueAs = w.images.add("rescue"), &cloud.RescueAs{Device: "disk", Bus: "virtio"}
		}, true},
		"another image, kept": {func(w *world, s *cloud.InstanceSpec) {
			image := w.images.add("another")
			s.Intent.Disk = s.Intent.Disk.Next(cloud.DiskRebuild, false)
			s.Volumes[0].Image, s.Volumes[0].NewKeys = &image, false
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, keys := newWorld(t), &fakeKeys{stuck: cloud.E("x", cloud.Invalid, "the disk is full")}
			m := w.agent(func(cfg *Config) { cfg.HostKeys = keys })
			spec := w.fromVolume()
			must(t, m.Apply(t.Context(), spec))
			awaitState(t, m, spec.ID, cloud.InstanceFailed, 1)
			if !logOf(m, spec.ID) {
				t.Fatal("the log is gone")
			}
			keys.stuck = nil
			spec = another(spec, func(s *cloud.InstanceSpec) {
				s.Volumes = slices.Clone(s.Volumes)
				c.change(w, s)
			})
			must(t, m.Apply(t.Context(), spec))
			awaitState(t, m, spec.ID, cloud.InstanceRunning, spec.Intent.Generation)
			if got := len(keys.applied) > 0; got != c.applied || len(keys.made) != 1 || logOf(m, spec.ID) {
				t.Errorf("applied to %q, made for %q, a log: %v", keys.applied, keys.made, logOf(m, spec.ID))
			}
		})
	}
}
