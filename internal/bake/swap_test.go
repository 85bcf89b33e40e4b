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
)

// TestSwapFile: the file has its whole size in blocks of its own, nearly none of which are
// written, and the file system is sound. swapon's own rules are looked at: no holes, its signature.
func TestSwapFile(t *testing.T) {
	for _, tool := range []string{"mke2fs", "debugfs", "e2fsck"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	const size = 256 << 20
	dir, ctx := t.TempDir(), context.Background()
	tree := filepath.Join(dir, "tree")
	write(t, filepath.Join(tree, "swapfile"), string(swapHeader(size, make([]byte, 16))))
	image := filepath.Join(dir, "root")
	o := &oven{work: dir}
	o.steps.now = time.Now
	if err := o.run.MakeExt(ctx, image, disk.ExtOptions{Size: size + 64<<20, Label: "x", UUID: newUUID(), Dir: tree}); err != nil {
		t.Fatal(err)
	}
	if err := o.growSwap(ctx, image, size); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("e2fsck", "-fn", image).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	out, err := exec.Command("debugfs", "-R", "stat /swapfile", image).Output()
	if err != nil || !strings.Contains(string(out), "Size: 268435456") || !strings.Contains(string(out), "Blockcount: 5242") {
		t.Errorf("%v: %s", err, out)
	}
	if got := onDisk(image); got > 32<<20 {
		t.Errorf("the image takes %d bytes", got)
	}
	file := filepath.Join(dir, "swap")
	if out, err := exec.Command("debugfs", "-R", "dump /swapfile "+file, image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil || len(b) != size || string(b[4086:4096]) != "SWAPSPACE2" || !bytes.Equal(b[1024:1032], []byte{1, 0, 0, 0, 0xff, 0xff, 0, 0}) {
		t.Errorf("%d bytes, % x, %v", len(b), b[1024:1032], err)
	}
	if err := o.growSwap(ctx, image, 1<<30); err == nil {
		t.Error("more than the file system has was reserved")
	}
}
