package guestfs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs/guestfstest"
)

const (
	xfsAt   = 17 << 20
	xfsSize = 8 << 20
	written = "by the appliance"
)

// painter is an appliance for what bears an XFS's mark: it copies a small system, and of what
// it is to edit writes a mark at 100,000 into the log.
type painter struct {
	disk.FileSystems
	t      *testing.T
	during func() error // while it edits; nil: nothing
	asked  []string     // scripts
}

// Copy implements [disk.FileSystems].
func (p *painter) Copy(_ context.Context, from, to disk.FileSystem) (disk.FSUse, error) {
	dir := p.t.TempDir()
	guestfstest.Tree(p.t, dir, "fstab=/dev/vda2 / xfs defaults 0 1\n/dev/vda1 /data ext4 defaults 0 2\n", "hostname=old\n")
	cmd := exec.Command("/sbin/debugfs", "-w", to.Layer.Path)
	cmd.Stdin = strings.NewReader("mkdir etc\nmkdir data\ncd etc\nwrite " + dir + "/fstab fstab\nwrite " + dir + "/hostname hostname\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Errorf("%v: %s", err, out)
	}
	return disk.FSUse{}, err
}

// Edit implements [disk.FileSystems].
func (p *painter) Edit(ctx context.Context, fs disk.FileSystem, dir, script string) error {
	p.asked = append(p.asked, script)
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		p.t.Errorf("its folder has %v, %v", list, err)
	}
	b := make([]byte, fs.Size)
	copy(b[100_000:], written)
	f, err := os.OpenFile(fs.Over, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := disk.MakeQCOW2(ctx, f, disk.FeedStream(bytes.NewReader(b), fs.Size), "", nil); err != nil {
		return err
	}
	if p.during != nil {
		return p.during()
	}
	return nil
}

// twoSystems is a disk with an ext4 and what bears an XFS's mark behind it.
func twoSystems(t *testing.T) string {
	t.Helper()
	path := guestfstest.Image(t, guestfstest.Options{Partition: true}, func(dir string) { guestfstest.Tree(t, dir, "kept=kept\n") })
	if err := os.Truncate(path, xfsAt+xfsSize); err != nil {
		t.Fatal(err)
	}
	entry := make([]byte, 16)
	entry[4] = 0x83
	binary.LittleEndian.PutUint32(entry[8:], xfsAt/512)
	binary.LittleEndian.PutUint32(entry[12:], xfsSize/512)
	guestfstest.Overwrite(t, path, 446+16, entry)
	guestfstest.Overwrite(t, path, xfsAt, []byte("XFSB"))
	return path
}

// TestDrafts: changes of a file system that the appliance makes and of one that debugfs does are
// made at once; when the appliance fails or is interrupted, none is.
func TestDrafts(t *testing.T) {
	failed := errors.New("QEMU was killed")
	for name, c := range map[string]struct {
		during func(stop func()) error
		want   error
	}{"made": {}, "failed": {func(func()) error { return failed }, failed}, "interrupted": {func(stop func()) error { stop(); return nil }, context.Canceled}} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			path := twoSystems(t)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			p := &painter{t: t}
			if c.during != nil {
				p.during = func() error { return c.during(stop) }
			}
			d, err := Open(t.Context(), &disk.Runner{FileSystems: p}, []disk.Layer{{Path: path, Format: disk.Raw}}, ReadWrite)
			if disk.KindOf(err) == disk.ToolMissing {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			tree, err := d.Tree()
			if err != nil {
				t.Fatal(err)
			}
			e := tree.Edit()
			e.Write("/data/new", []byte("new\n"), Owner{})
			e.Rewrite("/etc/hostname", []byte("web1\n"), Owner{})
			if err := e.Commit(ctx); !errors.Is(err, c.want) {
				t.Error(err)
			}
			if len(p.asked) != 1 || !strings.Contains(p.asked[0], "write ") || strings.Contains(p.asked[0], "new") {
				t.Errorf("the appliance was asked for %q", p.asked)
			}
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) != 1 { // the copy, until d is closed
				t.Errorf("left are %v, %v", left, err)
			}
			if c.want != nil {
				if !bytes.Equal(before, after) {
					t.Error("something was changed")
				}
				return
			}
			for name, want := range map[string]string{"/data/new": "new\n", "/etc/hostname": "web1\n", "/data/kept": "kept\n"} {
				if b, err := tree.ReadFile(name, 100); err != nil || string(b) != want {
					t.Errorf("%s: %q, %v", name, b, err)
				}
			}
			want := bytes.Clone(before[xfsAt:])
			copy(want[100_000:], written)
			if !bytes.Equal(want, after[xfsAt:]) || !bytes.Equal(before[:1<<20], after[:1<<20]) {
				t.Error("the disk has something else")
			}
			guestfstest.Clean(t, path, 1<<20)
		})
	}
}

// TestHeldByTools: what outlives this process keeps an image that is held.
func TestHeldByTools(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(path, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	layer, held, err := HoldToChange(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(layer.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, want := range []string{path, ""} {
		out, err := (&disk.Runner{}).Run(t.Context(), disk.Command{Name: "readlink", Args: []string{"/proc/self/fd/4"}, Disk: f, Whole: true, OK: []int{1}})
		if err != nil || strings.TrimSpace(out.Stdout) != want {
			t.Errorf("the tool has %q, %v", out.Stdout, err)
		}
		if want != "" && held.Close() != nil {
			t.Error("it cannot be let go")
		}
	}
}
