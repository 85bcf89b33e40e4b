package imagedir

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"hearth/internal/disk/disktest"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	mbr := strings.Repeat("\x00", 510) + "\x55\xaa"
	dump := strings.Repeat("\x00", 24) + "\x6c\xea\x00\x00"
	for name, text := range map[string]string{
		"debian-12-amd64.tar.gz": "\x1f\x8b", "gentoo-x86_64-root.dump": dump, "gentoo-x86_64-boot.dump": dump, "old-i386-root.dump": dump,
		"lost-x86_64-boot.dump": dump, "empty-x86_64.img": "", "page-x86_64.tar.gz": "<html>", "page-x86_64-root.dump": "<html>", "page-x86_64.qcow2": "<html>", "ember-x86_64.img": mbr, "arm-arm64.raw": mbr, "README": "x", "nothing.img": mbr, "x-vax.img": mbr,
		"packed-x86_64.img": "\x1f\x8b", "trap-x86_64.qcow2": string(disktest.Hostile()[0].Data),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link-x86_64.img")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir-x86_64.img"), 0o700); err != nil {
		t.Fatal(err)
	}
	images, others, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	want := []Image{
		{"arm", "aarch64", Disk, "raw", in("arm-arm64.raw"), ""},
		{"debian-12", "x86_64", Tarball, "", in("debian-12-amd64.tar.gz"), ""},
		{"ember", "x86_64", Disk, "raw", in("ember-x86_64.img"), ""},
		{"gentoo", "x86_64", Dump, "", in("gentoo-x86_64-root.dump"), in("gentoo-x86_64-boot.dump")},
		{"old", "i686", Dump, "", in("old-i386-root.dump"), ""},
	}
	if !reflect.DeepEqual(images, want) {
		t.Errorf("%+v\nwant %+v", images, want)
	}
	for i, w := range []struct{ name, says string }{{"README", "ending"}, {"empty-x86_64.img", "empty"}, {"link-x86_64.img", "a link"}, {"lost-x86_64-boot.dump", "missing"},
		{"nothing.img", "NAME-ARCH"}, {"packed-x86_64.img", "packed"}, {"page-x86_64-root.dump", "none of a dump"}, {"page-x86_64.qcow2", "none of a qcow2"}, {"page-x86_64.tar.gz", "none of an archive"}, {"trap-x86_64.qcow2", "backing file"}, {"x-vax.img", "NAME-ARCH"}} {
		if i >= len(others) || others[i].Path != in(w.name) || !strings.Contains(others[i].Why, w.says) {
			t.Errorf("%d: %+v, want %+v", i, others, w)
			break
		}
	}
}

// TestUpload gives what is uploaded: of a pair of dumps, both in one file.
func TestUpload(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	dump := strings.Repeat("\x00", 24) + "\x6c\xea\x00\x00"
	for name, text := range map[string]string{"gentoo-x86_64-root.dump": dump + "the root", "gentoo-x86_64-boot.dump": dump + "boot", "old-i386-root.dump": dump + "alone", "debian-12-amd64.tar.gz": "\x1f\x8b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	images, _, err := Read(dir)
	if err != nil || len(images) != 3 {
		t.Fatal(images, err)
	}
	for _, img := range images {
		path, format, done, err := img.Upload()
		if err != nil || format != "raw" {
			t.Fatal(format, err)
		}
		if img.Boot == "" {
			if path != img.Path {
				t.Errorf("%s is uploaded for %s", path, img.Path)
			}
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		in := tar.NewReader(f)
		for _, want := range []string{"./boot.dump " + dump + "boot", "./root.dump " + dump + "the root"} {
			h, err := in.Next()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(in)
			if got := h.Name + " " + string(text); got != want || err != nil {
				t.Errorf("%q, want %q, %v", got, want, err)
			}
		}
		done()
		if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
