package deploy

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/bootdisk"
	"hearth/internal/disk/fat"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/sdboot"
)

// TestEFIEntries adds words to systemd-boot's menu, however often only once.
func TestEFIEntries(t *testing.T) {
	root := guestfstest.Image(t, guestfstest.Options{}, func(dir string) { guestfstest.Tree(t, dir, "etc/os-release=ID=debian\n") })
	path, ctx := filepath.Join(t.TempDir(), "disk"), context.Background()
	err := sdboot.Make(ctx, sdboot.Disk{Path: path, Root: root, UUID: "01234567-89ab-cdef-0123-456789abcdef", Work: t.TempDir(),
		Menu: bootdisk.Menu{Title: "T", Kernel: "/k", Ramdisk: "/r", Params: "root=UUID=x quiet"}, Kernel: []byte("k"), Ramdisk: []byte("r")})
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		d, err := guestfs.Open(ctx, &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := efiEntries(d, []string{"quiet", "mitigations=off"}); err != nil || !found {
			t.Errorf("%v, %v", found, err)
		}
		v := d.Volumes[0]
		f, err := fat.Open(io.NewSectionReader(d.Reader(), v.Start, v.Size), v.Size)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := f.ReadFile(sdboot.EntryPath, 1<<16); err != nil || !strings.HasSuffix(string(b), "\noptions root=UUID=x quiet mitigations=off\n") {
			t.Errorf("%s, %v", b, err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
