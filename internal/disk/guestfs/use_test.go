package guestfs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hearth/internal/disk"
)

// TestToChange refuses what would be spoilt: an archive, a packed file, an image that somebody
// has locked as QEMU does.
func TestToChange(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, at int64, mark string) string {
		path := filepath.Join(dir, name)
		b := make([]byte, 4096)
		copy(b[at:], mark)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	raw := file("raw", 0, "")
	for path, want := range map[string]string{file("tar", 257, "ustar"): "archive", file("dump", 24, "\x6c\xea\x00\x00"): "archive", file("gz", 0, "\x1f\x8b"): "packed with gzip", raw: ""} {
		if _, err := ToChange(path); want == "" && err != nil || want != "" && (disk.KindOf(err) != disk.Unsupported || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", path, err)
		}
	}
	f, err := os.OpenFile(raw, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: 100, Len: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := ToChange(raw); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Error(err)
	}
}

// TestHoldToChange has the second of two who would change an image refused, until the first is done.
func TestHoldToChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	_, held, err := HoldToChange(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := HoldToChange(path); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("the second: %v", err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if _, held, err = HoldToChange(path); err != nil {
		t.Fatal(err)
	}
	held.Close()
}
