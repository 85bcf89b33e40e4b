package rbd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/disk"
	"hearth/internal/driver/storage"
	"hearth/internal/driver/storage/file"
	"hearth/internal/driver/storage/rbd/cephtest"
	"hearth/internal/driver/storage/storagetest"
)

func opening(t *testing.T, c cephtest.Cluster) *Driver {
	t.Helper()
	d, err := New(t.Context(), Config{Pool: c.Pool, Conf: c.Conf, Keyring: c.Keyring, Owner: "test", Tmp: t.TempDir(), Kitchen: file.DiskRoom{Runner: &disk.Runner{}}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// clear empties the pool, and sees that nothing of it is left in the trash.
func clear(t *testing.T, d *Driver) {
	t.Helper()
	all, err := d.list(t.Context())
	for name := range all {
		err = errors.Join(err, d.drop(t.Context(), name))
	}
	trash, listed := d.rbd(t.Context(), "trash", "ls", d.Pool)
	if err = errors.Join(err, listed); err != nil || trash != "" {
		t.Fatalf("left in the trash: %q, %v", trash, err)
	}
}

// TestSuite is the suite of all drivers, and more of this one, against a real cluster.
func TestSuite(t *testing.T) {
	c := cephtest.Start(t)
	t.Run("Suite", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Driver {
			d := opening(t, c)
			clear(t, d)
			return d
		})
	})
	t.Run("Swept", func(t *testing.T) { swept(t, c) })
	t.Run("Bytes", func(t *testing.T) { keepsBytes(t, c) })
	t.Run("Missing", func(t *testing.T) {
		cfg := opening(t, c).Config
		cfg.Pool = "nowhere"
		if _, err := New(t.Context(), cfg); !cloud.Is(err, cloud.NotFound) || !strings.Contains(err.Error(), "ceph osd pool create") {
			t.Errorf("without its pool: %v", err)
		}
	})
}

// swept has New finish what only lacked its name, and remove what was half made, of this owner.
func swept(t *testing.T, c cephtest.Cluster) {
	d := opening(t, c)
	clear(t, d)
	for _, name := range []string{"p-test.whole", "p-test.half", "p-other.half"} {
		if err := d.begin(t.Context(), name, plan{size: 1 << 20}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.rbd(t.Context(), "image-meta", "set", d.at("p-test.whole"), metaTo, "d-late"); err != nil {
		t.Fatal(err)
	}
	all, err := opening(t, c).list(t.Context())
	if err != nil || len(all) != 2 || all["d-late"] != 1<<20 || all["p-other.half"] != 1<<20 {
		t.Errorf("%v, %v", all, err)
	}
	clear(t, d)
}

// keepsBytes has QEMU's own driver read what the driver wrote, through a clone of a clone whose
// origins are gone.
func keepsBytes(t *testing.T, c cephtest.Cluster) {
	d, ctx := opening(t, c), t.Context()
	clear(t, d)
	data := storagetest.Content("kept in the cluster", 9<<20+512)
	img, err := d.EnsureImage(ctx, storagetest.Ref(data), "", func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.CloneDisk(ctx, "one", img, 16<<20)
	_, copied := d.CopyDisk(ctx, "two", "one", 0)
	last, again := d.CopyDisk(ctx, "three", "two", 0)
	if err := errors.Join(err, copied, again, d.RemoveImage(ctx, img.Digest), d.RemoveDisk(ctx, "one"), d.RemoveDisk(ctx, "two")); err != nil {
		t.Fatal(err)
	}
	if list, err := d.Disks(ctx); err != nil || len(list) != 1 || list[0] != last {
		t.Errorf("%+v, %v", list, err)
	}
	want := t.TempDir() + "/want"
	if err := os.WriteFile(want, append(data, make([]byte, 16<<20-len(data))...), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "compare", "-f", "raw", "-F", "raw", last.Path, want).CombinedOutput(); err != nil {
		t.Errorf("qemu-img compare: %v: %s", err, out)
	}
	r, err := d.ReadDisk(ctx, "three")
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 19)
	if _, err := io.ReadFull(r, first); err != nil || string(first) != "kept in the cluster" {
		t.Errorf("%q, %v", first, err)
	}
	if err := r.Close(); err != nil { // long before its end
		t.Errorf("closing it: %v", err)
	}
	clear(t, d)
}

// TestConfig refuses what would be other words of QEMU's or the commands'.
func TestConfig(t *testing.T) {
	good := Config{Pool: "volumes", Tmp: t.TempDir()}
	for _, bad := range []func(*Config){
		func(c *Config) { c.Pool = "" }, func(c *Config) { c.Pool = "a/b" }, func(c *Config) { c.User = "a:conf=/x" },
		func(c *Config) { c.Conf = "ceph.conf" }, func(c *Config) { c.Conf = "/a:b" }, func(c *Config) { c.Keyring = "/a b" },
	} {
		cfg := good
		bad(&cfg)
		if _, err := New(t.Context(), cfg); !cloud.Is(err, cloud.Invalid) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// TestTold gives the numbers that the commands end with their kinds.
func TestTold(t *testing.T) {
	for status, want := range map[string]cloud.Kind{"2": cloud.NotFound, "28": cloud.NoCapacity, "39": cloud.Conflict, "110": cloud.Unavailable, "22": cloud.Internal} {
		err := exec.Command("sh", "-c", "exit "+status).Run()
		if got := told(t.Context(), "rbd", "rm", "rbd: error\n", err); !cloud.Is(got, want) {
			t.Errorf("%s: %v", status, got)
		}
	}
	if err := exec.Command("/nowhere/rbd").Run(); !cloud.Is(told(t.Context(), "rbd", "ls", "", exec.ErrNotFound), cloud.Unsupported) || err == nil {
		t.Error("without the command")
	}
}
