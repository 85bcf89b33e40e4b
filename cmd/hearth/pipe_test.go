package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hearth/internal/disk/dump"
	"hearth/internal/disk/ganeti"
	"hearth/internal/disk/netconf"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

// TestPipesAreNotWaitedFor gives what imports files a pipe into which nobody writes.
func TestPipesAreNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	fifo, yaml, subnet, config := filepath.Join(dir, "fifo"), filepath.Join(dir, "a.yaml"), filepath.Join(dir, "subnets", "vlan42"), filepath.Join(dir, "config.ini")
	if err := os.Mkdir(filepath.Dir(subnet), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, yaml, subnet, config} {
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	walk := func(from tree.Source) error {
		return from.Walk(t.Context(), func(*tree.Entry, io.Reader) error { return nil })
	}
	for name, read := range map[string]func() error{
		"import opennebula, ganeti export-dir": func() error { _, err := readSettings(fifo); return err },
		"os-def import":                        func() error { _, err := readDefinition(fifo, nil); return err },
		"os-def import of YAML":                func() error { _, err := readDefinition(yaml, nil); return err },
		"os-def read":                          func() error { _, err := osdef.Read(fifo); return err },
		"network import-dir":                   func() error { _, err := netconf.ReadDir(os.DirFS(dir)); return err },
		"image inject --network":               func() error { _, err := injectNetwork(fifo, ""); return err },
		"image inject --file":                  func() error { _, err := injectFile(fifo + ":/x"); return err },
		"image inject --ssh-key":               func() error { _, err := publicKeys(fifo); return err },
		"image import --keyring":               func() error { _, err := webImport{keyring: fifo}.request(); return err },
		"image import --signature":             func() error { _, err := webImport{signature: fifo}.request(); return err },
		"volume import":                        func() error { _, err := detected(fifo); return err },
		"bake publish --key":                   func() error { _, err := signingKey(fifo); return err },
		"deploy of an export":                  func() error { _, err := ganeti.ReadExport(dir); return err },
		"os-def overlay put":                   func() error { return walk(tarball.File(fifo)) },
		"a dump":                               func() error { return walk(dump.File(fifo)) },
	} {
		done := make(chan error, 1)
		go func() { done <- read() }()
		select {
		case err := <-done:
			if err == nil || !strings.Contains(err.Error(), "a pipe") && !strings.Contains(err.Error(), "not a file") {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s waits for a writer", name)
		}
	}
}
