package workdir

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestMake(t *testing.T) {
	parent := t.TempDir()
	left := filepath.Join(parent, ".work-4711") // as a killed program leaves it
	if err := os.MkdirAll(filepath.Join(left, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"work-1", ".work-", ".work-mine", ".other-1"} {
		if err := os.Mkdir(filepath.Join(parent, other), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(parent, ".work-12"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	first, err := Make(parent, ".work-", nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Make(parent, ".work-", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".other-1", ".work-", ".work-12", ".work-mine", "work-1", filepath.Base(first.Path), filepath.Base(second.Path)}
	slices.Sort(want)
	if got := names(t, parent); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	second.lock.Close() // as at the end of its program
	asked := ""
	third, err := Make(parent, ".work-", func(path string) error { asked = path; return os.RemoveAll(path) })
	if err != nil || asked != second.Path {
		t.Errorf("%q was removed, not %q, %v", asked, second.Path, err)
	}
	if err := third.Close(); err != nil || len(names(t, parent)) != 5 {
		t.Error(names(t, parent), err)
	}
	if _, err := Make(filepath.Join(parent, "none"), ".work-", nil); err == nil {
		t.Error("a folder was made in one that is not there")
	}
}
