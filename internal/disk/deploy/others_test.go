package deploy

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestos"
	"hearth/internal/disk/osdef"
)

// filler takes what the appliance is given; nothing is copied.
type filler struct {
	disk.FileSystems
	kinds    []string
	roots    []string // what the copied trees have in /etc/fstab
	defaults string   // what the last has in /etc/default/grub
	menu     string   // its GRUB's
}

// Copy implements [disk.FileSystems].
func (f *filler) Copy(ctx context.Context, from, to disk.FileSystem) (disk.FSUse, error) {
	f.kinds = append(f.kinds, from.Kind+" to "+to.Kind)
	d, err := guestfs.Open(ctx, &disk.Runner{}, []disk.Layer{from.Layer}, guestfs.ReadOnly)
	if err != nil {
		return disk.FSUse{}, err
	}
	defer d.Close()
	read := func(name string) string {
		b, _ := d.TreeOf(d.Volumes[0]).ReadFile(name, 1<<16)
		return string(b)
	}
	f.roots = append(f.roots, read("/etc/fstab"))
	f.defaults, f.menu = read("/etc/default/grub"), read("/boot/grub/grub.cfg")
	return disk.FSUse{}, nil
}

// TestOthers: partitions that are not ext become what they are to be at the end, with the
// names that fstab has for them.
func TestOthers(t *testing.T) {
	for root, data := range map[string]string{"xfs": "btrfs", "btrfs": "f2fs", "f2fs": "f2fs"} {
		t.Run(root, func(t *testing.T) { testOthers(t, root, data) })
	}
}

func testOthers(t *testing.T, root, data string) {
	fill := &filler{}
	d := definition(t, "FILESYSTEM="+root+"\n")
	d.Layout = &osdef.Layout{Table: "mbr", Partitions: []osdef.Partition{{Mount: "/boot", Size: 32, FileSystem: "vfat", Boot: true}, {Mount: "swap", Size: 16}, {Mount: "/srv/data-of-the-site", Size: 150, FileSystem: data}, {Mount: "/"}}}
	target := filepath.Join(t.TempDir(), "disk.raw")
	r, err := (&Deployer{Run: &disk.Runner{FileSystems: fill}}).Deploy(context.Background(), Options{Definition: d, Image: archive(t), Target: target, Size: 600 << 20, Serial: true})
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(fill.kinds, ", "); got != "ext4 to vfat, ext4 to "+data+", ext4 to "+root {
		t.Fatal(got)
	}
	fstab := fill.roots[2]
	for i, want := range map[int]string{0: " /boot vfat defaults 0 2\n", 2: " /srv/data-of-the-site " + data + " defaults 0 0\n", 3: " / " + root + " defaults 0 0\n"} {
		if line := "UUID=" + r.Partitions[i].UUID + want; !strings.Contains(fstab, line) {
			t.Errorf("%q lacks in %s", line, fstab)
		}
	}
	disks, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: target, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer disks.Close()
	for i, want := range []string{"vfat BOOT", "swap ", data + " /srv/data-o", root + " /"} {
		if v := disks.Volumes[i]; v.Content+" "+v.Label != want || v.UUID != r.Partitions[i].UUID {
			t.Errorf("partition %d is %+v, want %s, %s", i+1, v, want, r.Partitions[i].UUID)
		}
	}
	if l := legacy(true, false, 100*mib, 64*mib, root); l.Partitions[0].FileSystem != "ext4" || l.Partitions[2].FileSystem != root {
		t.Errorf("%+v", l)
	}
}

// TestF2FSIsWrittenToAtOnce: the kernel of an f2fs gets rw, by the menu, by those that update-grub makes
// later, and from outside; of all others ro.
func TestF2FSIsWrittenToAtOnce(t *testing.T) {
	for kind, want := range map[string]string{"xfs": "ro", "f2fs": "rw"} {
		for _, outside := range []string{"", "/boot/vmlinuz"} {
			fill := &filler{}
			d := definition(t, "FILESYSTEM="+kind+"\n")
			d.Layout = &osdef.Layout{Table: "mbr", Partitions: []osdef.Partition{{Mount: "/", FileSystem: kind, Boot: true}}}
			r, err := (&Deployer{Run: &disk.Runner{FileSystems: fill}}).Deploy(context.Background(), Options{Definition: d, Image: archive(t), Target: filepath.Join(t.TempDir(), "disk.raw"), Size: 400 << 20, KernelPath: outside})
			if disk.KindOf(err) == disk.ToolMissing {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			args := "root=UUID=" + r.Partitions[0].UUID + " " + want
			if !strings.HasPrefix(r.CommandLine, args) || guestos.MountsReadOnly(r.CommandLine) != (want == "ro") {
				t.Errorf("%s: %s", kind, r.CommandLine)
			}
			if outside != "" {
				continue
			}
			if !strings.Contains(fill.menu, " "+args+" ") && !strings.Contains(fill.menu, " "+args+"\n") {
				t.Errorf("%s: %s", kind, fill.menu)
			}
			if later := guestos.Variables(fill.defaults)["GRUB_CMDLINE_LINUX"]; !strings.HasPrefix(later, "quiet") || guestos.MountsReadOnly(later) != (want == "ro") {
				t.Errorf("%s: %s", kind, fill.defaults)
			}
		}
	}
}

// TestOthersAreRefused before anything is written.
func TestOthersAreRefused(t *testing.T) {
	image := archive(t)
	for why, c := range map[string]struct {
		settings string
		root     string
		run      disk.Runner
		size     int64
	}{
		"owners nor links":  {"FILESYSTEM=vfat\n", "", disk.Runner{FileSystems: &filler{}}, 600},
		"300 at least":      {"FILESYSTEM=xfs\n", "", disk.Runner{FileSystems: &filler{}}, 256},
		"128 at least":      {"", "btrfs", disk.Runner{FileSystems: &filler{}}, 128},
		"64 at least":       {"", "f2fs", disk.Runner{FileSystems: &filler{}}, 64},
		"by the appliance ": {"FILESYSTEM=btrfs\n", "", disk.Runner{}, 600},
		"f2fs is filled by": {"FILESYSTEM=f2fs\n", "", disk.Runner{}, 600},
	} {
		target := filepath.Join(t.TempDir(), "disk.raw")
		d := definition(t, c.settings)
		if c.root != "" {
			d.Layout = &osdef.Layout{Table: "mbr", Partitions: []osdef.Partition{{Mount: "/", FileSystem: c.root, Boot: true}}}
		}
		_, err := (&Deployer{Run: &c.run}).Deploy(context.Background(), Options{Definition: d, Image: image, Target: target, Size: c.size << 20})
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
		if _, err := os.Stat(target); err == nil {
			t.Errorf("%s: there is a disk", why)
		}
	}
	if _, err := osdef.Import("x", "FILESYSTEM=ntfs"); err == nil || !strings.Contains(err.Error(), "f2fs") {
		t.Error(err)
	}
}
