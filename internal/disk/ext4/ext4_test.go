package ext4

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hearth/internal/disk"
	"hearth/internal/disk/disktest"
)

// image unpacks a file system of testdata: each was made by mke2fs -d of one
// tree, in the flavour that its name says.
func image(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".img.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func open(t testing.TB, b []byte) *FS {
	t.Helper()
	f, err := Open(bytes.NewReader(b), 0, int64(len(b)))
	if err != nil || f == nil {
		t.Fatal(f, err)
	}
	return f
}

// find follows names, not links.
func find(t *testing.T, f *FS, path string) *Inode {
	t.Helper()
	n, err := f.Inode(Root)
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if err == nil {
			n, err = f.Lookup(n, name)
		}
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return n
}

var flavours = []string{"ext2", "ext3", "ext4", "metabg"}

func TestTree(t *testing.T) {
	for _, flavour := range flavours {
		t.Run(flavour, func(t *testing.T) {
			f := open(t, image(t, flavour))
			content := func(path string) []byte {
				d, err := f.Data(find(t, f, path))
				if err != nil {
					t.Fatal(path, err)
				}
				b, err := io.ReadAll(d.Reader())
				if err != nil {
					t.Fatal(path, err)
				}
				return b
			}
			if got := string(content("etc/hostname")); got != "hearth\n" {
				t.Errorf("hostname %q", got)
			}
			if a, b := find(t, f, "etc/hostname"), find(t, f, "etc/twin"); a.Number != b.Number || a.Links != 2 {
				t.Errorf("hard links %+v %+v", a, b)
			}
			if got := content("zeros"); len(got) != 5000 || len(bytes.TrimLeft(got, "\x00")) > 0 {
				t.Errorf("%d zeros", len(got))
			}
			if n := find(t, f, "zeros"); n.Mode != 0o104755 || n.FileMode() != 0o755|fs.ModeSetuid {
				t.Errorf("mode %o, %v", n.Mode, n.FileMode())
			}
			if got := content("sparse"); sha256.Sum256(got) != sha256.Sum256(append(make([]byte, 50000), 'x')) {
				t.Errorf("sparse file of %d bytes differs", len(got))
			}
			for path, want := range map[string]string{"etc/sub/link": "../etc/hostname", "longlink": strings.Repeat("a", 80)} {
				if got, err := f.Readlink(find(t, f, path)); got != want {
					t.Errorf("link %s to %q, %v", path, got, err)
				}
			}
			if n := find(t, f, "pipe"); n.FileMode()&fs.ModeNamedPipe == 0 {
				t.Errorf("pipe is %v", n.FileMode())
			}
			list, err := f.ReadDir(find(t, f, "many"))
			if err != nil || len(list) != 60 {
				t.Errorf("%d names, %v", len(list), err)
			}
			x, err := f.Xattrs(find(t, f, "etc/hostname"))
			if err != nil || string(x["user.note"]) != "hello" || len(x) != 1 {
				t.Errorf("attributes %q, %v", x, err)
			}
			if _, err := f.Lookup(find(t, f, "etc"), "shadow"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a name that is not there: %v", err)
			}
		})
	}
}

func TestSparseFileHasOneStretch(t *testing.T) {
	f := open(t, image(t, "metabg"))
	d, err := f.Data(find(t, f, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Stretches(); len(got) != 1 || got[0].Offset < 40000 || got[0].Offset+got[0].Length != 50001 {
		t.Errorf("stretches %v", got)
	}
}

func TestReadAtAnywhere(t *testing.T) {
	for _, flavour := range flavours {
		f := open(t, image(t, flavour))
		d, err := f.Data(find(t, f, "sparse"))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 3000)
		for _, off := range []int64{0, 1, 47001, 48000, 49001, 49152, 49999, 50000} {
			n, err := d.ReadAt(b, off)
			if want := min(3000, 50001-off); int64(n) != want || (err == io.EOF) != (want < 3000) {
				t.Errorf("%s at %d: %d bytes, %v", flavour, off, n, err)
			}
			if got, want := bytes.IndexByte(b[:n], 'x'), int(50000-off); want < n && got != want || want >= n && got >= 0 {
				t.Errorf("%s at %d: x at %d, want %d", flavour, off, got, want)
			}
		}
	}
}

// TestLies changes single fields of a good file system; none may be believed.
func TestLies(t *testing.T) {
	good := image(t, "ext2")
	tests := []struct {
		name string
		at   int
		put  []byte
		kind disk.Kind
	}{
		{"inode size", 1024 + 0x58, []byte{3, 0}, disk.Refused},
		{"blocks of a group", 1024 + 0x20, []byte{0, 0, 0, 0}, disk.Refused},
		{"inodes of a group", 1024 + 0x28, []byte{0, 0, 0, 0}, disk.Refused},
		{"inodes", 1024, []byte{255, 255, 255, 255}, disk.Refused},
		{"features", 1024 + 0x60, []byte{0, 0, 0, 0x80}, disk.Unsupported},
		{"clusters", 1024 + 0x64, []byte{0, 2, 0, 0}, disk.Unsupported},
		{"journal elsewhere", 1024 + 0x60, []byte{8, 0, 0, 0}, disk.Unsupported},
	}
	for _, tt := range tests {
		b := bytes.Clone(good)
		copy(b[tt.at:], tt.put)
		if f, err := Open(bytes.NewReader(b), 0, int64(len(b))); disk.KindOf(err) != tt.kind {
			t.Errorf("%s: %v, %v", tt.name, f, err)
		}
	}
	b := bytes.Clone(good)
	copy(b[2048+8:], []byte{255, 255, 255, 0}) // the table of inodes
	if _, err := open(t, b).Inode(Root); disk.KindOf(err) != disk.Refused {
		t.Errorf("table of inodes outside: %v", err)
	}
}

// TestCircle lets an extent tree name itself.
func TestCircle(t *testing.T) {
	f := open(t, image(t, "metabg"))
	n := &Inode{Mode: typeRegular, Size: 1 << 50, flags: flagExtents}
	copy(n.data[:], []byte{0x0a, 0xf3, 1, 0, 4, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9})
	if _, err := f.Data(n); disk.KindOf(err) != disk.Refused {
		t.Errorf("an extent tree without end: %v", err)
	}
}

// FuzzFS walks whatever the bytes say.
func FuzzFS(f *testing.F) {
	for _, flavour := range flavours {
		b := image(f, flavour)
		f.Add(b[:min(len(b), 300<<10)], uint32(0), []byte{})
		for _, spoilt := range disktest.Spoilt(b[:min(len(b), 300<<10)], 50) {
			f.Add(spoilt, uint32(0), []byte{})
		}
		f.Add(b[:min(len(b), 300<<10)], uint32(2048+8), []byte{1})
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint32, patch []byte) {
		if int(at) < len(b) {
			b = bytes.Clone(b)
			copy(b[at:], patch)
		}
		fsys, err := Open(bytes.NewReader(b), 0, int64(len(b)))
		if fsys == nil || err != nil {
			return
		}
		left := 200
		walk(fsys, Root, 0, &left)
	})
}

func walk(f *FS, number uint32, depth int, left *int) {
	n, err := f.Inode(number)
	if *left--; err != nil || depth > 8 || *left < 0 {
		return
	}
	_, _ = f.Xattrs(n)
	_, _ = f.Readlink(n)
	if d, err := f.Data(n); err == nil {
		d.Stretches()
		_, _ = io.CopyN(io.Discard, d.Reader(), 1<<16)
	}
	list, _ := f.ReadDir(n)
	for _, e := range list {
		walk(f, e.Inode, depth+1, left)
	}
}
