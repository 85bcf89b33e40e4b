package dump

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/tree"
	"hearth/internal/disk/tree/treetest"
)

// unpacked writes a file of testdata, without .gz, into a folder.
func unpacked(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(t.TempDir(), strings.TrimSuffix(name, ".gz"))
	if err := disk.CopySparse(context.Background(), to, in); err != nil {
		t.Fatal(err)
	}
	return to
}

func ofImage(t *testing.T, name string) *tree.Manifest {
	t.Helper()
	d, err := guestfs.Open(context.Background(), &disk.Runner{}, []disk.Layer{{Path: name, Format: disk.Raw}}, guestfs.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	return treetest.Manifest(t, tree.FromDisk(d.TreeOf(d.Volumes[0])))
}

// TestWeReadTheirs reads what Debian's dump 0.4b47 wrote of the file system fs.img
// (mke2fs -b 1024 -d, then dump -0 -q, with -z9 and with -j).
func TestWeReadTheirs(t *testing.T) {
	want := ofImage(t, unpacked(t, "fs.img.gz"))
	if len(want.Items) < 70 {
		t.Fatalf("the file system has %d files only", len(want.Items))
	}
	for _, name := range []string{"plain.dump.gz", "z9.dump", "bz.dump"} {
		got := treetest.Manifest(t, File(unpacked(t, name)))
		treetest.Equal(t, name, want, got)
		if n := len(want.Items["/etc/file"].Xattrs); n != 3 || len(got.Items["/etc/file"].Xattrs) != n || got.Items["/sock"] == nil {
			t.Errorf("%s: %d extended attributes of %d; %v", name, len(got.Items["/etc/file"].Xattrs), n, got.Items["/sock"])
		}
	}
}

func write(t testing.TB, opt Options, from tree.Source) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(context.Background(), &b, opt, from); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// longest is the longest name that Debian's restore lists: of one of 255 bytes, be
// it in a dump of its own, it says nothing.
const longest = 254

func many() treetest.List {
	list := treetest.All()
	list = append(list, treetest.File{Entry: tree.Entry{Path: "/zz", Mode: tree.TypeDir | 0o700, MTime: list[0].MTime}}, treetest.File{Entry: tree.Entry{Path: "/zz-sock", Mode: tree.TypeSocket | 0o700, MTime: list[0].MTime}})
	for n := range 300 {
		list = append(list, treetest.File{Entry: tree.Entry{Path: fmt.Sprintf("/zz/%0*d", 1+n%longest, n), Mode: tree.TypeFile | 0o600, MTime: list[0].MTime}, Content: fmt.Sprint(n)})
	}
	return list
}

func TestRoundTrip(t *testing.T) {
	want := treetest.Manifest(t, many())
	var sizes [2]int64
	for n, packed := range []bool{false, true} {
		name := write(t, Options{Compress: packed, Label: "root", Dir: "/"}, many())
		treetest.Equal(t, fmt.Sprint("packed ", packed), want, treetest.Manifest(t, File(name)))
		b, err := os.ReadFile(name)
		if err != nil || !Is(b[:1024]) || Is(make([]byte, 1024)) {
			t.Errorf("is it a dump? %v", err)
		}
		sizes[n] = int64(len(b))
		again, _ := os.ReadFile(write(t, Options{Compress: packed, Label: "root", Dir: "/"}, many()))
		if !bytes.Equal(b, again) {
			t.Error("two dumps of one tree differ")
		}
	}
	if sizes[0]%10240 != 0 || sizes[0] > 2500000 || sizes[1] > 200000 {
		t.Errorf("dumps of %d and %d bytes", sizes[0], sizes[1])
	}
}

// TestTheyReadOurs has Debian's restore list ours and, as root, restore them.
func TestTheyReadOurs(t *testing.T) {
	restore, err := exec.LookPath("/usr/sbin/restore")
	if err != nil {
		t.Skip(err)
	}
	for _, packed := range []bool{false, true} {
		name := write(t, Options{Compress: packed, Label: "root", Dir: "/"}, many())
		cmd := exec.Command(restore, "-tf", name)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("resync")) || bytes.Contains(out, []byte("rror")) {
			t.Fatalf("restore -t: %v: %s", err, out)
		}
		lines := 0
		for path := range treetest.Manifest(t, many()).Items {
			if !bytes.Contains(out, []byte("."+path)) {
				t.Errorf("restore does not list %q", path)
			}
			lines++
		}
		if n := bytes.Count(out, []byte("\t.")); n < lines {
			t.Errorf("restore lists %d of %d", n, lines)
		}
		if os.Getenv("HEARTH_E2E") == "1" {
			restored(t, restore, name)
		}
	}
}

// restored has restore put all into a folder, of which mke2fs makes a file system.
func restored(t *testing.T, restore, name string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "to")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(restore, "-rf", name)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("restore -r: %v: %s", err, out)
	}
	if err := os.Remove(filepath.Join(dir, "restoresymtable")); err != nil {
		t.Error(err)
	}
	image := filepath.Join(t.TempDir(), "image")
	out, err = exec.Command("/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", dir, image, "32M").CombinedOutput()
	if err != nil {
		t.Fatalf("mke2fs: %v: %s", err, out)
	}
	want, got := treetest.Manifest(t, many()), ofImage(t, image)
	for _, m := range []*tree.Manifest{want, got} {
		delete(m.Items, "/dev/nvme")               // restore knows the old form of device numbers only
		m.Items["/"].MTime = m.Items["/etc"].MTime // the last of restore's steps was to remove a file
	}
	treetest.Equal(t, "restored "+string(out), want, got)
}

