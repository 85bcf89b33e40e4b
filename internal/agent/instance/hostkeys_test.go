package instance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
	"hearth/internal/driver/storage"
)

// TestHostKeys has new root disks given keys of their own, once each, and the console
// tell them once.
func TestHostKeys(t *testing.T) {
	w := newWorld(t)
	var made []string
	m := w.agent(func(c *Config) {
		c.HostKeys = func(_ context.Context, _ storage.Image, root storage.Disk) ([]string, error) {
			made = append(made, root.ID)
			return []string{"256 SHA256:" + root.ID + " no comment (ED25519)"}, nil
		}
	})
	spec := w.spec()
	told := func() int {
		text, err := os.ReadFile(filepath.Join(m.GuestDir(spec.ID), hypervisor.FileConsole))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "BEGIN SSH HOST KEY FINGERPRINTS-----\r\n256 SHA256:"+spec.ID)
	}
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	if len(made) != 1 || told() != 1 {
		t.Fatalf("made for %q, told %d times", made, told())
	}
	for n, change := range []func(*cloud.Intent){hard, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskResize, true) }} {
		spec = with(spec, change)
		must(t, m.Apply(t.Context(), spec))
		awaitState(t, m, spec.ID, cloud.InstanceRunning, int64(n+2))
		if len(made) != 1 || told() != 1 {
			t.Fatalf("change %d: made for %q, told %d times", n, made, told())
		}
	}
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRebuild, false) })
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 4)
	if len(made) != 2 || made[0] == made[1] || told() != 2 {
		t.Errorf("after a rebuild: made for %q, told %d times", made, told())
	}
}

// TestHostKeysAreKept where the owner says so, and where the disk is the server's own.
func TestHostKeysAreKept(t *testing.T) {
	w := newWorld(t)
	m := w.agent(func(c *Config) {
		c.HostKeys = func(context.Context, storage.Image, storage.Disk) ([]string, error) { return nil, errors.New("no") }
	})
	kept, own, refused := w.spec(), w.spec(), w.spec()
	kept.ImageProperties = map[string]string{PropertyHostKeys: KeepHostKeys}
	own.ImageProperties = map[string]string{"instance_uuid": own.ID}
	for _, spec := range []cloud.InstanceSpec{kept, own} {
		must(t, m.Apply(t.Context(), spec))
		awaitState(t, m, spec.ID, cloud.InstanceRunning, 1)
	}
	ownsNone := ownsHostKeys(kept) || ownsHostKeys(own)
	if ownsNone || !ownsHostKeys(refused) {
		t.Error("whose keys are made new is not as it should be")
	}
}
