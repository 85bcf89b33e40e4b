package plugin

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/storagetest"
)

// example builds the plug-in that others may begin with.
func example(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "storageplugin")
	if out, err := exec.Command("go", "build", "-o", path, "hearth/test/storageplugin").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func config(t *testing.T, program string, options map[string]string) Config {
	t.Helper()
	if options["dir"] == "" {
		options["dir"] = t.TempDir()
	}
	return Config{Path: program, Options: options, Owner: "test", Tmp: t.TempDir(), Kitchen: file.DiskRoom{Runner: &disk.Runner{}}, Clock: cloud.SystemClock{}}
}

func opened(t *testing.T, cfg Config) *Driver {
	t.Helper()
	d, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestSuite(t *testing.T) {
	program := example(t)
	storagetest.Run(t, func(t *testing.T) storage.Driver { return opened(t, config(t, program, map[string]string{})) })
}

// script is a plug-in of a few lines of shell.
func script(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const hello = `read x; echo '{"jsonrpc":"2.0","id":1,"result":{"protocol":1,"capabilities":[]}}'
`

func TestPluginsThatCannotBeUsed(t *testing.T) {
	for lines, want := range map[string]string{
		"exit 1":                       "died",
		"echo so it is >&2; exit 1":    "it said: so it is",
		"echo nonsense; sleep 100":     "no JSON",
		"read x; sleep 100":            "did not answer hello",
		hello + "read x; exit 1":       "died",
		hello + "read x; sleep 100 & ": "died", // although a child of its holds the pipes
		`read x; echo '{"id":1,"result":{"protocol":2}}'; sleep 100`:                                           "speaks version 2",
		`read x; echo '{"id":1,"error":{"message":"no array","data":{"kind":"unavailable"}}}'; sleep 100`:      "no array",
		hello + `read x; echo '{"id":2,"result":{"disks":[{"name":"d-x","path":"x","size":512}]}}'; sleep 100`: "absolute path",
		hello + `read x; echo '{"id":2,"result":[1]}'; sleep 100`:                                              "docs/storage-plugins.md",
	} {
		cfg := config(t, script(t, lines), map[string]string{})
		cfg.Quick = 300 * time.Millisecond
		if d, err := New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", lines, d, err, want)
		}
	}
	if _, err := New(t.Context(), config(t, "/nowhere/plugin", map[string]string{})); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("a program that is not there: %v", err)
	}
}

// TestAPluginThatDies is started again, and has what it kept.
func TestAPluginThatDies(t *testing.T) {
	clock := cloud.NewFakeClock()
	cfg := config(t, example(t), map[string]string{"die": "4"}) // hello, list, get, create: at the making of a disk
	cfg.Clock = clock
	d := opened(t, cfg)
	if _, err := d.BlankDisk(t.Context(), "a", 1<<20, ""); !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), "dying, as I was told") {
		t.Fatalf("the plug-in died and it was said: %v", err)
	}
	if _, _, err := d.Usage(t.Context()); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("it was started again at once: %v", err)
	}
	clock.Advance(2 * time.Second)
	if _, _, err := d.Usage(t.Context()); err != nil {
		t.Errorf("it is not started again: %v", err)
	}
	if _, err := d.Disk(t.Context(), "a"); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("half a disk is there: %v", err)
	}
	delete(cfg.Options, "die")
	left, err := os.ReadDir(cfg.Options["dir"])
	if err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name(), "p-test.") {
		t.Fatalf("the part is to be left: %v, %v", left, err)
	}
	cfg.Owner = "other"
	opened(t, cfg)
	if left, _ := os.ReadDir(cfg.Options["dir"]); len(left) != 1 {
		t.Error("another's part was swept")
	}
	cfg.Owner = "test"
	if _, err := opened(t, cfg).BlankDisk(t.Context(), "a", 1<<20, ""); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(cfg.Options["dir"]); len(left) != 1 || left[0].Name() != "d-a" {
		t.Errorf("the part is not swept: %v", left)
	}
}

func TestAPluginThatHangs(t *testing.T) {
	cfg := config(t, example(t), map[string]string{"hang": "usage"})
	cfg.Quick = 3 * time.Second
	d := opened(t, cfg)
	if _, _, err := d.Usage(t.Context()); !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), "did not answer usage within 3s") {
		t.Errorf("got %v", err)
	}
	if _, err := d.Disks(t.Context()); err != nil {
		t.Errorf("it is not started again: %v", err)
	}
}
