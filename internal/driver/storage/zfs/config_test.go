package zfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
)

// TestDatasetsThatCannotBeUsed says why.
func TestDatasetsThatCannotBeUsed(t *testing.T) {
	for state, c := range map[string]struct {
		kind cloud.Kind
		want string
	}{
		"health=SUSPENDED": {cloud.Unavailable, "zpool clear tank"}, "readonly=on": {cloud.Unavailable, "read-only"}, "type=volume": {cloud.Unavailable, "is a volume"},
		"keystatus=unavailable": {cloud.Unavailable, "zfs load-key"}, "health=DEGRADED": {}, "available=1000": {cloud.NoCapacity, "is full"},
	} {
		f := newFakeZFS(t)
		p := place{host: f, dataset: "tank/hearth"}
		d := p.open(t, "")
		write(t, d, "before", text("before"))
		name, value, _ := strings.Cut(state, "=")
		f.state[name] = value
		_, err := d.BlankDisk(t.Context(), "late", 1<<20, "")
		if c.want == "" && err != nil || c.want != "" && (!cloud.Is(err, c.kind) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", state, err)
		}
		if _, err := d.Disk(t.Context(), "before"); err != nil {
			t.Errorf("%s: a disk cannot be looked at: %v", state, err)
		}
	}
}

// TestAdoptionOfWhatIsOpen is refused, and a device that is looked at for a moment is waited for.
func TestAdoptionOfWhatIsOpen(t *testing.T) {
	f := newFakeZFS(t)
	d := place{host: f, dataset: "tank/hearth"}.open(t, "")
	if said := f.change([]string{"create", "-b", "16384", "-V", "1048576", "tank/hearth/data"}); said != "" {
		t.Fatal(said)
	}
	f.opened = "process 7"
	if _, err := d.AdoptDisk(t.Context(), "a", "data"); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "process 7") {
		t.Errorf("an open volume: %v", err)
	}
	f.opened = ""
	if _, err := d.AdoptDisk(t.Context(), "a", "data"); err != nil {
		t.Error(err)
	}
	f.busy = 2
	if err := d.RemoveDisk(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// TestPartitionTables of guests are not to be read by the kernel of their host.
func TestPartitionTables(t *testing.T) {
	f := newFakeZFS(t)
	f.state["volmode"] = "default"
	if _, err := open(t.Context(), Config{Dataset: "tank/hearth", Owner: "node", Tmp: t.TempDir()}, f); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "zfs set volmode=dev tank/hearth") {
		t.Error(err)
	}
}

// TestConfig refuses what would be other words of the commands'.
func TestConfig(t *testing.T) {
	good := Config{Dataset: "tank/hearth", Owner: "node", Tmp: t.TempDir()}
	for _, bad := range []func(*Config){
		func(c *Config) { c.Dataset = "" }, func(c *Config) { c.Dataset = "-r" }, func(c *Config) { c.Dataset = "tank/../x" }, func(c *Config) { c.Dataset = "tank/a@b" },
		func(c *Config) { c.Dataset = "tank/" + strings.Repeat("a", 80) }, func(c *Config) { c.Owner = "" }, func(c *Config) { c.Owner = "a=b,c" },
		func(c *Config) { c.BlockSize = "12k" }, func(c *Config) { c.BlockSize = "256k" }, func(c *Config) { c.BlockSize = "256" }, func(c *Config) { c.BlockSize = "x" },
	} {
		cfg := good
		bad(&cfg)
		if _, err := open(t.Context(), cfg, newFakeZFS(t)); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	for text, want := range map[string]int64{"": 16384, "512": 512, "8k": 8192, "128K": 131072, "16384": 16384} {
		if got, ok := blockSize(text); !ok || got != want {
			t.Errorf("%q: %d, %v", text, got, ok)
		}
	}
}

// TestWithoutZFS asks the commands of a host that has none, or no module for its kernel.
func TestWithoutZFS(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := New(t.Context(), Config{Dataset: "tank/hearth", Owner: "node", Tmp: t.TempDir()}); !cloud.Is(err, cloud.Unsupported) || !strings.Contains(err.Error(), "zfsutils-linux") {
		t.Errorf("without the commands: %v", err)
	}
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip(err)
	}
	program := filepath.Join(os.Getenv("PATH"), "zpool")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho 'The ZFS modules are not loaded.' >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := New(t.Context(), Config{Dataset: "tank/hearth", Owner: "node", Tmp: t.TempDir()}); !cloud.Is(err, cloud.Unsupported) || !strings.Contains(err.Error(), "not loaded") {
		t.Errorf("without the module: %v", err)
	}
}
