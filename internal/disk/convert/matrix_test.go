package convert

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/tree/treetest"
)

// What an image can be, and what it can be made: archives by bzip2 and xz are only read.
var (
	forms   = []string{"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "ova", "ami", "fs", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "dump", "ganeti"}
	targets = []string{"raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "ova", "ami", "fs", "tar.gz", "tar.zst", "dump", "ganeti"}
)

// convertTo makes a form of a source, as 'hearth image convert' does, and names what
// holds the tree. A disk becomes a disk of another format with its bytes, all else goes
// by way of the tree.
func convertTo(t *testing.T, source, to, prefix string) (string, *TreeResult) {
	t.Helper()
	target, ctx, run := prefix+"."+to, context.Background(), &disk.Runner{}
	if to == "dump" || to == "ami" {
		target = prefix + "-" + to
	}
	if packer := map[string]string{"tar.bz2": "bzip2", "tar.xz": "xz"}[to]; packer != "" {
		return packed(t, source, packer, prefix), &TreeResult{}
	}
	byTree, err := IsTree(source)
	if bare, berr := IsBare(ctx, run, source); err == nil {
		byTree, err = byTree || bare, berr
	}
	r := &TreeResult{}
	switch {
	case err != nil:
	case byTree || to == "ami" || slices.Contains(TreeTargets(), to):
		r, err = Tree(ctx, run, TreeOptions{Source: source, Target: target, To: to, Machine: ova.Machine{Name: "matrix"}})
	case to == "ova":
		_, err = OVA(ctx, run, Options{Source: source, Target: target}, ova.Machine{Name: "matrix"})
	default:
		_, err = Disk(ctx, run, Options{Source: source, Target: target, Format: disk.Format(to)})
	}
	if k := disk.KindOf(err); k == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatalf("%s to %s: %v", filepath.Base(source), to, err)
	}
	switch to {
	case "dump":
		return target + "-root.dump", r
	case "ami":
		return target + ".ext4", r
	}
	return target, r
}

// packed makes an archive by another's program.
func packed(t *testing.T, source, packer, prefix string) string {
	t.Helper()
	if _, err := exec.LookPath(packer); err != nil {
		t.Skip(err)
	}
	plain, _ := convertTo(t, source, "tar", prefix+"-"+packer)
	if out, err := exec.Command(packer, plain).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", packer, err, out)
	}
	return plain + map[string]string{"bzip2": ".bz2", "xz": ".xz"}[packer]
}

// TestTreeMatrix makes each form of each, and holds the trees against the first. The
// quick run makes three of each source, so that each target comes three times at least.
func TestTreeMatrix(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	want := treetest.Manifest(t, ember())
	first := archive(t, filepath.Join(dir, "ember.tar.zst"), ember())
	treetest.Equal(t, "the first archive", want, read(t, first))
	pairs := 0
	for i, from := range forms {
		source, r := convertTo(t, first, from, filepath.Join(dir, "first"))
		treetest.Equal(t, "archive to "+from, want, read(t, source))
		if len(r.Notes) > 0 {
			t.Errorf("archive to %s: %q", from, r.Notes)
		}
		for j, to := range targets {
			if os.Getenv("HEARTH_E2E_ALL") != "1" && (i*3+j)%len(targets) > 2 {
				continue
			}
			name, _ := convertTo(t, source, to, filepath.Join(dir, "made"))
			treetest.Equal(t, from+" to "+to, want, read(t, name))
			remove(t, dir, "made.", "made-")
			pairs++
		}
		remove(t, dir, "first.", "first-")
	}
	t.Logf("%d pairs", pairs)
	for _, d := range []string{dir, os.Getenv("TMPDIR")} {
		if left, _ := filepath.Glob(filepath.Join(d, ".*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if left, _ := filepath.Glob(filepath.Join(d, "hearth-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// TestIsBare: what starts by itself, or has nothing to start, stays as it is.
func TestIsBare(t *testing.T) {
	dir := t.TempDir()
	fs, _ := convertTo(t, archive(t, filepath.Join(dir, "a.tar"), ember()), "fs", filepath.Join(dir, "a"))
	started, empty, whole := filepath.Join(dir, "started"), filepath.Join(dir, "empty.fs"), filepath.Join(dir, "whole")
	b, err := os.ReadFile(fs)
	if err != nil {
		t.Fatal(err)
	}
	b[510], b[511] = 0x55, 0xaa
	if err := os.WriteFile(started, b, 0o600); err != nil {
		t.Fatal(err)
	}
	none := treetest.List{{Entry: tree.Entry{Path: "/", Mode: tree.TypeDir | 0o755}}}
	if _, err := Tree(context.Background(), &disk.Runner{}, TreeOptions{Source: archive(t, filepath.Join(dir, "n.tar"), none), Target: empty, To: "fs"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Tree(context.Background(), &disk.Runner{}, TreeOptions{Source: fs, Target: whole, To: "raw"}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{fs: true, started: false, empty: false, whole: false} {
		if is, err := IsBare(context.Background(), &disk.Runner{}, name); is != want || err != nil {
			t.Errorf("%s: %v, %v", filepath.Base(name), is, err)
		}
	}
}

// TestFileSystemAlone: of a system of two partitions its file system names but itself.
func TestFileSystemAlone(t *testing.T) {
	dir := t.TempDir()
	list := treetest.List{{Entry: tree.Entry{Path: "/", Mode: tree.TypeDir | 0o755}}, {Entry: tree.Entry{Path: "/etc", Mode: tree.TypeDir | 0o755}},
		{Entry: tree.Entry{Path: "/etc/fstab", Mode: tree.TypeFile | 0o644}, Content: "/dev/sda2 / ext3 defaults 0 1\n/dev/sda1 /boot ext3 defaults 0 2\n"}}
	source := archive(t, filepath.Join(dir, "a.tar"), list)
	name, r := convertTo(t, source, "fs", filepath.Join(dir, "out"))
	if len(r.Notes) != 3 {
		t.Errorf("notes %q", r.Notes)
	}
	st, err := os.Stat(name)
	if err != nil || st.Size()%4096 != 0 {
		t.Errorf("%v, %v", st, err)
	}
	for _, opt := range []TreeOptions{{Loader: "extlinux"}, {Compress: "zstd"}, {FS: "xfs"}, {FS: "zfs"}, {Size: 4096}} {
		opt.Source, opt.Target, opt.To = source, filepath.Join(dir, "no"), "fs"
		if _, err := Tree(context.Background(), &disk.Runner{}, opt); err == nil {
			t.Errorf("%+v passes", opt)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*no*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func remove(t *testing.T, dir string, prefixes ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		for _, p := range prefixes {
			if strings.HasPrefix(e.Name(), p) {
				_ = os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}
