// Package guestfstest makes small disks with file systems for tests, by mke2fs
// and without root.
package guestfstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hearth/internal/disk"
)

// Options says what disk [Image] makes.
type Options struct {
	Type      string // "ext2", "ext3", "ext4"; "": ext4
	Partition bool   // one in an MBR, at 1 MiB; else the whole disk
	Size      int64  // of the file system, bytes; 0: 16 MiB
}

// Image makes a raw disk with what fill puts into a folder, and gives its path.
// A machine without mke2fs skips the test.
func Image(t testing.TB, o Options, fill func(dir string)) string {
	t.Helper()
	mke2fs, err := exec.LookPath("/usr/sbin/mke2fs")
	if err != nil {
		t.Skip(err)
	}
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "disk.raw")
	fill(dir)
	if o.Type == "" {
		o.Type = "ext4"
	}
	if o.Size == 0 {
		o.Size = 16 << 20
	}
	start := int64(0)
	args := []string{"-q", "-F", "-t", o.Type, "-d", dir, "-E", "root_owner=0:0"}
	if o.Partition {
		start = 1 << 20
		args[len(args)-1] += ",offset=" + strconv.FormatInt(start, 10)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(start + o.Size); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(mke2fs, append(args, path, strconv.FormatInt(o.Size/1024, 10)+"k")...).CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v: %s", err, out)
	}
	if o.Partition {
		sector := make([]byte, 512)
		disk.MBRTable(sector, start, start+o.Size)
		if _, err := f.WriteAt(sector, 0); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// Tree makes files in a folder: NAME=CONTENT, or NAME->TARGET for links.
func Tree(t testing.TB, dir string, files ...string) {
	t.Helper()
	for _, f := range files {
		link := strings.Contains(f, "->") && !strings.Contains(strings.SplitN(f, "->", 2)[0], "=")
		name, content, _ := strings.Cut(f, "=")
		if link {
			name, content, _ = strings.Cut(f, "->")
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write := func() error { return os.WriteFile(path, []byte(content), 0o644) }
		if link {
			write = func() error { return os.Symlink(content, path) }
		}
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
}

// Clean holds a raw disk's file system at start against e2fsck.
func Clean(t testing.TB, path string, start int64) {
	t.Helper()
	if start > 0 {
		path += "?offset=" + strconv.FormatInt(start, 10)
	}
	if out, err := exec.Command("/usr/sbin/e2fsck", "-f", "-n", path).CombinedOutput(); err != nil {
		t.Errorf("e2fsck: %v: %s", err, out)
	}
}

// Overwrite puts bytes into a disk.
func Overwrite(t testing.TB, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// Journal leaves new content for the first block of a file of a bare disk in the
// journal, as if the guest had been cut off.
func Journal(t testing.TB, path, name string, block []byte) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "block")
	if err := os.WriteFile(data, block, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("/usr/sbin/debugfs", "-R", "blocks "+name, path).Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) == 0 {
		t.Fatalf("blocks of %s: %v: %q", name, err, out)
	}
	script := filepath.Join(t.TempDir(), "commands")
	if err := os.WriteFile(script, []byte("jo\njw -b "+fields[0]+" "+data+"\njc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("/usr/sbin/debugfs", "-w", "-f", script, path).CombinedOutput(); err != nil {
		t.Fatalf("journal: %v: %s", err, out)
	}
}
