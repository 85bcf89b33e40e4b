package convert

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/tree/treetest"
)

// TestSpool puts an archive that comes as a stream into a file, of which nothing is left.
func TestSpool(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	name := archive(t, filepath.Join(t.TempDir(), "tree.tar.zst"), treetest.All())
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewStream(t.Context(), bytes.NewReader(b))
	if err != nil || !s.HoldsFiles() {
		t.Fatal(err, "it is no archive")
	}
	defer s.Close()
	path, remove, err := s.Spool(t.Context(), "../../tree.tar.zst")
	if err != nil || filepath.Base(path) != "tree.tar.zst" || !strings.HasPrefix(path, os.TempDir()) {
		t.Fatal(path, err)
	}
	treetest.Equal(t, "the archive", read(t, name), read(t, path))
	remove()
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestHoldsFiles tells what may be worked on as it comes.
func TestHoldsFiles(t *testing.T) {
	tar, ova := make([]byte, 4096), make([]byte, 4096)
	copy(tar[257:], "ustar")
	copy(ova[257:], "ustar")
	copy(ova, "machine.ovf")
	for what, c := range map[string]struct {
		bytes []byte
		files bool
	}{"tar": {tar, true}, "OVA": {ova, false}, "gzip": {[]byte("\x1f\x8b\x08"), true}, "raw": {make([]byte, 4096), false}, "nothing": {nil, false}} {
		s, err := NewStream(t.Context(), bytes.NewReader(c.bytes))
		if err != nil || s.HoldsFiles() != c.files {
			t.Errorf("%s: %v, files: %t", what, err, !c.files)
		}
		s.Close()
	}
	_, err := NewStream(t.Context(), brokenReader{})
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("a stream that breaks off: %v", err)
	}
}

type brokenReader struct{}

// Read fails.
func (brokenReader) Read([]byte) (int, error) { return 0, os.ErrClosed }

// TestTreeProgress tells how far an archive was read, and the files of a dump.
func TestTreeProgress(t *testing.T) {
	name := archive(t, filepath.Join(t.TempDir(), "tree.tar"), treetest.All())
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	dir, last := t.TempDir(), Progress{}
	tell := func(p Progress) { last = p }
	dumped := filepath.Join(dir, "d")
	made, err := Tree(t.Context(), &disk.Runner{}, TreeOptions{Source: name, Target: dumped, To: "dump", Progress: tell})
	if err != nil || last.Total != st.Size() || last.Done == 0 || last.Done > last.Total {
		t.Fatalf("%v, %+v, of %d", err, last, st.Size())
	}
	if len(made.Files) != 1 || len(made.Notes) == 0 || !strings.Contains(made.Notes[0], "no boot.dump") {
		t.Errorf("of a tree without /boot: %+v", made)
	}
	want := read(t, name)
	treetest.Equal(t, "the dump", want, read(t, dumped+"-root.dump"))
	last = Progress{}
	export := filepath.Join(dir, "x.tar")
	if _, err := Tree(t.Context(), &disk.Runner{}, TreeOptions{Source: dumped + "-root.dump", Target: export, To: "ganeti", Progress: tell}); err != nil || last.Done == 0 || last.Total != 0 {
		t.Errorf("%v, %+v", err, last)
	}
	treetest.Equal(t, "the export", want, read(t, export))
}

// TestMeteredSource keeps what a walk gives, and never tells of more than there is.
func TestMeteredSource(t *testing.T) {
	want := treetest.Manifest(t, treetest.All())
	var most int64
	got := treetest.Manifest(t, metered{treetest.All(), 10, func(p Progress) { most = max(most, p.Done) }})
	treetest.Equal(t, "the tree", want, got)
	if most != 10 {
		t.Errorf("%d bytes of 10", most)
	}
}