// TestHostile changes single fields of good dumps; none may be believed.
func TestHostile(t *testing.T) {
	good, err := os.ReadFile(write(t, Options{Label: "root", Dir: "/"}, many()))
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{} // the first header of a kind
	for off := 0; off < len(good); off += recordSize {
		if h, err := parse(good[off : off+recordSize]); err == nil {
			key := fmt.Sprint(h.kind, "/", h.mode&tree.TypeMask>>12, "/", h.flags&flagExtra)
			if _, ok := at[key]; !ok {
				at[key] = off
			}
		}
	}
	change := func(key string, do func(h *header)) []byte {
		b := bytes.Clone(good)
		off, ok := at[key]
		if !ok {
			t.Fatalf("no header %s in %v", key, at)
		}
		h, err := parse(b[off : off+recordSize])
		if err != nil {
			t.Fatal(err)
		}
		do(h)
		copy(b[off:], h.bytes())
		return b
	}
	dir, file := "2/4/0", "2/8/0"
	tests := map[string][]byte{
		"empty":               {},
		"cut off":             good[:len(good)/2],
		"no end":              good[:len(good)-10*recordSize],
		"level 1":             change("1/0/0", func(h *header) { h.level = 1 }),
		"second volume":       change("1/0/0", func(h *header) { h.volume = 2 }),
		"blocks of any size":  change("1/0/0", func(h *header) { h.flags |= flagPacked; h.ntrec = 1 << 30 }),
		"many blocks":         change(file, func(h *header) { h.count = 1 << 20 }),
		"no blocks":           change(file, func(h *header) { h.count = 0 }),
		"larger":              change(file, func(h *header) { h.size = 1 << 40 }),
		"the root's number":   change(file, func(h *header) { h.inode = 2 }),
		"a number of nobody":  change(file, func(h *header) { h.inode = 1 << 30 }),
		"a folder of 1 TiB":   change(dir, func(h *header) { h.size = 1 << 40 }),
		"root is a file":      change(dir, func(h *header) { h.mode = tree.TypeFile }),
		"additions of nobody": change("2/8/32768", func(h *header) { h.inode = 1 << 20 }),
		"large additions":     change("2/8/32768", func(h *header) { h.count = 1 << 20 }),
	}
	circle := bytes.Clone(good)
	entry := bytes.Index(circle, []byte("dev\x00")) // its number is 8 bytes before; 2 is the root
	copy(circle[entry-8:], []byte{2, 0, 0, 0})
	tests["a folder within itself"] = circle
	for name, b := range tests {
		path := filepath.Join(t.TempDir(), "d")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := tree.NewManifest(context.Background(), File(path))
		if k := disk.KindOf(err); k != disk.Refused && k != disk.Unsupported && k != disk.TooBig {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, list := range map[string]treetest.List{
		"no root": {{Entry: tree.Entry{Path: "/a", Mode: tree.TypeFile}}},
		"twice":   {{Entry: tree.Entry{Path: "/", Mode: tree.TypeDir}}, {Entry: tree.Entry{Path: "/a", Mode: tree.TypeFile}}, {Entry: tree.Entry{Path: "/a", Mode: tree.TypeFile}}},
		"link":    {{Entry: tree.Entry{Path: "/", Mode: tree.TypeDir}}, {Entry: tree.Entry{Path: "/a", Mode: tree.TypeFile, Same: "/b"}}},
		"orphan":  {{Entry: tree.Entry{Path: "/", Mode: tree.TypeDir}}, {Entry: tree.Entry{Path: "/a/b", Mode: tree.TypeFile}}},
	} {
		if err := Write(context.Background(), io.Discard, Options{}, list); disk.KindOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Write(ctx, io.Discard, Options{}, many()); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

type memory struct{ b []byte }

func (m memory) source() tree.Source {
	return &source{func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.b)), nil }}
}

// FuzzDump reads whatever the bytes say. The check sums of the headers are put right
// first, for else no change would come further than them.
func FuzzDump(f *testing.F) {
	for _, packed := range []bool{false, true} {
		b, err := os.ReadFile(write(f, Options{Compress: packed}, treetest.All()[:6]))
		if err != nil {
			f.Fatal(err)
		}
		disktest.AddSpoilt(f, 200, b)
	}
	if b, err := os.ReadFile("testdata/z9.dump"); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		for off := 0; off+recordSize <= len(b); off += recordSize {
			if bytes.Equal(b[off+24:off+28], []byte{0x6c, 0xea, 0, 0}) {
				repair(b[off : off+recordSize])
			}
		}
		limits := tree.Limits{Files: 100, Bytes: 1 << 20}
		err := memory{b}.source().Walk(context.Background(), tree.Bounded(limits, func(_ *tree.Entry, content io.Reader) error {
			if content != nil {
				_, err := io.Copy(io.Discard, content)
				return err
			}
			return nil
		}))
		_ = err
	})
}

func repair(b []byte) {
	copy(b[28:], []byte{0, 0, 0, 0})
	sum := uint32(checkSum)
	for i := 0; i < recordSize; i += 4 {
		sum -= uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24
	}
	b[28], b[29], b[30], b[31] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
}
