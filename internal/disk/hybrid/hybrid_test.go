package hybrid

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat16"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/guestfs/guestfstest"
)

func TestMake(t *testing.T) {
	root := guestfstest.Image(t, guestfstest.Options{}, func(dir string) {
		guestfstest.Tree(t, dir, "boot/grub/grub.cfg=menuentry x {\nlinux16 /k\n}\n", "etc/os-release=ID=debian\n")
	})
	dir, ctx, run := t.TempDir(), context.Background(), &disk.Runner{}
	d := Disk{Path: filepath.Join(dir, "disk"), Root: root, UUID: "01234567-89ab-cdef-0123-456789abcdef", Work: dir}
	err := Make(ctx, run, d)
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
	g, err := guestfs.Open(ctx, run, []disk.Layer{{Path: d.Path, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if g.Broken != nil || g.Scheme != disk.SchemeGPT || g.Size != Size(16<<20) || len(g.Volumes) != 3 || g.Volumes[2].Start != RootStart || g.Volumes[2].Content != "ext4" || g.Volumes[1].Content != "vfat" {
		t.Fatalf("%+v", g)
	}
	guestfstest.Clean(t, d.Path, RootStart)
	if sfdisk, err := exec.LookPath("/usr/sbin/sfdisk"); err == nil {
		if out, err := exec.Command(sfdisk, "--verify", d.Path).CombinedOutput(); err != nil || !strings.Contains(string(out), "No errors detected") {
			t.Errorf("%v: %s", err, out)
		}
	}
	head := make([]byte, coreStart+sector)
	if _, err := g.Reader().ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(head[:440], []byte("GRUB")) || head[kernelSector+1] != 8 || head[coreStart+blockList] != 1 || head[coreStart+blockList+1] != 8 || head[510] != 0x55 {
		t.Errorf("the first sector: %x", head[:sector])
	}
	esp(t, d)
}

// esp reads what UEFI would.
func esp(t *testing.T, d Disk) {
	t.Helper()
	f, err := os.Open(d.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fs, err := fat16.Read(file.New(f, true), espSize, espStart, sector)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"EFI/BOOT/BOOTX64.EFI": "MZ", "EFI/BOOT/grub.cfg": "# Made by hearth.\nsearch --no-floppy --fs-uuid --set=root " + d.UUID} {
		in, err := fs.OpenFile(name, os.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(in); err != nil || !strings.HasPrefix(string(b), want) {
			t.Errorf("%s: %.80q, %v", name, b, err)
		}
	}
}

func TestNoWholeSectors(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	if err := os.WriteFile(root, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := Make(context.Background(), &disk.Runner{}, Disk{Path: filepath.Join(dir, "disk"), Root: root, Work: dir})
	if disk.KindOf(err) == disk.ToolMissing {
		t.Skip(err)
	}
	if err == nil || !strings.Contains(err.Error(), "whole sectors") {
		t.Error(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}
