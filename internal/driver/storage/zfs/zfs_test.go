package zfs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/storagetest"
)

// The tests here run twice: on fakeZFS everywhere, and on the dataset that HEARTH_ZFS_DATASET
// names, which they empty. TestInAGuest makes one in a guest.

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

// place is where a driver is tried.
type place struct {
	host
	dataset  string
	operator func(t *testing.T, args ...string) string // runs the command zfs for the operator
}

// open makes a driver that has blocks of a sector, so that the suite gets the sizes it asks for.
func (p place) open(t *testing.T, block string) *Driver {
	t.Helper()
	d, err := open(t.Context(), Config{Dataset: p.dataset, BlockSize: block, Owner: "test", Tmp: t.TempDir(), Kitchen: kitchen{}}, p.host)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// each runs a test at both places, each time with an empty dataset.
func each(t *testing.T, test func(t *testing.T, p place)) {
	t.Run("Fake", func(t *testing.T) {
		f := newFakeZFS(t)
		test(t, place{host: f, dataset: "tank/hearth", operator: func(t *testing.T, args ...string) string {
			t.Helper()
			if args[0] == "list" {
				return ""
			}
			if said := f.change(args); said != "" {
				t.Fatal(said)
			}
			return ""
		}})
	})
	t.Run("Real", func(t *testing.T) { p := real(t); p.clear(t); test(t, p) })
}

func real(t *testing.T) place {
	t.Helper()
	dataset := os.Getenv("HEARTH_ZFS_DATASET")
	if dataset == "" {
		t.Skip("HEARTH_ZFS_DATASET names no dataset for tests; TestInAGuest makes one (HEARTH_E2E=1, HEARTH_E2E_ALL=1)")
	}
	return place{host: linux{}, dataset: dataset, operator: func(t *testing.T, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "zfs", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("zfs %v: %v\n%s", args, err, out)
		}
		return string(out)
	}}
}

// clear removes what the test before has left, by the driver, which leaves no snapshots then.
func (p place) clear(t *testing.T) {
	t.Helper()
	if f, is := p.host.(*fakeZFS); is {
		f.volumes = map[string]*fakeVolume{}
		return
	}
	d := p.open(t, "")
	all, err := d.list(t.Context())
	for name := range all {
		if err == nil {
			err = d.drop(t.Context(), name)
		}
	}
	if all, listed := d.list(t.Context()); err != nil || listed != nil || len(all) > 0 {
		t.Fatalf("left: %v, %v, %v", all, err, listed)
	}
}

// wipe is clear in one go, and not by the driver.
func (p place) wipe(t *testing.T) {
	t.Helper()
	if _, is := p.host.(*fakeZFS); is {
		p.clear(t)
		return
	}
	p.settle(t.Context())
	p.operator(t, "destroy", "-R", p.dataset)
	p.operator(t, "create", "-o", "canmount=off", "-o", "volmode=dev", p.dataset)
}

