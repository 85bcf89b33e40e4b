package file

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/storagetest"
)

func TestWhatIsNoMountIsRefused(t *testing.T) {
	for dir, want := range map[string]string{t.TempDir(): "nothing is mounted", filepath.Join(t.TempDir(), "gone"): "cannot be read"} {
		if err := CheckMount(dir); !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dir, err, want)
		}
	}
	if err := tryLock("test", t.TempDir()); err != nil {
		t.Errorf("a directory that is good: %v", err)
	}
}

// TestSuiteOnAMount runs the suite in a file system that is mounted, as an NFS
// share would be; and refuses one that takes no writes.
func TestSuiteOnAMount(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("set HEARTH_E2E=1, as root, to mount a file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	if err := CheckMount(dir); err != nil {
		t.Fatal(err)
	}
	storagetest.Run(t, func(t *testing.T) storage.Driver {
		at, err := os.MkdirTemp(dir, "run")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(at) })
		d, err := New(Config{Kitchen: DiskRoom{&disk.Runner{}}, Paths: Paths{
			Images: filepath.Join(at, "images"), Disks: filepath.Join(at, "disks"), Tmp: filepath.Join(at, "tmp")}})
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}

func TestAMountThatTakesNoWrites(t *testing.T) {
	if os.Getenv("HEARTH_E2E") != "1" {
		t.Skip("set HEARTH_E2E=1, as root, to mount a file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_RDONLY, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	if err := CheckMount(dir); !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), "cannot write") {
		t.Errorf("got %v", err)
	}
}
