package layer

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// one writes an archive with a file of n bytes that do not pack.
func one(name string, n int) func(*tar.Writer) error {
	return func(w *tar.Writer) error {
		b := make([]byte, n)
		seed := uint32(n)
		for i := range b {
			seed = seed*1664525 + 1013904223
			b[i] = byte(seed >> 24)
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(n), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := w.Write(b)
		return err
	}
}

func TestKeysFollowWhatIsBelow(t *testing.T) {
	a, _ := Key("", "base", map[string]string{"x": "1", "y": "2"})
	same, _ := Key("", "base", map[string]string{"y": "2", "x": "1"})
	other, _ := Key("", "base", map[string]string{"x": "1", "y": "3"})
	over, _ := Key(a, "overlay", "o")
	overOther, _ := Key(other, "overlay", "o")
	if a != same || a == other || over == overOther || len(a) != 64 {
		t.Errorf("%s %s %s %s %s", a, same, other, over, overOther)
	}
	if _, err := Key("", "x", func() {}); err == nil {
		t.Error("a key was made of what cannot be written")
	}
}

func TestStoreDropsTheOldest(t *testing.T) {
	now := time.Unix(1000, 0)
	s := &Store{Dir: t.TempDir(), Max: 25_000, Now: func() time.Time { return now }}
	put := func(key string) {
		t.Helper()
		if _, err := s.Put(Layer{Name: "n", Key: key, Notes: map[string]string{"a": "b"}}, nil, one("f", 10_000)); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		if l, err := s.Get(key); err != nil || l == nil || l.Notes["a"] != "b" {
			t.Fatalf("%s: %+v, %v", key, l, err)
		}
		now = now.Add(time.Minute)
	}
	put("a")
	put("b")
	if l, err := s.Get("a"); l == nil || err != nil { // a is now younger than b
		t.Fatal(err)
	}
	put("c")
	for key, want := range map[string]bool{"a": true, "b": false, "c": true, "d": false} {
		l, err := s.Get(key)
		if err != nil || (l != nil) != want {
			t.Errorf("%s: %v, %v", key, l, err)
		}
	}
	if left, _ := os.ReadDir(s.Dir); len(left) != 4 {
		t.Errorf("left: %v", left)
	}
}

func TestADamagedLayerIsNone(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	l, err := s.Put(Layer{Key: "k"}, nil, one("f", 100))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(l.Path)
	b[len(b)/2] ^= 1
	if err := os.WriteFile(l.Path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Get("k"); l != nil || err != nil {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := s.Put(Layer{Key: "bad"}, nil, func(*tar.Writer) error { return io.ErrUnexpectedEOF }); err == nil {
		t.Error("a failure made a layer")
	}
	if l, _ := s.Get("bad"); l != nil {
		t.Error("half a layer is there")
	}
}

func index(t *testing.T, members ...tar.Header) Index {
	t.Helper()
	x := Index{}
	for _, h := range members {
		h.Size = int64(len(h.Uname)) // the content, in these tests
		if err := x.Add(&h, bytes.NewReader([]byte(h.Uname))); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func TestDifferences(t *testing.T) {
	old := index(t, tar.Header{Name: "./", Typeflag: tar.TypeDir}, tar.Header{Name: "./etc/", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "./etc/a", Typeflag: tar.TypeReg, Uname: "one", Uid: 5},
		tar.Header{Name: "etc/b", Typeflag: tar.TypeLink, Linkname: "./etc/a"}, tar.Header{Name: "etc/d/x", Typeflag: tar.TypeReg}, tar.Header{Name: "etc/d", Typeflag: tar.TypeDir},
		tar.Header{Name: "dev/null", Typeflag: tar.TypeChar}, tar.Header{Name: "etc/d-e", Typeflag: tar.TypeReg}, tar.Header{Name: "was/dir", Typeflag: tar.TypeDir}, tar.Header{Name: "was/dir/f", Typeflag: tar.TypeReg})
	is := index(t, tar.Header{Name: "etc", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "etc/b", Typeflag: tar.TypeReg, Uname: "one"}, tar.Header{Name: "etc/a", Typeflag: tar.TypeLink, Linkname: "etc/b"},
		tar.Header{Name: "was/dir", Typeflag: tar.TypeSymlink, Linkname: "x"})
	if len(old) != 8 {
		t.Errorf("%d files: %v", len(old), old)
	}
	if got := is.Removed(old); !slices.Equal(got, []string{"etc/d", "etc/d-e", "was/dir"}) {
		t.Errorf("%q", got)
	}
	for _, name := range []string{"etc/a", "etc/b"} {
		if !is[name].Unchanged(old[name], false) || is[name].Unchanged(old[name], true) {
			t.Errorf("%s: %+v and %+v", name, is[name], old[name])
		}
	}
	if strings.HasPrefix(Clean("../../x"), ".") {
		t.Error("a name leads out")
	}
}

// TestOneLayerAtOnce: bakes beside each other may make the same layer.
func TestOneLayerAtOnce(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 20 {
				if _, err := (&Store{Dir: dir}).Put(Layer{Name: "n", Key: "k"}, nil, one("f", 100)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if l, err := (&Store{Dir: dir}).Get("k"); l == nil || err != nil {
		t.Error(err)
	}
}
