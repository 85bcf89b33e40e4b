package folder

import (
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/driver/backup"
	"hearth/internal/driver/backup/backuptest"
)

func open(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	f.NoSync = true
	return f
}

func TestSuite(t *testing.T) {
	backuptest.Run(t, func(t *testing.T) backup.Objects { return open(t, filepath.Join(t.TempDir(), "new")) })
}

// TestWhatACrashLeavesIsSwept finds half an object of a process that died.
func TestWhatACrashLeavesIsSwept(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	half := filepath.Join(dir, partDir, "object1")
	if err := os.WriteFile(half, []byte("ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(half); !os.IsNotExist(err) {
		t.Errorf("half an object is left: %v", err)
	}
}
