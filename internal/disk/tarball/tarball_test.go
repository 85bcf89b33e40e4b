package tarball

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/tree/treetest"
)

func write(t *testing.T, p Packing, from tree.Source) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := Write(context.Background(), &b, p, from); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRoundTrip(t *testing.T) {
	want := treetest.Manifest(t, treetest.All())
	for _, p := range []Packing{Plain, Gzip, Zstd} {
		b := write(t, p, treetest.All())
		if PackingOf(b) != p {
			t.Errorf("%q is packed by %q", p, PackingOf(b))
		}
		treetest.Equal(t, string(p), want, treetest.Manifest(t, Reader(bytes.NewReader(b))))
		if !bytes.Equal(b, write(t, p, treetest.All())) {
			t.Errorf("%q: two archives of one tree differ", p)
		}
	}
	if n := len(write(t, Plain, treetest.All())); n > 1400000+40000 {
		t.Errorf("holes are written: %d bytes", n)
	}
	if _, err := Write(context.Background(), io.Discard, XZ, treetest.All()); disk.KindOf(err) != disk.Unsupported {
		t.Errorf("packed by xz: %v", err)
	}
}

func TestSocketsAreLeftOut(t *testing.T) {
	left, err := Write(context.Background(), io.Discard, Plain, treetest.List{{Entry: tree.Entry{Path: "/s", Mode: tree.TypeSocket}}})
	if err != nil || len(left) != 1 || left[0] != "/s" {
		t.Errorf("%q, %v", left, err)
	}
}

// TestOthersReadOurs has GNU tar and, packed, the tools of the packings read ours.
func TestOthersReadOurs(t *testing.T) {
	gnu, err := exec.LookPath("tar")
	if err != nil {
		t.Skip(err)
	}
	name := filepath.Join(t.TempDir(), "a.tar.gz")
	if err := os.WriteFile(name, write(t, Gzip, treetest.All()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(gnu, "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "-tvvzf", name).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"70000/3000000000", "1,3 2009", "259,70000 2009", "link to ./etc/file", "300004", "user:1000:r--", "security.capability", "-> /far/far"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("GNU tar does not see %q in\n%s", want, out)
		}
	}
	dir := t.TempDir()
	if out, err := exec.Command(gnu, "-xzf", name, "-C", dir, "./holes").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "holes")); string(b) != treetest.Holes() {
		t.Errorf("GNU tar unpacks %d bytes of holes, others than ours", len(b))
	}
}

// TestWeReadOthers reads what GNU tar makes, packed by each program.
func TestWeReadOthers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("hello"), 0o640); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "holes"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("x"), 1<<20)
	if err != nil || f.Close() != nil || os.Link(filepath.Join(dir, "file"), filepath.Join(dir, "twin")) != nil {
		t.Fatal(err)
	}
	for _, pack := range []string{"", "--gzip", "--bzip2", "--xz", "--zstd"} {
		for _, format := range []string{"gnu", "pax"} {
			name := filepath.Join(t.TempDir(), "a")
			out, err := exec.Command("tar", strings.Fields("--sparse --format="+format+" "+pack+" --owner=joe:1234 --group=joe:4321 -cf "+name+" -C "+dir+" .")...).CombinedOutput()
			if err != nil {
				t.Skipf("%v: %s", err, out)
			}
			m := treetest.Manifest(t, File(name))
			holes, twin := m.Items["/holes"], m.Items["/twin"]
			if len(m.Items) != 4 || holes.Size != 1<<20+1 || twin.Names != 2 || twin.UID != 1234 || twin.GID != 4321 || twin.Mode != tree.TypeFile|0o640 {
				t.Errorf("%s %s: %+v %+v", format, pack, holes, twin)
			}
		}
	}
}

func archiveOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestHostile unpacks what no honest program makes, onto a folder beside which
// there is a file that must stay.
func TestHostile(t *testing.T) {
	tests := map[string][]tar.Header{
		"name that leads out":       {{Name: "../victim", Size: 1, Mode: 0o644}},
		"absolute name that does":   {{Name: "/../victim", Size: 1, Mode: 0o644}},
		"through a link":            {{Name: "a", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "a/victim", Size: 1, Mode: 0o644}},
		"through an absolute link":  {{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, {Name: "a/victim", Size: 1, Mode: 0o644}},
		"hard link that leads out":  {{Name: "a", Typeflag: tar.TypeLink, Linkname: "../victim"}},
		"hard link through a link":  {{Name: "a", Typeflag: tar.TypeSymlink, Linkname: ".."}, {Name: "b", Typeflag: tar.TypeLink, Linkname: "a/victim"}},
		"hard link to nothing":      {{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}},
		"hard link to itself":       {{Name: "a", Typeflag: tar.TypeLink, Linkname: "./a"}},
		"hard link to a folder":     {{Name: "b", Typeflag: tar.TypeDir}, {Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}},
		"in a file":                 {{Name: "a", Size: 1, Mode: 0o644}, {Name: "a/b", Size: 1, Mode: 0o644}},
		"more than is allowed":      {{Name: "a", Size: 5000, Mode: 0o644}},
		"more files than allowed":   {{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}, {Name: "f"}},
		"a device of no kernel":     {{Name: "a", Typeflag: tar.TypeChar, Devmajor: 1 << 20}},
		"a type of nobody":          {{Name: "a", Typeflag: 'Q'}},
		"a root that is no folder":  {{Name: ".", Size: 1}},
		"a link without an end":     {{Name: "a", Typeflag: tar.TypeSymlink}},
		"an access list of letters": {{Name: "a", PAXRecords: map[string]string{"SCHILY.acl.access": "user::zzz"}}},
	}
	for name, headers := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			victim := filepath.Join(dir, "victim")
			if err := os.WriteFile(victim, []byte("mine"), 0o644); err != nil {
				t.Fatal(err)
			}
			s, err := tree.Stage(context.Background(), Reader(bytes.NewReader(archiveOf(t, headers...))), tree.Limits{Files: 5, Bytes: 4096}, filepath.Join(dir, "tree"))
			if k := disk.KindOf(err); k != disk.Refused && k != disk.TooBig {
				t.Errorf("%v, staged %+v", err, s)
			}
			if b, _ := os.ReadFile(victim); string(b) != "mine" {
				t.Errorf("a file beside it has %q", b)
			}
			if list, _ := os.ReadDir(dir); len(list) > 2 {
				t.Errorf("beside it there is %v", list)
			}
		})
	}
}

// TestDevicesAreNotMade: a device is kept in mind only.
func TestDevicesAreNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	b := archiveOf(t, tar.Header{Name: "sda", Typeflag: tar.TypeBlock, Devmajor: 8}, tar.Header{Name: "up", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})
	s, err := tree.Stage(context.Background(), Reader(bytes.NewReader(b)), tree.Limits{}, dir)
	if err != nil || !s.Entries["/sda"].IsDevice() {
		t.Fatal(s, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "sda")); !os.IsNotExist(err) {
		t.Errorf("a device was made: %v", err)
	}
}

func FuzzArchive(f *testing.F) {
	var b bytes.Buffer
	if _, err := Write(context.Background(), &b, Plain, treetest.All()); err != nil {
		f.Fatal(err)
	}
	disktest.AddSpoilt(f, 200, b.Bytes())
	f.Add(archiveOf(f, tar.Header{Name: "../x", Size: 1}, tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"}))
	f.Add([]byte("\x1f\x8b"))
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = tree.NewManifest(context.Background(), bounded{Reader(bytes.NewReader(b))})
	})
}

type bounded struct{ tree.Source }

// Walk bounds what is read.
func (s bounded) Walk(ctx context.Context, visit tree.Visit) error {
	return s.Source.Walk(ctx, tree.Bounded(tree.Limits{Files: 100, Bytes: 1 << 20}, visit))
}

func FuzzACL(f *testing.F) {
	f.Add("user::rw-,user:1000:r--,group::r--,mask::r--,other::r--")
	f.Add("user:joe:rwx:7")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := parseACL(s)
		if err != nil {
			return
		}
		text, err := formatACL(b)
		if err != nil {
			t.Fatalf("%q became %x: %v", s, b, err)
		}
		if again, err := parseACL(text); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q: %x, %x, %v", s, b, again, err)
		}
	})
}
