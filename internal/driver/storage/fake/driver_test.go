package fake

import (
	"context"
	"testing"

	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/storagetest"
)

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Driver { return New() })
}

func TestSuiteKept(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Driver { return open(t, t.TempDir()) })
}

func open(t *testing.T, dir string) *Driver {
	t.Helper()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDisksOutliveTheProcess(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	d := open(t, dir)
	for _, id := range []string{"a", "b"} {
		if _, err := d.BlankDisk(ctx, id, 1<<20, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.RemoveDisk(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir)
	if disk, err := again.Disk(ctx, "b"); err != nil || disk.Size != 1<<20 {
		t.Errorf("the disk that was made: %+v, %v", disk, err)
	}
	if _, err := again.Disk(ctx, "a"); err == nil {
		t.Error("the disk that was removed is back")
	}
}
