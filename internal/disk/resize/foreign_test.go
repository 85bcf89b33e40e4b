package resize

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/f2fs"
)

// TestSizeXFS holds the size that is chosen against what Linux 6.18 has available in an empty
// XFS of mkfs.xfs 6.1 (df): a copy that finds no room is made again, which takes minutes.
func TestSizeXFS(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct{ size, available int64 }{ // MiB, KiB
		{400, 320920}, {530, 446468}, {640, 552692}, {800, 715372}, {1500, 1427168}, {3000, 2952468}, {10000, 10070476}, {60000, 60913496},
	} {
		files := c.available << 10 * room / (room + 1) // that leave the room beside them
		if got := sizeXFS(files, 4096) / mib; got < c.size || got > c.size+c.size/100 {
			t.Errorf("%d bytes of files: %d MiB; they need %d", files, got, c.size)
		}
	}
	if got := sizeXFS(0, 4096); got != minXFS {
		t.Errorf("no files: %d", got)
	}
}

// copies takes what the appliance is given: nothing is copied, an edit unmounts.
type copies struct {
	disk.FileSystems
	t     *testing.T
	sizes []int64
	edits int
	full  int // so many copies find no room
}

// Copy implements [disk.FileSystems].
func (c *copies) Copy(_ context.Context, _, to disk.FileSystem) (disk.FSUse, error) {
	c.sizes = append(c.sizes, to.Size)
	if len(c.sizes) <= c.full {
		return disk.FSUse{}, &disk.Error{Kind: disk.TooBig, Op: "copy", Reason: "no space"}
	}
	return disk.FSUse{Size: to.Size, Used: to.Size / 2}, nil
}

// Edit implements [disk.FileSystems].
func (c *copies) Edit(_ context.Context, fs disk.FileSystem, _, script string) error {
	c.edits++
	if script != "" {
		c.t.Errorf("%q is to be done", script)
	}
	unmounted(c.t, fs.Layer.Path, true)
	return nil
}

// unmounted says in both checkpoints of an f2fs whether it was unmounted.
func unmounted(t *testing.T, path string, clean bool) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	first := le.Uint32(b[1024+76:])
	for _, at := range []uint32{first, first + 512} {
		head := b[at<<12:][:4096]
		for _, c := range [][]byte{head, b[(at+le.Uint32(head[136:])-1)<<12:][:4096]} {
			flags := le.Uint32(c[132:]) &^ 1
			if clean {
				flags |= 1
			}
			le.PutUint32(c[132:], flags)
			le.PutUint32(c[4092:], ^crc32.Update(^uint32(0xf2f52010), crc32.IEEETable, c[:4092]))
		}
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// f2fsOf makes an f2fs of some MiB.
func f2fsOf(t *testing.T, size int64, more ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f2fs")
	o := disk.ExtOptions{Size: size * mib, Label: "data", UUID: "4bd3b3a7-0cbe-4a6c-95c4-1a2b3c4d5e6f"}
	err := (&disk.Runner{}).MakeFS(context.Background(), path, "f2fs", o, more...)
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func superOf(t *testing.T, path string) *f2fs.Super {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	s, err := f2fs.Read(f, 0, st.Size())
	if err != nil || s == nil {
		t.Fatal(s, err)
	}
	return s
}

// TestGrowF2FS grows one that was unmounted, and one that was not: that is mounted before.
func TestGrowF2FS(t *testing.T) {
	for _, clean := range []bool{true, false} {
		path := f2fsOf(t, 100)
		unmounted(t, path, clean)
		fs := &copies{t: t}
		r, _, err := Grow(context.Background(), &disk.Runner{FileSystems: fs}, Options{Source: path, Size: 300 * mib})
		if err != nil {
			t.Fatal(err)
		}
		s := superOf(t, path)
		if r.Size != 300*mib || s.Size != r.Size || !s.Clean || s.Label != "data" || r.Volumes[0].Used != s.Used() || (fs.edits == 0) != clean {
			t.Errorf("clean %v: %+v, %+v, %d edits", clean, r, s, fs.edits)
		}
	}
}

// TestShrinkF2FS: a copy is as large as its files need, with the features that it had, and
// some more where the first had no room. What a copy would lose is refused.
func TestShrinkF2FS(t *testing.T) {
	ctx, path := context.Background(), f2fsOf(t, 300, "-O", "extra_attr,inode_checksum")
	fs := &copies{full: 1}
	target := path + ".small"
	r, err := Shrink(ctx, &disk.Runner{FileSystems: fs}, Options{Source: path, Target: target})
	if err != nil {
		t.Fatal(err)
	}
	s := superOf(t, target)
	if len(fs.sizes) != 2 || fs.sizes[0] != 64*mib || fs.sizes[1] != 67*mib || r.Size != 67*mib || s.Size != r.Size || s.Label != "data" || s.Features.Names() != "extra_attr,inode_checksum" {
		t.Errorf("%+v, %+v, copies of %v", r, s, fs.sizes)
	}
	_, err = Shrink(ctx, &disk.Runner{FileSystems: fs}, Options{Source: f2fsOf(t, 100, "-O", "encrypt"), Target: target + "2"})
	if err == nil || !strings.Contains(err.Error(), "would lose (encrypt)") {
		t.Error(err)
	}
	if _, err = Shrink(ctx, &disk.Runner{}, Options{Source: path, Target: target + "3"}); err == nil || !strings.Contains(err.Error(), "f2fs is resized by the appliance alone") {
		t.Error(err)
	}
}

// TestSizeF2FS: the size that is chosen has room for the files, and the one before has not.
func TestSizeF2FS(t *testing.T) {
	f2fsOf(t, 64) // skips
	ctx, j := context.Background(), &job{run: &disk.Runner{}, dir: t.TempDir()}
	for _, files := range []int64{500 * mib, 5000 * mib} {
		size, err := j.sizeF2FS(ctx, files, 20000*mib, nil)
		if err != nil {
			t.Fatal(err)
		}
		has, err := j.roomF2FS(ctx, size, nil)
		if err != nil || has < files+files/room {
			t.Errorf("%d bytes have %d of files, %v", size, has, err)
		}
		if has, err = j.roomF2FS(ctx, size-stepF2FS, nil); err != nil || has >= files+files/room {
			t.Errorf("%d bytes would suffice, %v", size-stepF2FS, err)
		}
		t.Logf("%d MiB of files in %d MiB", files/mib, size/mib)
	}
}
