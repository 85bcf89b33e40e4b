package storage_test

import (
	"errors"
	"slices"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/fake"
)

// TestBeside: what is made beside a disk lies in the disk's own pool.
func TestBeside(t *testing.T) {
	for disk, want := range map[string]string{"volume-1": "volume-1.seed", "volume-1@fast": "volume-1.seed@fast"} {
		if got := storage.Beside(disk); got != want || !storage.IsBeside(got) || storage.IsBeside(disk) {
			t.Errorf("beside %s is %s, want %s", disk, got, want)
		}
	}
}

// TestExchange: the old disk is there until the new one is made; what fails leaves it and
// nothing else, and so does what was broken off before.
func TestExchange(t *testing.T) {
	const mib = 1 << 20
	d := fake.New()
	blank := func(id string, size int64) storage.Disk {
		t.Helper()
		disk, err := d.BlankDisk(t.Context(), id, size, "")
		if err != nil {
			t.Fatal(err)
		}
		return disk
	}
	blank("volume-a", mib)
	blank("volume-a.seed", 7*mib)
	failed := errors.New("no room")
	for _, c := range []struct {
		err  error
		size int64
	}{{failed, mib}, {nil, 2 * mib}} {
		_, err := storage.Exchange(t.Context(), d, "volume-a", func(beside string) (storage.Disk, error) {
			if old, err := d.Disk(t.Context(), "volume-a"); err != nil || old.Size != mib {
				t.Errorf("the old disk meanwhile: %+v, %v", old, err)
			}
			if _, err := d.Disk(t.Context(), beside); !cloud.Is(err, cloud.NotFound) {
				t.Errorf("what was broken off is there: %v", err)
			}
			return blank(beside, 2*mib), c.err
		})
		if !errors.Is(err, c.err) {
			t.Error(err)
		}
		list, err := d.Disks(t.Context())
		if err != nil || len(list) != 1 || list[0].ID != "volume-a" || list[0].Size != c.size {
			t.Errorf("%v, %v", list, err)
		}
	}
	made, err := storage.Exchange(t.Context(), d, "volume-new", func(beside string) (storage.Disk, error) { return blank(beside, mib), nil })
	if list, _ := d.Disks(t.Context()); err != nil || made.ID != "volume-new" || !slices.ContainsFunc(list, func(d storage.Disk) bool { return d.ID == "volume-new" }) {
		t.Errorf("%+v, %v", made, err)
	}
}
