package inside

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSplit: lines are taken apart as debugfs does.
func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		`rm "/a b"`:             {"rm", "/a b"},
		`write /job/f0 "x""y"`:  {"write", "/job/f0", `x"y`},
		`sif "/a" mode 0100644`: {"sif", "/a", "mode", "0100644"},
		``:                      nil,
	} {
		if got, err := split(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", line, got, err)
		}
	}
	if _, err := split(`rm "/a`); err == nil {
		t.Error("an open quote passes")
	}
}

// TestSpare: a job loads no module of a file system that it does not mount.
func TestSpare(t *testing.T) {
	job := Job{Steps: []Step{{Do: Copy, Disk: Disk{Kind: "f2fs"}, To: Disk{Kind: "ext4"}}}}
	for module, want := range map[string]bool{"f2fs": false, "crc32_generic": false, "lz4_compress": false, "ext4": false, "virtio_blk": false, "xfs": true, "raid6_pq": true, "fat": true} {
		if job.spare(module) != want {
			t.Errorf("%s is spared: %v", module, !want)
		}
	}
	if !(Job{Steps: []Step{{Do: Grow, Disk: Disk{Kind: "xfs"}}}}).spare("f2fs") {
		t.Error("f2fs is loaded for XFS")
	}
}

// TestEditor carries a script out on a folder.
func TestEditor(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "f0")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &editor{root: dir, cwd: "/"}
	for _, words := range [][]string{{"rm", "/none"}, {"mkdir", "/a"}, {"mkdir", "/a"}, {"cd", "/a"}, {"write", file, "b"}, {"cd", "/"},
		{"sif", "/a/b", "mode", "0100751"}, {"symlink", "/l", "../../etc"}, {"mkdir", "/../../up"}} {
		if err := e.do(words); err != nil {
			t.Fatalf("%q: %v", words, err)
		}
	}
	st, err := os.Stat(filepath.Join(dir, "a", "b"))
	if err != nil || st.Mode().Perm() != 0o751 || st.Size() != 5 {
		t.Errorf("%v, %v", st, err)
	}
	if target, _ := os.Readlink(filepath.Join(dir, "l")); target != "../../etc" {
		t.Error(target)
	}
	if _, err := os.Stat(filepath.Join(dir, "up")); err != nil {
		t.Error("a name led out of the mount:", err)
	}
	for _, words := range [][]string{{"rdump", "/", "/"}, {"rm"}, {"write", file, "/a/b"}, {"sif", "/a/b", "links_count", "3"}} {
		if err := e.do(words); err == nil {
			t.Errorf("%q passes", words)
		}
	}
}

// TestSubvolumes: of fstab, only lines of this btrfs count.
// TestFits: what has no room is refused before anything is changed; what goes makes room for
// what comes after it, if it has no other name.
func TestFits(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, slices.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	small, large := file("small", 100), file("large", 40<<10)
	file("old", 40<<10)
	if err := os.Link(file("twice", 40<<10), filepath.Join(dir, "other")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		script string
		free   int64
		good   bool
	}{
		{"write " + large + " new\n", 40 << 10, true},
		{"write " + large + " new\nwrite " + small + " new2\n", 40 << 10, false},
		{"mkdir /x\nrm \"/old\"\nwrite " + large + " new\n", 0, true},
		{"write " + large + " new\nrm /old\n", 0, false},
		{"rm /twice\nwrite " + small + " new\n", 0, false},
		{"rm /nothing\nrm\n\"\n", 0, true},
	} {
		e := &editor{root: dir, cwd: "/"}
		if err := e.fits(c.script, c.free); (err == nil) != c.good || err != nil && !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%q with %d bytes free: %v", c.script, c.free, err)
		}
	}
}

func TestSubvolumes(t *testing.T) {
	dir := t.TempDir()
	if fstab(dir, Disk{}) != nil {
		t.Error("there is no fstab")
	}
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "UUID=AB / btrfs rw,subvol=/root 0 0\n# UUID=AB /x btrfs subvol=x 0 0\nUUID=ab /home btrfs subvol=home,noatime 0 0\nUUID=cd /srv btrfs subvol=srv 0 0\nUUID=ab /../out btrfs subvol=x 0 0\ntmpfs /tmp tmpfs rw 0 0\n"
	if err := os.WriteFile(filepath.Join(dir, "etc", "fstab"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := fstab(dir, Disk{UUID: "ab"}); !slices.Equal(got, []fstabLine{{"/", "/root"}, {"/home", "home"}}) {
		t.Errorf("%+v", got)
	}
}
