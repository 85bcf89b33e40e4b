package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
)

// TestReplacement: what is no disk is not written over one.
func TestReplacement(t *testing.T) {
	blank := make([]byte, 4096)
	tar := make([]byte, 4096)
	copy(tar[257:], "ustar")
	for _, tt := range []struct {
		name, text, says string
	}{
		{"raw", string(blank), ""},
		{"text", "root:x:0:0:root:/root:/bin/bash\n", "32 bytes"},
		{"empty", "", "0 bytes"},
		{"tar", string(tar), "an archive"},
		{"gz", "\x1f\x8b" + string(blank), "packed with gzip"},
		{"qed", "QED\x00" + string(blank[:508]), "a qed"},
	} {
		path := filepath.Join(t.TempDir(), tt.name)
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		layer, err := replacement(path)
		if tt.says == "" && (err != nil || layer.Format != disk.Raw) || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %+v, %v", tt.name, layer, err)
		}
	}
}