func write(t *testing.T, d *Driver, id string, data []byte) {
	t.Helper()
	if _, err := d.WriteDisk(t.Context(), id, int64(len(data)), bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, d *Driver, id string) []byte {
	t.Helper()
	r, err := d.ReadDisk(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return got
}

// text is data of a size that disks have.
func text(seed string) []byte { return storagetest.Content(seed, 256<<10) }

// TestFamilies makes copies of copies, reverts, grows and removes them in an order that is by chance,
// and reads what each holds: none may need another, and nothing may be left in the end.
func TestFamilies(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		d, ctx := p.open(t, ""), t.Context()
		data := text("the image")
		img, err := d.EnsureImage(ctx, storagetest.Ref(data), "", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatal(err)
		}
		holds := map[string][]byte{}
		chance := rand.New(rand.NewPCG(9, 9))
		any := func() string {
			ids := slices.Sorted(func(yield func(string) bool) {
				for id := range holds {
					if !yield(id) {
						return
					}
				}
			})
			return ids[chance.IntN(len(ids))]
		}
		check := func(what string, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		for i := range 60 {
			id := fmt.Sprintf("volume-%d", i)
			switch n := chance.IntN(10); {
			case i < 3 || n == 0 && i < 40:
				_, err = d.CloneDisk(ctx, id, img, 0)
				check("clone", err)
				holds[id] = data
			case i == 40: // its clones live on
				check("remove the image", d.RemoveImage(ctx, img.Digest))
			case n < 4:
				from := any()
				_, err = d.CopyDisk(ctx, id, from, 0)
				check("copy", err)
				holds[id] = holds[from]
			case n < 6:
				id = any()
				write(t, d, id, text(fmt.Sprint("written ", i)))
				holds[id] = text(fmt.Sprint("written ", i))
			case n < 8:
				id, from := any(), any()
				_, err = d.RevertDisk(ctx, id, from)
				check("revert", err)
				holds[id] = holds[from]
			case len(holds) > 1:
				id = any()
				check("remove", d.RemoveDisk(ctx, id))
				delete(holds, id)
			}
		}
		for id, want := range holds {
			if got := content(t, d, id); !bytes.Equal(got, want) {
				t.Errorf("%s holds %q…, not %q…", id, got[:20], want[:20])
			}
		}
		if list, err := d.Disks(ctx); err != nil || len(list) != len(holds) || len(holds) < 5 {
			t.Errorf("%d disks, %v; want %d", len(list), err, len(holds))
		}
		for id := range holds {
			check("remove", d.RemoveDisk(ctx, id))
		}
		if all, err := d.list(ctx); err != nil || len(all) > 0 {
			t.Errorf("left: %+v, %v", all, err)
		}
	})
}

// TestOthersAreLeftAlone has volumes, snapshots and clones of the operator's own beside Hearth's.
func TestOthersAreLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		d, ctx := p.open(t, ""), t.Context()
		p.operator(t, "create", "-s", "-b", "16384", "-V", "1048576", p.dataset+"/d-theirs")
		p.operator(t, "create", "-s", "-b", "16384", "-V", "2097152", p.dataset+"/data")
		if _, err := d.BlankDisk(ctx, "theirs", 1<<20, ""); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "is not Hearth's") {
			t.Errorf("a disk took the place of another's volume: %v", err)
		}
		if err := d.RemoveDisk(ctx, "theirs"); err != nil {
			t.Error(err)
		}
		if list, err := d.Disks(ctx); err != nil || len(list) != 0 {
			t.Errorf("others' volumes are listed: %+v, %v", list, err)
		}
		if all, err := d.list(ctx); err != nil || len(all) != 2 || all["d-theirs"] == nil || all["data"] == nil {
			t.Errorf("%v, %v", all, err)
		}

		write(t, d, "a", text("first"))
		p.operator(t, "snapshot", p.dataset+"/d-a@nightly")
		for _, err := range []error{d.RemoveDisk(ctx, "a"), failed(d.WriteDisk(ctx, "a", 1<<20, bytes.NewReader(text("second"))))} {
			if !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "@nightly") {
				t.Errorf("a snapshot that Hearth did not make: %v", err)
			}
		}
		if got := content(t, d, "a"); !bytes.Equal(got, text("first")) {
			t.Errorf("it holds %q…", got[:20])
		}
		p.operator(t, "destroy", p.dataset+"/d-a@nightly")

		if _, err := d.CopyDisk(ctx, "b", "a", 0); err != nil {
			t.Fatal(err)
		}
		snap := ""
		if v, err := d.find(ctx, "d-a"); err != nil || len(v.Snaps) != 1 {
			t.Fatalf("%+v, %v", v, err)
		} else {
			snap = v.Snaps[0].Name
		}
		p.operator(t, "clone", p.dataset+"/d-a@"+snap, p.dataset+"/theirclone")
		if err := d.RemoveDisk(ctx, "b"); err != nil {
			t.Fatal(err)
		}
		if err := d.RemoveDisk(ctx, "a"); !cloud.Is(err, cloud.Conflict) || !strings.Contains(err.Error(), "theirclone") {
			t.Errorf("a clone that Hearth did not make: %v", err)
		}
		p.operator(t, "destroy", p.dataset+"/theirclone")
		if err := d.RemoveDisk(ctx, "a"); err != nil {
			t.Error(err)
		}

		if disk, err := d.AdoptDisk(ctx, "given", "data"); err != nil || disk.Size != 2<<20 {
			t.Errorf("a volume that an operator gives away: %+v, %v", disk, err)
		}
		if disk, err := d.AdoptDisk(ctx, "theirs", "d-theirs"); err != nil || disk.Size != 1<<20 {
			t.Errorf("one that has the name already: %+v, %v", disk, err)
		}
		p.clear(t)
	})
}

