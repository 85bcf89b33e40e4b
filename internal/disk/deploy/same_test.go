package deploy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hearth/internal/disk"
	"hearth/internal/disk/dump"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

// made are what each deployment makes anew: by the UUIDs of its file systems.
var made = []string{"/etc/fstab", "/boot/grub/grub.cfg"}

// written are what each deployment writes, the same, at a time of its own.
var written = []string{"/etc/default/grub", "/etc/hostname", "/etc/hosts", "/etc/inittab"}

// contents is what a disk has, without those and the times of what was written.
func contents(t *testing.T, path string) *tree.Manifest {
	t.Helper()
	m, err := tree.NewManifest(context.Background(), tree.FromDisk(open(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append([]string{"/", "/etc", "/boot", "/boot/grub"}, made...) {
		delete(m.Items, name)
	}
	for _, name := range written {
		if m.Items[name] == nil {
			t.Errorf("%s has no %s", path, name)
			continue
		}
		m.Items[name].MTime = time.Time{}
	}
	return m
}

// TestSameTree deploys one system by one definition from a tarball, packed in two
// ways, a dump, and disks in three formats: all have the same files.
func TestSameTree(t *testing.T) {
	ctx, dir, run := context.Background(), t.TempDir(), &disk.Runner{}
	at := func(name string) string { return filepath.Join(dir, name) }
	plain := quick(t, "SWAP=no\nFILESYSTEM=ext4")
	sources := []string{archive(t)}
	deployTo(t, Options{Definition: plain, Image: sources[0], Target: at("golden.raw"), Size: 96 << 20})
	golden := tree.FromDisk(open(t, at("golden.raw")))
	write := func(name string, do func(f *os.File) error) {
		f, err := os.Create(at(name))
		if err == nil {
			err = do(f)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, at(name))
	}
	write("system.tar.zst", func(f *os.File) error {
		_, err := tarball.Write(ctx, f, tarball.Zstd, golden)
		return err
	})
	write("system-root.dump", func(f *os.File) error { return dump.Write(ctx, f, dump.Options{Compress: true}, golden) })
	sources = append(sources, at("golden.raw"))
	for _, format := range []disk.Format{disk.QCOW2, disk.VMDK} {
		name := at("golden." + string(format))
		if err := run.Convert(ctx, disk.Layer{Path: at("golden.raw"), Format: disk.Raw}, disk.Target{Path: name, Format: format}, nil); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, name)
	}
	site := quick(t, "SWAP=no\nFILESYSTEM=ext4\nKERNEL_ARGS=nosmt")
	var first *tree.Manifest
	kinds := ""
	for i, source := range sources {
		target := at(fmt.Sprintf("disk-%d", i))
		r := deployTo(t, Options{Definition: site, Image: source, Target: target, Size: 112 << 20, Name: "web1.example.org", Serial: true})
		kinds += r.Type + " "
		m := contents(t, target)
		if first == nil {
			first = m
		}
		if diff := tree.Diff(first, m); len(diff) > 0 || len(m.Items) < 10 {
			t.Errorf("%s is other than %s:\n%s", filepath.Base(source), filepath.Base(sources[0]), strings.Join(diff, "\n"))
		}
		menu := text(t, open(t, target), "/boot/grub/grub.cfg")
		if strings.Count(menu, "nosmt") != 1 {
			t.Errorf("%s: the menu is\n%s", source, menu)
		}
	}
	if kinds != "tarball tarball dump qemu qemu qemu " {
		t.Errorf("the types are %s", kinds)
	}
}
