package tree_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/tree/treetest"
)

// TestExt stages a tree, makes a file system of it as whoever runs the test, and
// reads it back: nothing may be lost.
func TestExt(t *testing.T) {
	ctx, run, dir := context.Background(), &disk.Runner{}, t.TempDir()
	want := treetest.All()
	want = append(want, treetest.File{Entry: tree.Entry{Path: "/sock", Mode: tree.TypeSocket | 0o755, MTime: want[0].MTime}})
	s, err := tree.Stage(ctx, want, tree.Limits{}, filepath.Join(dir, "tree"))
	if err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(filepath.Join(s.Dir, "holes"), &st); err != nil || st.Size != 300004 || st.Blocks*512 > 16<<10 {
		t.Errorf("the staged file of holes takes %d bytes of %d, %v", st.Blocks*512, st.Size, err)
	}
	image := filepath.Join(dir, "image")
	err = tree.MakeExt(ctx, run, image, disk.ExtOptions{Size: 32 << 20, Label: "x", UUID: "4bd3b3a7-0cbe-4a6c-95c4-1a2b3c4d5e6f", Dir: s.Dir}, s.Entries)
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	guestfstest.Clean(t, image, 0)
	d, err := guestfs.Open(ctx, run, []disk.Layer{{Path: image, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got := treetest.Manifest(t, tree.FromDisk(d.TreeOf(d.Volumes[0])))
	treetest.Equal(t, "tree of the file system", treetest.Manifest(t, want), got)
	if i := got.Items["/sock"]; i == nil || i.Mode != tree.TypeSocket|0o755 {
		t.Errorf("the socket is %+v", i)
	}
	stored := int64(0)
	for _, x := range got.Items["/holes"].Stored {
		stored += x.Length
	}
	if stored > 8192 {
		t.Errorf("of the file of holes %d bytes are stored", stored)
	}
}

// TestStageRefuses: what a broken source says of a file's size is not believed.
func TestStageRefuses(t *testing.T) {
	for _, size := range []int64{0, 3, 5} {
		source := sized{size}
		if _, err := tree.Stage(context.Background(), source, tree.Limits{}, filepath.Join(t.TempDir(), "x")); disk.KindOf(err) != disk.Refused {
			t.Errorf("a file of 4 bytes passes for one of %d: %v", size, err)
		}
	}
}

type sized struct{ size int64 }

// Walk implements [tree.Source].
func (s sized) Walk(_ context.Context, visit tree.Visit) error {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer f.Close()
	return visit(&tree.Entry{Path: "/x", Mode: tree.TypeFile, Size: s.size}, io.LimitReader(f, 4))
}
