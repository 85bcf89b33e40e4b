package disk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDetachLoops has a loop device of a file in a folder freed, and one of a file beside
// the folder left alone.
func TestDetachLoops(t *testing.T) {
	dir, beside := t.TempDir(), t.TempDir()
	attach := func(dir string) string {
		file := filepath.Join(dir, "disk")
		if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("losetup", "-f", "--show", file).Output()
		if err != nil {
			t.Skipf("no loop devices here: %v", err)
		}
		device := strings.TrimSpace(string(out))
		t.Cleanup(func() { _ = exec.Command("losetup", "-d", device).Run() })
		return device
	}
	of := func(device string) string {
		b, _ := os.ReadFile("/sys/block/" + filepath.Base(device) + "/loop/backing_file")
		return strings.TrimSpace(string(b))
	}
	inside, other := attach(dir), attach(beside)
	if err := DetachLoops(dir); err != nil {
		t.Fatal(err)
	}
	if got := of(inside); strings.HasPrefix(got, dir) {
		t.Errorf("%s is still of %s", inside, got)
	}
	if got := of(other); got != filepath.Join(beside, "disk") {
		t.Errorf("%s is now of %q", other, got)
	}
	if err := DetachLoops(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}
