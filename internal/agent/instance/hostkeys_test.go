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

// fakeKeys note what they are asked for. What a draft is about is in its log.
type fakeKeys struct {
	made, applied []string // the ids of disks
	fail          error    // of what makes keys
	stuck         error    // of Apply
	left          string   // why Draft makes none
	none          bool     // Draft finds none
}

func shownOf(root storage.Disk) []string {
	return []string{"256 SHA256:" + root.ID + " no comment (ED25519)"}
}

func (f *fakeKeys) Renew(_ context.Context, _ storage.Image, root storage.Disk) ([]string, error) {
	if f.fail != nil {
		return nil, f.fail
	}
	f.made = append(f.made, root.ID)
	return shownOf(root), nil
}

func (f *fakeKeys) Draft(_ context.Context, root storage.Disk, log string) ([]string, string, error) {
	if f.fail != nil || f.left != "" || f.none {
		return nil, f.left, f.fail
	}
	if _, err := os.Stat(log); err == nil {
		return nil, "", errors.New("a log is there already")
	}
	f.made = append(f.made, root.ID)
	return shownOf(root), "", os.WriteFile(log, []byte(root.ID), 0o600)
}

func (f *fakeKeys) Apply(_ context.Context, root storage.Disk, log string) error {
	if f.stuck != nil {
		return f.stuck
	}
	about, err := os.ReadFile(log)
	if err == nil && string(about) != root.ID {
		err = errors.New("the log is of " + string(about))
	}
	f.applied = append(f.applied, root.ID)
	return err
}

// TestHostKeys has new root disks given keys of their own, once each, and the console
// tell them once.
func TestHostKeys(t *testing.T) {
	w := newWorld(t)
	keys := &fakeKeys{}
	m := w.agent(func(c *Config) { c.HostKeys = keys })
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
	if len(keys.made) != 1 || told() != 1 {
		t.Fatalf("made for %q, told %d times", keys.made, told())
	}
	for n, change := range []func(*cloud.Intent){hard, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskResize, true) }} {
		spec = with(spec, change)
		must(t, m.Apply(t.Context(), spec))
		awaitState(t, m, spec.ID, cloud.InstanceRunning, int64(n+2))
		if len(keys.made) != 1 || told() != 1 {
			t.Fatalf("change %d: made for %q, told %d times", n, keys.made, told())
		}
	}
	spec = with(spec, func(in *cloud.Intent) { in.Disk = in.Disk.Next(cloud.DiskRebuild, false) })
	must(t, m.Apply(t.Context(), spec))
	awaitState(t, m, spec.ID, cloud.InstanceRunning, 4)
	if len(keys.made) != 2 || keys.made[0] == keys.made[1] || told() != 2 {
		t.Errorf("after a rebuild: made for %q, told %d times", keys.made, told())
	}
}

// TestHostKeysAreKept where the owner says so, and where the disk is the server's own.
func TestHostKeysAreKept(t *testing.T) {
	w := newWorld(t)
	m := w.agent(func(c *Config) { c.HostKeys = &fakeKeys{fail: errors.New("no")} })
	kept, own, refused := w.spec(), w.spec(), w.spec()
	kept.ImageProperties = map[string]string{cloud.PropertyHostKeys: cloud.KeepHostKeys}
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