func failed(_ storage.Disk, err error) error { return err }

// TestReadingOfADiskInUse writes to a disk after its reading began, as its guest does, and grows
// it meanwhile.
func TestReadingOfADiskInUse(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		d, ctx := p.open(t, ""), t.Context()
		write(t, d, "used", text("before"))
		disk, err := d.Disk(ctx, "used")
		if err != nil {
			t.Fatal(err)
		}
		guest, err := os.OpenFile(disk.Path, os.O_RDWR|os.O_SYNC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer guest.Close()
		r, err := d.ReadDisk(ctx, "used")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := guest.WriteAt(text("after"), 0); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, text("before")) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if grown, err := d.GrowDisk(ctx, "used", 1<<20); err != nil || grown.Size != 1<<20 {
			t.Errorf("%+v, %v", grown, err)
		}
		if end, err := guest.Seek(0, io.SeekEnd); err != nil || end != 1<<20 {
			t.Errorf("the guest sees %d bytes, %v", end, err)
		}
		if _, err := guest.WriteAt([]byte("at the end"), 1<<20-512); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if got := content(t, d, "used"); !bytes.HasPrefix(got[1<<20-512:], []byte("at the end")) || !bytes.HasPrefix(got, []byte("after")) {
			t.Error("what the guest wrote is not there")
		}
		if _, is := p.host.(linux); is {
			if err := d.RemoveDisk(ctx, "used"); !cloud.Is(err, cloud.Conflict) {
				t.Errorf("a disk that is open was removed: %v", err)
			}
			if who, err := p.user(disk.Path); err != nil || who != fmt.Sprintf("process %d", os.Getpid()) {
				t.Errorf("it is open by %q, %v", who, err)
			}
		}
		guest.Close()
		p.clear(t)
	})
}

// TestImagesWhoseRemovalBrokeOff can be cloned.
func TestImagesWhoseRemovalBrokeOff(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		d, ctx := p.open(t, ""), t.Context()
		data := text("half removed")
		img, err := d.EnsureImage(ctx, storagetest.Ref(data), "", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			t.Fatal(err)
		}
		v, err := d.find(ctx, storage.ShortImageName(img.Digest))
		if err != nil || len(v.Snaps) != 1 {
			t.Fatalf("%+v, %v", v, err)
		}
		p.operator(t, "destroy", "-d", d.at(v.Name)+"@"+v.Snaps[0].Name)
		if _, err := d.CloneDisk(ctx, "late", img, 0); err != nil {
			t.Fatal(err)
		}
		if err := d.RemoveImage(ctx, img.Digest); err != nil {
			t.Fatal(err)
		}
		if got := content(t, d, "late"); !bytes.Equal(got, data) {
			t.Errorf("it holds %q…", got[:20])
		}
		p.clear(t)
	})
}

// TestOddSizes are rounded up to blocks.
func TestOddSizes(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		d := p.open(t, "")
		if disk, err := d.BlankDisk(t.Context(), "odd", 1<<20+1, ""); err != nil || disk.Size != 1<<20+defaultBlock {
			t.Errorf("%+v, %v", disk, err)
		}
		if disk, err := d.GrowDisk(t.Context(), "odd", 2<<20+1); err != nil || disk.Size != 2<<20+defaultBlock {
			t.Errorf("%+v, %v", disk, err)
		}
		if disk, err := d.CopyDisk(t.Context(), "copy", "odd", 3<<20+1); err != nil || disk.Size != 3<<20+defaultBlock {
			t.Errorf("%+v, %v", disk, err)
		}
		p.clear(t)
	})
}

// TestSuite is the suite of all drivers.
func TestSuite(t *testing.T) {
	each(t, func(t *testing.T, p place) {
		storagetest.Run(t, func(t *testing.T) storage.Driver { p.wipe(t); return p.open(t, "512") })
		p.clear(t)
	})
}

// TestDefaultBlocks runs the suite with blocks of the default size, which sizes are rounded up to:
// one case asks for sectors.
func TestDefaultBlocks(t *testing.T) {
	p := place{host: newFakeZFS(t), dataset: "tank/hearth"}
	for _, c := range storagetest.Cases() {
		if c.Name != "a disk has the size asked for" {
			t.Run(c.Name, func(t *testing.T) { p.clear(t); c.Run(t, p.open(t, "")) })
		}
	}
}
