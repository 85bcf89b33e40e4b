package guestfs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
)

// lacking is an appliance whose kernel has no module for what it is asked.
type lacking struct {
	disk.FileSystems
	asked []disk.FileSystem
}

// Copy implements [disk.FileSystems].
func (l *lacking) Copy(_ context.Context, from, _ disk.FileSystem) (disk.FSUse, error) {
	l.asked = append(l.asked, from)
	return disk.FSUse{}, &disk.Error{Kind: disk.Refused, Op: "work in the appliance", Reason: "the kernel of the appliance has no module for " + from.Kind}
}

// TestF2FS: an f2fs is named without the appliance, and goes to it.
func TestF2FS(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "f2fs")
	o := disk.ExtOptions{Size: 64 << 20, Label: "data", UUID: "4bd3b3a7-0cbe-4a6c-95c4-1a2b3c4d5e6f"}
	err := (&disk.Runner{}).MakeFS(ctx, path, "f2fs", o)
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	look := func(run *disk.Runner) *Volume {
		t.Helper()
		d, err := Open(ctx, run, []disk.Layer{{Path: path, Format: disk.Raw}}, ReadOnly)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		return d.Volumes[0]
	}
	v := look(&disk.Runner{})
	if v.Content != "f2fs" || v.Label != o.Label || v.UUID != o.UUID || v.Used <= 8<<20 || v.Used >= o.Size || v.Mirrored() || !strings.Contains(v.Note, "by the appliance alone") {
		t.Errorf("%+v", v)
	}
	fs := &lacking{}
	if v = look(&disk.Runner{FileSystems: fs}); len(fs.asked) != 1 || fs.asked[0].Kind != "f2fs" || !strings.Contains(v.Note, "has no module for f2fs") {
		t.Errorf("%+v, %+v", v, fs.asked)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0xff}, 1024+16); err != nil { // the size of its blocks
		t.Fatal(err)
	}
	if v = look(&disk.Runner{}); v.Content != "f2fs" || v.Used != 0 || !strings.Contains(v.Note, "4096") {
		t.Errorf("%+v", v)
	}
}
