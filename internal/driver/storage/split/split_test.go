package split

import (
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/fake"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/storagetest"
)

func volume(id string) bool { return strings.HasPrefix(id, "volume-") }

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Driver { return &Driver{fake.New(), fake.New(), volume} })
}

func files(t *testing.T) storage.Driver {
	t.Helper()
	dir := t.TempDir()
	d, err := file.New(file.Config{NoSync: true, Kitchen: file.DiskRoom{Runner: &disk.Runner{}}, Paths: file.Paths{
		Images: filepath.Join(dir, "images"), Disks: filepath.Join(dir, "disks"), Tmp: filepath.Join(dir, "tmp")}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuiteOfFiles(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Driver { return &Driver{files(t), files(t), volume} })
}

func TestVolumesAreElsewhere(t *testing.T) {
	host, volumes := fake.New(), fake.New()
	d := &Driver{host, volumes, volume}
	for _, id := range []string{"volume-a", "root"} {
		if _, err := d.BlankDisk(t.Context(), id, 1<<20, ""); err != nil {
			t.Fatal(err)
		}
	}
	for name, at := range map[string]storage.Driver{"volume-a": volumes, "root": host} {
		if list, err := at.Disks(t.Context()); err != nil || len(list) != 1 || list[0].ID != name {
			t.Errorf("%s: %+v, %v", name, list, err)
		}
	}
}
