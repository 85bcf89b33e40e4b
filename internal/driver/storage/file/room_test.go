package file

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMoldsAreKeptWhereThereIsRoom refuses what would be kept beside an image: each disk is
// as it should be all the same, and nothing is kept. Then all of it is counted.
func TestMoldsAreKeptWhereThereIsRoom(t *testing.T) {
	for name, copies := range map[string]bool{"overlay": false, "copy": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			d := open(t, dir)
			if copies {
				d.Kitchen = noOverlay{d.Kitchen}
			}
			src := extImage(t)
			img, err := d.EnsureImage(t.Context(), refOf(t, src, "raw"), src, noOpen)
			if err != nil {
				t.Fatal(err)
			}
			room, asked, under := false, []int64{}, 0
			d.KeepIf(func(_ context.Context, bytes int64) (func(), bool) {
				asked = append(asked, bytes)
				under++
				if !room {
					under--
				}
				return func() { under-- }, room
			})
			clone := func(id string) {
				t.Helper()
				disk, err := d.CloneDisk(t.Context(), id, img, 64*mib)
				if err != nil {
					t.Fatal(err)
				}
				path := flat(t, disk)
				run(t, "e2fsck", "-f", "-n", path)
				if out := run(t, "dumpe2fs", "-h", path); !strings.Contains(out, "Block count:              65536\n") && !strings.Contains(out, "Block count:              16384\n") {
					t.Errorf("the file system does not fill 64 MiB:\n%s", out)
				}
				if out := run(t, "debugfs", "-R", "cat /hello", path); !strings.Contains(out, "hearth") {
					t.Errorf("the file is not there: %s", out)
				}
				if info, err := os.Stat(disk.Path); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%v %v", info, err)
				}
			}
			kept := func() (names []string) {
				entries, err := os.ReadDir(filepath.Dir(img.Path))
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					names = append(names, e.Name())
				}
				return names
			}
			clone("one")
			clone("two")
			if got := kept(); len(got) != 2 || len(asked) != 2 || asked[0] < 64<<10 {
				t.Errorf("kept %v, asked %v", got, asked)
			}
			small := weight(t, d)
			room = true
			clone("three")
			clone("four")
			if got := kept(); len(got) != 4 || len(asked) != 3 || under != 0 {
				t.Errorf("kept %v, asked %v, under way %d", got, asked, under)
			}
			if grown := weight(t, d) - small; grown <= 0 || grown > asked[2] {
				t.Errorf("%d bytes more are counted, %d were asked for", grown, asked[2])
			}
			if left, err := os.ReadDir(filepath.Join(dir, "tmp")); err != nil || len(left) != 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// weight is what the one image that is cached takes.
func weight(t *testing.T, d *Driver) int64 {
	t.Helper()
	list, err := d.Images(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	return list[0].Bytes
}

// TestUseIsNoted asks for an image again: that is known to the next driver too.
func TestUseIsNoted(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	src := extImage(t)
	ref := refOf(t, src, "raw")
	img, err := d.EnsureImage(t.Context(), ref, src, noOpen)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(filepath.Dir(img.Path), metaName), before, before); err != nil {
		t.Fatal(err)
	}
	if _, err := d.EnsureImage(t.Context(), ref, src, noOpen); err != nil {
		t.Fatal(err)
	}
	list, err := open(t, dir).Images(t.Context())
	if err != nil || len(list) != 1 || time.Since(list[0].UsedAt) > time.Minute {
		t.Fatal(list, err)
	}
}
