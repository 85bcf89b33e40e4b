package lvm

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/storagetest"
)

// The tests of this package want a volume group of their own: HEARTH_LVM_GROUP is
// its UUID, HEARTH_LVM_POOL a thin pool in it. guest_test.go makes both in a guest.

func groupUUID(t *testing.T) string {
	t.Helper()
	uuid := os.Getenv("HEARTH_LVM_GROUP")
	if uuid == "" {
		t.Skip("HEARTH_LVM_GROUP names no volume group for tests; TestInAGuest makes one (HEARTH_E2E=1)")
	}
	return uuid
}

// kitchen is the disk room of a guest that has none of its tools.
type kitchen struct{ file.Kitchen }

func (kitchen) Ext4(_ context.Context, path, label string) error { return mark(path, label) }
func (kitchen) Swap(_ context.Context, path string) error        { return mark(path, "swap") }
func (kitchen) ConfigDrive(_ context.Context, path string, _ map[string][]byte) error {
	return os.WriteFile(path, make([]byte, 1<<20), 0o600)
}

func mark(path, text string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(text)
	return err
}

func open(t *testing.T, pool string) *Driver {
	t.Helper()
	d, err := New(t.Context(), Config{Group: groupUUID(t), Pool: pool, Tmp: t.TempDir(), Kitchen: kitchen{}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// fresh is a driver without disks and images.
func fresh(t *testing.T, pool string) *Driver {
	t.Helper()
	d := open(t, pool)
	g, err := d.group(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all, err := d.volumes(t.Context(), g.Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.own() {
			if err := d.lvm(t.Context(), "lvremove", "--yes", g.Name+"/"+v.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d
}

func TestThickSuite(t *testing.T) {
	groupUUID(t)
	storagetest.Run(t, func(t *testing.T) storage.Driver { return fresh(t, "") })
}

func TestThinSuite(t *testing.T) {
	groupUUID(t)
	storagetest.Run(t, func(t *testing.T) storage.Driver { return fresh(t, os.Getenv("HEARTH_LVM_POOL")) })
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestOthersVolumesAreLeftAlone has volumes of the operator's own beside Hearth's,
// one of them with a name that Hearth would like to use, and renames the group.
func TestOthersVolumesAreLeftAlone(t *testing.T) {
	d := fresh(t, "")
	ctx := t.Context()
	g, err := d.group(ctx)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "lvcreate", "--yes", "-L", "1m", "-n", "h-theirs", g.Name)
	run(t, "lvcreate", "--yes", "-L", "2m", "-n", "data", g.Name)
	defer run(t, "lvremove", "--yes", g.Name+"/h-theirs")
	before := run(t, "vgs", "--noheadings", "-o", "vg_uuid,vg_name,vg_attr", g.Name)
	if _, err := d.BlankDisk(ctx, "theirs", 1<<20, ""); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("a disk took the place of another's volume: %v", err)
	}
	if err := d.RemoveDisk(ctx, "theirs"); err != nil {
		t.Error(err)
	}
	if list, err := d.Disks(ctx); err != nil || len(list) != 0 {
		t.Errorf("others' volumes are listed: %+v, %v", list, err)
	}
	run(t, "lvs", g.Name+"/h-theirs")
	run(t, "vgrename", g.Name, g.Name+"-renamed")
	if _, err := d.BlankDisk(ctx, "volume-a", 1<<20, ""); err != nil {
		t.Errorf("in a group that was renamed: %v", err)
	}
	run(t, "vgrename", g.Name+"-renamed", g.Name)
	if disk, err := d.AdoptDisk(ctx, "volume-b", "data"); err != nil || disk.Size != 2<<20 {
		t.Errorf("a volume that an operator gives away: %+v, %v", disk, err)
	}
	if after := run(t, "vgs", "--noheadings", "-o", "vg_uuid,vg_name,vg_attr", g.Name); after != before {
		t.Errorf("the group was %q and is %q", before, after)
	}
	for _, id := range []string{"volume-a", "volume-b"} {
		if err := d.RemoveDisk(ctx, id); err != nil {
			t.Error(err)
		}
	}
}

// TestWhatACrashLeavesIsSwept finds a volume in the making, and a growth that was
// not finished.
func TestWhatACrashLeavesIsSwept(t *testing.T) {
	d := fresh(t, "")
	ctx := t.Context()
	g, err := d.group(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.create(ctx, g, "p-left", plan{size: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.BlankDisk(ctx, "volume-g", 1<<20, ""); err != nil {
		t.Fatal(err)
	}
	run(t, "lvchange", "--addtag", tagWas+"1048576", g.Name+"/h-volume-g")
	run(t, "lvextend", "-L", "2m", g.Name+"/h-volume-g")
	d = open(t, "")
	if _, _, found, err := d.find(ctx, "p-left"); found || err != nil {
		t.Errorf("what was in the making is left: %v", err)
	}
	if disk, err := d.Disk(ctx, "volume-g"); err != nil || disk.Size != 1<<20 {
		t.Errorf("%+v, %v: what is new of it is not zeroed yet", disk, err)
	}
	if disk, err := d.GrowDisk(ctx, "volume-g", 2<<20); err != nil || disk.Size != 2<<20 {
		t.Errorf("%+v, %v", disk, err)
	}
	if err := d.RemoveDisk(ctx, "volume-g"); err != nil {
		t.Error(err)
	}
}

func TestAGroupThatIsNotThere(t *testing.T) {
	groupUUID(t)
	if _, err := New(t.Context(), Config{Group: "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg"}); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := New(t.Context(), Config{Group: groupUUID(t), Pool: "nosuchpool"}); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("got %v", err)
	}
}
