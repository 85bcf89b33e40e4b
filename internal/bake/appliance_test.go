package bake

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/appliance"
	"hearth/internal/disk/convert"
	"hearth/internal/disk/deploy"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/resize"
	archives "hearth/internal/disk/tarball"
	filetree "hearth/internal/disk/tree"
	"hearth/internal/disk/tree/treetest"
)

// applianceFor makes the real guest, with the agent as it is now.
func applianceFor(t *testing.T) *appliance.Appliance {
	t.Helper()
	if os.Getenv("HEARTH_E2E_ALL") != "1" {
		t.Skip("starts QEMU for a minute; HEARTH_E2E_ALL=1 runs it")
	}
	program := filepath.Join(t.TempDir(), "program")
	command := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, "hearth/cmd/hearth-guest")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return &appliance.Appliance{Parts: func(ctx context.Context, kinds []string) (appliance.Parts, error) {
		return applianceOf(ctx, Options{CacheDir: os.Getenv("HEARTH_CACHE")}, kinds, b)
	}}
}

// TestInAppliance: of a kernel's package, only what an appliance may load is read.
func TestInAppliance(t *testing.T) {
	const at = "lib/modules/6.1.0-1-amd64/kernel/"
	for name, want := range map[string]bool{"boot/vmlinuz-6.1.0-1-amd64": true, at + "fs/f2fs/f2fs.ko": true, at + "lib/lz4/lz4_compress.ko": true, at + "crypto/crc32_generic.ko": true,
		at + "drivers/virtio/virtio_pci.ko": true, at + "drivers/block/virtio_blk.ko": true, at + "drivers/net/virtio_net.ko": false, at + "sound/soundcore.ko": false,
		"boot/config-6.1.0-1-amd64": false, at + "fs/f2fs/README": false} {
		if inAppliance(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	if !ordinary([]string{"ext4", "f2fs"}) || ordinary([]string{"ext4", "xfs"}) || ordinary(nil) {
		t.Error("the larger kernel is for f2fs alone")
	}
}

// TestE2EFileSystems fills file systems with whatever a copy could lose, grows and
// shrinks them, and reads them back each time.
func TestE2EFileSystems(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	run := &disk.Runner{FileSystems: applianceFor(t)}
	for _, kind := range []string{"xfs", "btrfs", "f2fs"} {
		t.Run(kind, func(t *testing.T) {
			image, small := filepath.Join(dir, kind), filepath.Join(dir, kind+".small")
			s, err := filetree.Stage(ctx, treetest.All(), filetree.Limits{}, filepath.Join(dir, kind+".tree"))
			if err != nil {
				t.Fatal(err)
			}
			o := disk.ExtOptions{Size: 64 << 20, Label: "x", UUID: "4bd3b3a7-0cbe-4a6c-95c4-1a2b3c4d5e6f", Dir: s.Dir}
			if err := filetree.MakeExt(ctx, run, image, o, s.Entries); err != nil {
				t.Fatal(err)
			}
			o.Size = 512 << 20
			if err := filetree.Transplant(ctx, run, image, kind, o); err != nil {
				t.Fatal(err)
			}
			same := func(what, path string) {
				d, err := guestfs.Open(ctx, run, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadOnly)
				if err != nil {
					t.Fatal(what, err)
				}
				defer d.Close()
				v := d.Volumes[0]
				if v.Content != kind || v.UUID != o.UUID || v.Label != "x" || !v.Mirrored() {
					t.Fatalf("%s: %+v", what, v)
				}
				treetest.Equal(t, what, treetest.Manifest(t, treetest.All()), treetest.Manifest(t, filetree.FromDisk(d.TreeOf(v))))
			}
			same("made", image)
			if r, _, err := resize.Grow(ctx, run, resize.Options{Source: image, Size: 768 << 20}); err != nil || r.Size != 768<<20 {
				t.Fatalf("grow: %+v, %v", r, err)
			}
			r, err := resize.Shrink(ctx, run, resize.Options{Source: image, Target: small})
			if err != nil {
				t.Fatal("shrink:", err)
			}
			t.Logf("shrunk: %+v", r)
			if r.Size > 320<<20 {
				t.Errorf("it has %d bytes", r.Size)
			}
			same("shrunk", small)
		})
	}
}

// TestE2EDeployed puts a tree onto disks of the file systems that only the appliance fills,
// exports each, and makes another disk of the export: create, export, import.
func TestE2EDeployed(t *testing.T) {
	ctx := context.Background()
	run := &disk.Runner{FileSystems: applianceFor(t)}
	for _, fs := range []string{"xfs", "btrfs", "f2fs"} {
		t.Run(fs, func(t *testing.T) {
			dir := t.TempDir()
			d, err := osdef.Import("test", "FILESYSTEM="+fs+"\nCUSTOMIZE_DIR="+t.TempDir()+"\n")
			if err != nil {
				t.Fatal(err)
			}
			d.Layout = &osdef.Layout{Table: "mbr", Partitions: []osdef.Partition{{Mount: "/boot", Size: 40, FileSystem: "vfat", Boot: true}, {Mount: "swap", Size: 16}, {Mount: "/"}}}
			create := func(image, name string) (string, *filetree.Manifest) {
				t.Helper()
				target := filepath.Join(dir, name)
				r, err := (&deploy.Deployer{Run: run}).Deploy(ctx, deploy.Options{Definition: d, Image: image, Target: target, Size: 512 << 20, Serial: true})
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range r.Steps {
					t.Logf("%s: %s %d ms", name, s.Name, s.Milliseconds)
				}
				m, err := convert.ReadManifest(ctx, run, target, filetree.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				return target, m
			}
			first, made := create(deployable(t), "first")
			checkKinds(t, first, "vfat", "swap", fs)
			export := filepath.Join(dir, "export")
			if _, err := convert.Tree(ctx, run, convert.TreeOptions{Source: first, Target: export, To: "dump"}); err != nil {
				t.Fatal(err)
			}
			exported, err := convert.ReadManifest(ctx, run, export+"-root.dump", filetree.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			treetest.Equal(t, "the export", made, exported)
			second, again := create(export+"-root.dump", "second")
			checkKinds(t, second, "vfat", "swap", fs)
			treetest.Equal(t, "created", only(treetest.Manifest(t, treetest.All())), only(made))
			treetest.Equal(t, "imported", only(made), only(again))
			if a, b := made.Items["/boot/vmlinuz-6.1.0-test"], again.Items["/boot/vmlinuz-6.1.0-test"]; a == nil || b == nil || a.SHA256 != b.SHA256 || a.Mode != b.Mode {
				t.Errorf("the kernel on vfat is %+v and %+v", a, b)
			}
			if again.Items["/boot/grub/grub.cfg"] == nil {
				t.Error("there is no menu")
			}
		})
	}
}

// only leaves the files whose content and owner no deployment changes.
func only(m *filetree.Manifest) *filetree.Manifest {
	out := &filetree.Manifest{Items: map[string]*filetree.Item{}}
	for _, f := range treetest.All() {
		if i := m.Items[f.Path]; i != nil && f.Path != "/" && f.Path != "/etc" && f.Path != "/dev" {
			out.Items[f.Path] = i
		}
	}
	return out
}

func checkKinds(t *testing.T, path string, want ...string) {
	t.Helper()
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: path, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for i, v := range d.Volumes {
		if v.Content != want[i] {
			t.Errorf("partition %d is %+v, not %s", i+1, v, want[i])
		}
	}
}

// deployable is an archive of files of each kind and of a small system's.
func deployable(t *testing.T) string {
	t.Helper()
	kernel := make([]byte, 5000)
	copy(kernel[0x202:], "HdrS")
	kernel[0x20f] = 4
	copy(kernel[0x600:], "6.1.0-test (x)\x00")
	list := treetest.All()
	at := time.Unix(1e9, 0)
	for _, f := range []struct{ name, content string }{{"/boot", ""}, {"/boot/initrd.img-6.1.0-test", "ramdisk"}, {"/boot/vmlinuz-6.1.0-test", string(kernel)},
		{"/etc/fstab", "/dev/sda1 / ext3 defaults 0 1\n"}, {"/etc/hostname", "old\n"}, {"/etc/inittab", "id:2:initdefault:\n"}, {"/etc/os-release", "ID=debian\n"}} {
		mode := uint32(filetree.TypeFile | 0o644)
		if f.content == "" {
			mode = filetree.TypeDir | 0o755
		}
		list = append(list, treetest.File{Entry: filetree.Entry{Path: f.name, Mode: mode, MTime: at}, Content: f.content})
	}
	name := filepath.Join(t.TempDir(), "system.tar.zst")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := archives.Write(context.Background(), f, archives.Zstd, list); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestE2EAppliance starts the real guest and has it copy an XFS to an ext4.
func TestE2EAppliance(t *testing.T) {
	ctx, dir, a := context.Background(), t.TempDir(), applianceFor(t)
	xfs, ext := filepath.Join(dir, "xfs"), filepath.Join(dir, "ext")
	for _, c := range []string{"truncate -s 400M " + xfs, "mkfs.xfs -q " + xfs, "mke2fs -q -t ext4 -O ^has_journal " + ext + " 300m"} {
		if out, err := exec.Command("sh", "-c", c).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", c, err, out)
		}
	}
	fs := func(path, kind string) disk.FileSystem {
		st, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return disk.FileSystem{Layer: disk.Layer{Path: path, Format: disk.Raw}, Size: st.Size(), Kind: kind}
	}
	edits := t.TempDir()
	if err := os.WriteFile(filepath.Join(edits, "f0"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll("mkdir \"/a b\"\nsif \"/a b\" mode 040750\nsif \"/a b\" uid 7\ncd \"/a b\"\nwrite \"DIR/f0\" \"x\"\"y\"\nsif \"/a b/x\"\"y\" mode 0104755\nsif \"/a b/x\"\"y\" uid 1000\ncd /\nsymlink \"/l\" \"a b\"\n", "DIR", edits)
	if err := a.Edit(ctx, fs(xfs, "xfs"), edits, script); err != nil {
		t.Fatal(err)
	}
	use, err := a.Copy(ctx, fs(xfs, "xfs"), fs(ext, "ext4"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", use)
	guestfstest.Clean(t, ext, 0)
	out, err := exec.Command("debugfs", "-R", "cat \"/a b/x\"\"y\"", ext).Output()
	if err != nil || !bytes.Equal(out, []byte("hello\n")) {
		t.Errorf("%q %v", out, err)
	}
	out, _ = exec.Command("debugfs", "-R", "stat \"/a b/x\"\"y\"", ext).Output()
	if !strings.Contains(string(out), "Mode:  04755") || !strings.Contains(string(out), "User:  1000") {
		t.Errorf("%s", out)
	}
	// A kernel without the module says so, with the next step.
	narrow := &appliance.Appliance{Parts: func(ctx context.Context, _ []string) (appliance.Parts, error) { return a.Parts(ctx, []string{"xfs"}) }}
	flash := filepath.Join(dir, "f2fs")
	if err := (&disk.Runner{}).MakeFS(ctx, flash, "f2fs", disk.ExtOptions{Size: 64 << 20, UUID: "4bd3b3a7-0cbe-4a6c-95c4-1a2b3c4d5e6f"}); err != nil {
		t.Fatal(err)
	}
	if _, err := narrow.Copy(ctx, fs(flash, "f2fs"), fs(ext, "ext4")); disk.KindOf(err) != disk.Refused || !strings.Contains(err.Error(), "no module for f2fs; without HEARTH_APPLIANCE") {
		t.Errorf("a kernel without f2fs gives %v", err)
	}
	// Bytes that are no XFS, and a kernel that has nothing to do, are errors.
	if err := os.WriteFile(xfs, append([]byte("XFSB"), make([]byte, 64<<20)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Copy(ctx, fs(xfs, "xfs"), fs(ext, "ext4")); disk.KindOf(err) != disk.Refused {
		t.Errorf("a broken XFS gives %v", err)
	} else {
		t.Log(err)
	}
}
