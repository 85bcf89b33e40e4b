package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPublish keeps what is made as private as the umask says, and what is there.
func TestPublish(t *testing.T) {
	for umask, want := range map[int]os.FileMode{0o022: 0o644, 0o077: 0o600, 0o002: 0o664} {
		dir := t.TempDir()
		made, name := filepath.Join(dir, "made"), filepath.Join(dir, "image")
		if err := os.WriteFile(made, []byte("disk"), 0o600); err != nil {
			t.Fatal(err)
		}
		before := unix.Umask(umask)
		err := Publish(made, name)
		unix.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(name); err != nil || st.Mode() != want {
			t.Errorf("umask %o: %v, %v", umask, st, err)
		}
		if err := Publish(made, name); !errors.Is(err, os.ErrExist) {
			t.Errorf("a second time: %v", err)
		}
		if _, err := os.Stat(made + ".mode"); !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
	}
}
