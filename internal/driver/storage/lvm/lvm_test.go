package lvm

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/guesttest"
	"hearth/internal/driver/storage/storagetest"
)

// Many tests of this package want a volume group of their own: HEARTH_LVM_GROUP is
// its UUID, HEARTH_LVM_POOL a thin pool in it, HEARTH_LVM_SPARE two blank disks.
// guest_test.go makes them in a guest.

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

func config(t *testing.T, pool string) Config {
	t.Helper()
	return Config{Group: groupUUID(t), Pool: pool, Tmp: filepath.Join(t.TempDir(), "tmp"), Kitchen: kitchen{}}
}

func open(t *testing.T, pool string) *Driver {
	t.Helper()
	d, err := New(t.Context(), config(t, pool))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func inGroup(t *testing.T, d *Driver) group {
	t.Helper()
	g, err := d.group(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// fresh is a driver without disks and images: those of the test before are removed
// in one go.
func fresh(t *testing.T, pool string) *Driver {
	t.Helper()
	d := &Driver{Config: config(t, pool)}
	g := inGroup(t, d)
	args := []string{"--yes"}
	for _, v := range g.LVs {
		if v.own() {
			args = append(args, g.Name+"/"+v.Name)
		}
	}
	if len(args) > 1 {
		if err := d.lvm(t.Context(), "lvremove", args...); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, pool)
}

func TestThickSuite(t *testing.T) {
	groupUUID(t)
	storagetest.Run(t, func(t *testing.T) storage.Driver { return fresh(t, "") })
}

func TestThinSuite(t *testing.T) {
	groupUUID(t)
	storagetest.Run(t, func(t *testing.T) storage.Driver { return fresh(t, os.Getenv("HEARTH_LVM_POOL")) })
}

// TestOthersVolumesAreLeftAlone has volumes of the operator's own beside Hearth's,
// one of them with a name that Hearth would like to use, and renames the group.
func TestOthersVolumesAreLeftAlone(t *testing.T) {
	d := fresh(t, "")
	ctx := t.Context()
	g := inGroup(t, d)
	guesttest.Command(t, "lvcreate", "--yes", "-L", "1m", "-n", "h-theirs", g.Name)
	guesttest.Command(t, "lvcreate", "--yes", "-L", "2m", "-n", "data", g.Name)
	defer func() { guesttest.Command(t, "lvremove", "--yes", g.Name+"/h-theirs") }()
	about := []string{"--noheadings", "-o", "vg_uuid,vg_name,vg_attr,pv_name,pv_uuid", g.Name}
	before := guesttest.Command(t, "vgs", about...)
	if _, err := d.BlankDisk(ctx, "theirs", 1<<20, ""); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("a disk took the place of another's volume: %v", err)
	}
	if err := d.RemoveDisk(ctx, "theirs"); err != nil {
		t.Error(err)
	}
	if list, err := d.Disks(ctx); err != nil || len(list) != 0 {
		t.Errorf("others' volumes are listed: %+v, %v", list, err)
	}
	guesttest.Command(t, "lvs", g.Name+"/h-theirs")
	guesttest.Command(t, "vgrename", g.Name, g.Name+"-renamed")
	if _, err := d.BlankDisk(ctx, "volume-a", 1<<20, ""); err != nil {
		t.Errorf("in a group that was renamed: %v", err)
	}
	guesttest.Command(t, "vgrename", g.Name+"-renamed", g.Name)
	if disk, err := d.AdoptDisk(ctx, "volume-b", "data"); err != nil || disk.Size != 2<<20 {
		t.Errorf("a volume that an operator gives away: %+v, %v", disk, err)
	}
	if after := guesttest.Command(t, "vgs", about...); after != before {
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
	g := inGroup(t, d)
	if err := d.create(ctx, g, "h-left", plan{size: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Disk(ctx, "left"); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("what is in the making is taken for a disk: %v", err)
	}
	if _, err := d.BlankDisk(ctx, "volume-g", 1<<20, ""); err != nil {
		t.Fatal(err)
	}
	guesttest.Command(t, "lvchange", "--addtag", tagWas+"1048576", g.Name+"/h-volume-g")
	guesttest.Command(t, "lvextend", "-L", "2m", g.Name+"/h-volume-g")
	guesttest.Command(t, "lvchange", "--activate", "n", g.Name+"/h-volume-g") // as a host that has booted may have it
	d = open(t, "")
	if _, left := inGroup(t, d).find("h-left"); left {
		t.Error("what was in the making is left")
	}
	if disk, err := d.Disk(ctx, "volume-g"); err != nil || disk.Size != 1<<20 {
		t.Errorf("%+v, %v: what is new of it is not zeroed yet", disk, err)
	}
	if disk, err := d.GrowDisk(ctx, "volume-g", 2<<20); err != nil || disk.Size != 2<<20 {
		t.Errorf("%+v, %v", disk, err)
	}
}

// TestOldBytesAreNotSeen writes to a thick volume, removes it, and reads those that
// come to be where it was.
func TestOldBytesAreNotSeen(t *testing.T) {
	d := fresh(t, "")
	ctx := t.Context()
	secret := bytes.Repeat([]byte("secret! "), 1<<17)
	if _, err := d.WriteDisk(ctx, "volume-s", 1<<20, bytes.NewReader(secret)); err != nil {
		t.Fatal(err)
	}
	if got := content(t, d, "volume-s"); !bytes.Equal(got, secret) {
		t.Fatal("what was written is not there")
	}
	if err := d.RemoveDisk(ctx, "volume-s"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.BlankDisk(ctx, "volume-t", 1<<19, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := d.GrowDisk(ctx, "volume-t", 1<<20); err != nil {
		t.Fatal(err)
	}
	if got := content(t, d, "volume-t"); len(got) != 1<<20 || bytes.Contains(got, []byte("secret")) {
		t.Errorf("%d bytes, with those of another's volume", len(got))
	}
}

func content(t *testing.T, d *Driver, id string) []byte {
	t.Helper()
	r, err := d.ReadDisk(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestReadingOfADiskInUse writes to disks after their reading began, as their
// guests do.
func TestReadingOfADiskInUse(t *testing.T) {
	for _, pool := range []string{"", os.Getenv("HEARTH_LVM_POOL")} {
		d := fresh(t, pool)
		disk, err := d.WriteDisk(t.Context(), "volume-u", 1<<20, bytes.NewReader(bytes.Repeat([]byte("before  "), 1<<17)))
		if err != nil {
			t.Fatal(err)
		}
		guest, err := os.OpenFile(disk.Path, os.O_RDWR|os.O_SYNC, 0)
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.ReadDisk(t.Context(), "volume-u")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guest.WriteAt(bytes.Repeat([]byte("after   "), 1<<17), 0); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || len(got) != 1<<20 || bytes.Contains(got, []byte("after")) {
			t.Errorf("pool %q: %d bytes, %v; with later changes: %v", pool, len(got), err, bytes.Contains(got, []byte("after")))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := guest.Close(); err != nil {
			t.Error(err)
		}
		for _, v := range inGroup(t, d).LVs {
			if v.has(tagPart) {
				t.Errorf("%s is left", v.Name)
			}
		}
	}
}

// spare gives the blank disks, and blanks them again after the test.
func spare(t *testing.T) []string {
	t.Helper()
	groupUUID(t)
	disks := strings.Split(os.Getenv("HEARTH_LVM_SPARE"), ",")
	if len(disks) != 2 {
		t.Fatalf("HEARTH_LVM_SPARE names no two disks: %q", disks)
	}
	t.Cleanup(func() {
		for _, d := range disks {
			blank(t, d)
		}
	})
	return disks
}

func blank(t *testing.T, disk string) {
	t.Helper()
	f, err := os.OpenFile(disk, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
}

// refused opens a driver, and finishes a call of one that was opened before, and
// wants both refused with words.
func refused(t *testing.T, before *Driver, uuid string, kind cloud.Kind, want string) {
	t.Helper()
	_, err := New(t.Context(), Config{Group: uuid, Tmp: t.TempDir(), Kitchen: kitchen{}})
	if !cloud.Is(err, kind) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v; want %q", err, want)
	}
	if before != nil {
		if _, err := before.BlankDisk(t.Context(), "volume-x", 1<<20, ""); !cloud.Is(err, kind) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want %q", err, want)
		}
	}
}

// TestGroupsThatCannotBeUsed has groups in all states that make it uncertain what
// would be changed.
func TestGroupsThatCannotBeUsed(t *testing.T) {
	disks := spare(t)
	ours := fresh(t, "")
	name := inGroup(t, ours).Name
	refused(t, nil, "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg", cloud.NotFound, "no volume group with the UUID")
	if _, err := New(t.Context(), Config{Group: ours.Group, Pool: "nosuchpool"}); !cloud.Is(err, cloud.NotFound) || !strings.Contains(err.Error(), "no thin pool") {
		t.Errorf("got %v", err)
	}

	guesttest.Command(t, "vgchange", "--activate", "n", name)                        // LVM makes no second group of a name that is in /dev
	guesttest.Command(t, "vgcreate", "--yes", "--devices", disks[0], name, disks[0]) // the same name: only where one hides the other
	refused(t, ours, ours.Group, cloud.Conflict, "two volume groups of this host have the name")
	blank(t, disks[0])
	guesttest.Command(t, "vgchange", "--activate", "y", name)

	guesttest.Command(t, "dd", "if=/dev/vda", "of="+disks[0], "bs=1048576", "count=8")
	refused(t, ours, ours.Group, cloud.Conflict, "is a copy of the other")
	blank(t, disks[0])

	guesttest.Command(t, "vgcreate", "--yes", "second", disks[0], disks[1])
	uuid := strings.TrimSpace(guesttest.Command(t, "vgs", "--noheadings", "-o", "vg_uuid", "second"))
	second, err := New(t.Context(), Config{Group: uuid, Tmp: t.TempDir(), Kitchen: kitchen{}})
	if err != nil {
		t.Fatal(err)
	}
	guesttest.Command(t, "vgexport", "second")
	refused(t, second, uuid, cloud.Unavailable, "is exported")
	guesttest.Command(t, "vgimport", "second")
	guesttest.Command(t, "lvcreate", "--yes", "--zero", "n", "--type", "thin-pool", "-L", "8m", "-n", "leaky", "second")
	if _, err := New(t.Context(), Config{Group: uuid, Pool: "leaky"}); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "zero") {
		t.Errorf("a pool that shows what was there before: %v", err)
	}
	guesttest.Command(t, "lvremove", "--yes", "second/leaky")
	blank(t, disks[1])
	refused(t, second, uuid, cloud.Unavailable, "is missing")
	if _, err := ours.BlankDisk(t.Context(), "volume-x", 1<<20, ""); err != nil {
		t.Errorf("the group that nothing is wrong with: %v", err)
	}
}
