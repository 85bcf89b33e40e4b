package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/config"
)

// TestPossibleFiles: what cannot be made in the end is refused before anything is done to a
// server.
func TestPossibleFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"there.qcow2", "old-boot.dump", "web.vmlinuz"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ to, out, compress, err string }{
		{"qcow2", "new.qcow2", "zstd", ""}, {"tar.gz", "new.tar.gz", "", ""}, {"dump", "new", "none", ""}, {"box", "new.box", "", ""}, {"ami", "new", "", ""},
		{"nonsense", "x", "", "not made as nonsense"},
		{"qcow2", "-", "", "name one with --out"},
		{"qcow2", "there.qcow2", "", "there already"},
		{"dump", "old", "", "old-boot.dump is there already"},
		{"ami", "web", "", "web.vmlinuz is there already"},
		{"qcow2", "x", "bzip2", "--compress bzip2"},
		{"dump", "x", "zstd", "--compress zstd"},
		{"tar.gz", "x", "zlib", "--compress zlib"},
		{"ova", "x", "zlib", "--compress zlib"},
	} {
		err := conversion{to: tt.to, out: tt.out, compress: tt.compress}.possible()
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// TestFromServerFlags: flags that would mean nothing are refused, and no cloud is asked.
func TestFromServerFlags(t *testing.T) {
	t.Setenv("OS_CLOUD", "")
	t.Setenv("OS_AUTH_URL", "http://127.0.0.1:1/v3")
	for line, want := range map[string]string{
		"web1 --out " + filepath.Join(t.TempDir(), "web1.qcow2"): "say by --to",
		"web1 --compress zstd":     "say by --to",
		"web1 --to qcow2 --name x": "say by --out",
	} {
		cfg := config.Default()
		cmd := newImageFromServer(&cfg)
		cmd.SetArgs(strings.Fields(line))
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
}
