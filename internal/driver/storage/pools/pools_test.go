package pools

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/fake"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/storagetest"
)

func opened(d storage.Driver) func(context.Context) (storage.Driver, error) {
	return func(context.Context) (storage.Driver, error) { return d, nil }
}

func TestSuite(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Driver {
		return New(fake.New(), true, Pool{Name: "fast", Open: opened(fake.New())})
	})
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

// inPool has all disks in a pool, and tells their names without it.
type inPool struct{ storage.Driver }

func (d inPool) name(id string) string { return id + "@fast" }

func bare(disk storage.Disk, err error) (storage.Disk, error) {
	disk.ID, _ = cloud.DiskPool(disk.ID)
	return disk, err
}

func (d inPool) CloneDisk(ctx context.Context, id string, image storage.Image, size int64) (storage.Disk, error) {
	return bare(d.Driver.CloneDisk(ctx, d.name(id), image, size))
}

func (d inPool) BlankDisk(ctx context.Context, id string, size int64, label string) (storage.Disk, error) {
	return bare(d.Driver.BlankDisk(ctx, d.name(id), size, label))
}

func (d inPool) ConfigDrive(ctx context.Context, id string, f map[string][]byte) (storage.Disk, error) {
	return bare(d.Driver.ConfigDrive(ctx, d.name(id), f))
}

// CopyDisk goes by way of the host's own storage: two copies between places.
func (d inPool) CopyDisk(ctx context.Context, id, from string, size int64) (storage.Disk, error) {
	if _, err := d.Driver.Disk(ctx, d.name(id)); cloud.Is(err, cloud.NotFound) && !strings.HasPrefix(id, ".") {
		if _, err := d.Driver.CopyDisk(ctx, "by-way", d.name(from), size); err != nil {
			return storage.Disk{}, err
		}
		defer func() { _ = d.Driver.RemoveDisk(ctx, "by-way") }()
	}
	return bare(d.Driver.CopyDisk(ctx, d.name(id), "by-way", size))
}

func (d inPool) RevertDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	return bare(d.Driver.RevertDisk(ctx, d.name(id), d.name(from)))
}

func (d inPool) AdoptDisk(ctx context.Context, id, from string) (storage.Disk, error) {
	return bare(d.Driver.AdoptDisk(ctx, d.name(id), d.name(from)))
}

func (d inPool) WriteDisk(ctx context.Context, id string, size int64, src io.Reader) (storage.Disk, error) {
	return bare(d.Driver.WriteDisk(ctx, d.name(id), size, src))
}

func (d inPool) GrowDisk(ctx context.Context, id string, size int64) (storage.Disk, error) {
	return bare(d.Driver.GrowDisk(ctx, d.name(id), size))
}

func (d inPool) ReadDisk(ctx context.Context, id string) (io.ReadCloser, error) {
	return d.Driver.ReadDisk(ctx, d.name(id))
}

func (d inPool) RemoveDisk(ctx context.Context, id string) error {
	return d.Driver.RemoveDisk(ctx, d.name(id))
}

func (d inPool) Disk(ctx context.Context, id string) (storage.Disk, error) {
	return bare(d.Driver.Disk(ctx, d.name(id)))
}

func (d inPool) Disks(ctx context.Context) (out []storage.Disk, err error) {
	list, err := d.Driver.Disks(ctx)
	for _, disk := range list {
		disk, _ = bare(disk, nil)
		out = append(out, disk)
	}
	return out, err
}

func TestSuiteInAPool(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Driver {
		return inPool{New(files(t), true, Pool{Name: "fast", Open: opened(files(t))})}
	})
}

func TestVolumesAreElsewhere(t *testing.T) {
	host, fast := fake.New(), fake.New()
	d := New(host, true, Pool{Name: "fast", Protocol: "lvm", Open: opened(fast)})
	for _, id := range []string{"volume-a@fast", "volume-b", "root"} {
		disk, err := d.BlankDisk(t.Context(), id, 1<<20, "")
		if err != nil || disk.ID != id {
			t.Fatalf("%+v, %v", disk, err)
		}
	}
	for at, want := range map[storage.Driver]string{fast: "volume-a", host: "root volume-b", d: "root volume-a@fast volume-b"} {
		var names []string
		list, err := at.Disks(t.Context())
		for _, disk := range list {
			names = append(names, disk.ID)
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	_, err := d.AdoptDisk(t.Context(), "volume-c@fast", "volume-b")
	if !cloud.Is(err, cloud.Invalid) {
		t.Errorf("a disk of another place was adopted: %v", err)
	}
	_, err = d.BlankDisk(t.Context(), "volume-c@gone", 1<<20, "")
	if !cloud.Is(err, cloud.Unavailable) || !strings.Contains(err.Error(), "no backend gone") {
		t.Errorf("a pool that is not in the configuration: %v", err)
	}
}

func TestACopyBetweenPools(t *testing.T) {
	d := New(files(t), true, Pool{Name: "fast", Open: opened(files(t))})
	data := bytes.Repeat([]byte("between "), 1<<17)
	if _, err := d.WriteDisk(t.Context(), "volume-a@fast", 1<<20, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	disk, err := d.CopyDisk(t.Context(), "volume-a", "volume-a@fast", 2<<20)
	if err != nil || disk.Size != 2<<20 {
		t.Fatalf("%+v, %v", disk, err)
	}
	r, err := d.ReadDisk(t.Context(), "volume-a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got[:1<<20], data) {
		t.Errorf("the copy is another: %v", err)
	}
}

// TestAPoolThatIsBroken has one that cannot be opened, then one that is not ready
// any more: nothing is written to it, and the rest works.
func TestAPoolThatIsBroken(t *testing.T) {
	fault := cloud.E("test", cloud.Unavailable, "nothing is mounted")
	share := fake.New()
	d := New(fake.New(), false, Pool{Name: "share", Protocol: "nfs", Open: opened(share), Ready: func() error { return fault }})
	made := func() error {
		_, err := d.BlankDisk(t.Context(), "volume-a@share", 1<<20, "")
		return err
	}
	if err := made(); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("a disk was made: %v", err)
	}
	if p := d.Pools(t.Context()); len(p) != 1 || p[0].Name != "share" || !strings.Contains(p[0].Fault, "nothing is mounted") {
		t.Errorf("%+v", p)
	}
	if _, err := d.BlankDisk(t.Context(), "root", 1<<20, ""); err != nil {
		t.Error(err)
	}
	if list, err := d.Disks(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	fault = nil
	if err := made(); err != nil {
		t.Error(err)
	}
	if p := d.Pools(t.Context()); p[0].Fault != "" || p[0].TotalGB == 0 {
		t.Errorf("%+v", p)
	}
	fault = cloud.E("test", cloud.Unavailable, "nothing is mounted")
	if err := d.RemoveDisk(t.Context(), "volume-a@share"); !cloud.Is(err, cloud.Unavailable) {
		t.Errorf("a disk was removed of a pool that is away: %v", err)
	}
}
