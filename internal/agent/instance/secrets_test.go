package instance

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk/luks"
	"hearth/internal/vault"
)

// TestKeysOfVolumes: a guest's disk has its key, which the node's files have sealed, and
// the next agent reads; it grows by what the guest sees of it.
func TestKeysOfVolumes(t *testing.T) {
	w := newWorld(t)
	keys := vault.New()
	m := w.agent(func(c *Config) { c.Secrets = keys })
	spec, v := w.spec(), w.volume("v1")
	v.Key = "open sesame"
	spec.Volumes = []cloud.InstanceVolume{v}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	cfg, _ := w.host.Guest(spec.ID)
	found := false
	for _, d := range cfg.Disks {
		found = found || d.ID == "vol-v1" && d.Key == v.Key
	}
	if !found {
		t.Errorf("the guest has no such disk: %+v", cfg.Disks)
	}
	if grown, err := m.GrowVolume(t.Context(), v.Disk, 8<<20); err != nil || !grown {
		t.Errorf("%t, %v", grown, err)
	}
	g, _, err := m.live("test", spec.ID)
	must(t, err)
	devices, err := g.Devices(t.Context())
	must(t, err)
	for _, d := range devices {
		if d.ID == "vol-v1" && d.Size != 8<<20-luks.HeaderSize {
			t.Errorf("the guest sees %d bytes", d.Size)
		}
	}
	must(t, m.Close())
	text, err := os.ReadFile(filepath.Join(w.dir, "instances", spec.ID, specName))
	if err != nil || bytes.Contains(text, []byte("sesame")) {
		t.Errorf("the key can be read in the node's file (%v)", err)
	}
	m = w.agent(func(c *Config) { c.Secrets = keys })
	if again, ok := m.Spec(spec.ID); !ok || again.Volumes[0].Key != v.Key {
		t.Errorf("the next agent does not have the key: %t", ok)
	}
}
