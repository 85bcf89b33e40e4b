package workdir

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
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

// TestTree has names that differ, of which each can be made, and a folder that ext4 takes for the top of many trees.
func TestTree(t *testing.T) {
	parent := t.TempDir()
	one, other := Tree(parent), Tree(parent)
	if one == other || filepath.Dir(one) != parent {
		t.Errorf("%s and %s", one, other)
	}
	if err := os.Mkdir(one, 0o755); err != nil {
		t.Error(err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(parent, &fs); err != nil || fs.Type != unix.EXT4_SUPER_MAGIC {
		t.Skipf("no ext4: %x, %v", fs.Type, err)
	}
	dir, err := os.Open(parent)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if flags, err := unix.IoctlGetUint32(int(dir.Fd()), unix.FS_IOC_GETFLAGS); err != nil || flags&topDir == 0 {
		t.Errorf("the flags are %x, %v", flags, err)
	}
	if Tree(filepath.Join(parent, "none")) == "" {
		t.Error("a folder that is not there is whoever makes it to say")
	}
}
