package bake

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/bake/layer"
	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
)

// TestAttributesAreKept bakes a root file system out of an archive and looks for the
// extended attributes of its files.
func TestAttributesAreKept(t *testing.T) {
	dir := t.TempDir()
	archive := filepath.Join(dir, "a.tar")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	w := tar.NewWriter(f)
	for _, h := range []*tar.Header{
		{Name: "./bin/", Typeflag: tar.TypeDir, Mode: 0o755, PAXRecords: map[string]string{"SCHILY.acl.default": "user::rwx,user:7:r-x,group::r-x,mask::r-x,other::r-x"}},
		{Name: "./bin/ping", Typeflag: tar.TypeReg, Mode: 0o755, Uid: 70000, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.note": "hello"}},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || f.Close() != nil {
		t.Fatal(err)
	}
	o, err := newOven(Options{Recipe: "tarball", OutDir: dir, CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(o.work)
	s, err := stageTar(archive, filepath.Join(o.work, "tree"), newTree(), func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(o.work, "image")
	if err := o.fileSystem(context.Background(), s, image, "x", newUUID(), 16<<20); err != nil {
		if disk.KindOf(err) == disk.ToolMissing {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	d, err := guestfs.Open(context.Background(), &o.run, []disk.Layer{{Path: image, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	tree := d.TreeOf(d.Volumes[0])
	for name, want := range map[string]map[string]int{"/bin": {"system.posix_acl_default": 44}, "/bin/ping": {"security.capability": 20, "user.note": 5}} {
		n, err := tree.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := tree.Xattrs(n)
		if err != nil || len(got) != len(want) {
			t.Errorf("%s has %v, %v", name, got, err)
		}
		for attribute, size := range want {
			if len(got[attribute]) != size {
				t.Errorf("%s: %s is %x", name, attribute, got[attribute])
			}
		}
	}
	if n, _ := tree.Lstat("/bin/ping"); n.UID != 70000 {
		t.Errorf("ping belongs to %d", n.UID)
	}
}

// TestLayersKeepCapabilities has a script give ping its capability: the layer has it, and a file
// whose capability alone was taken is changed.
func TestLayersKeepCapabilities(t *testing.T) {
	record := map[string]string{"SCHILY.xattr.security.capability": "\x01\x00", "SCHILY.xattr.trusted.x": "1"}
	plain := tar.Header{Name: "./bin/ping", Typeflag: tar.TypeReg, Mode: 0o755}
	able := plain
	able.PAXRecords = record
	for what, c := range map[string]struct {
		before, after *tar.Header
		written       bool
	}{"given": {&plain, &able, true}, "kept": {&able, &able, false}, "taken": {&able, &plain, true}} {
		d := difference{before: layer.Index{}, after: layer.Index{}, owners: true}
		if err := errors.Join(d.before.Add(c.before, strings.NewReader("")), d.after.Add(c.after, strings.NewReader(""))); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		h := *c.after
		if err := errors.Join(d.copy(w, &h, strings.NewReader("")), w.Close()); err != nil {
			t.Fatal(err)
		}
		got, err := tar.NewReader(&b).Next()
		if (err == nil) != c.written {
			t.Errorf("%s: %v, %v", what, got, err)
			continue
		}
		if c.written && (got.PAXRecords["SCHILY.xattr.security.capability"] != c.after.PAXRecords["SCHILY.xattr.security.capability"] || got.PAXRecords["SCHILY.xattr.trusted.x"] != "") {
			t.Errorf("%s: %q", what, got.PAXRecords)
		}
	}
}
