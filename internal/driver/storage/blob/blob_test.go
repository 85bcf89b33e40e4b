package blob_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage/blob"
)

func open(t *testing.T) (*blob.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "images")
	d, err := blob.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d, path
}

func digest(p []byte) string {
	sum := sha512.Sum512(p)
	return "sha512:" + hex.EncodeToString(sum[:])
}

// keep stores bytes and gives their digest.
func keep(t *testing.T, d *blob.Store, p []byte) string {
	t.Helper()
	s, err := d.Stage(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	for rest := p; len(rest) > 0; { // in odd pieces
		n := min(len(rest), 70_001)
		if _, err := s.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := s.Seal(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(p))
	if _, err := s.ReadAt(got, 0); err != nil && err != io.EOF || !bytes.Equal(got, p) {
		t.Fatalf("the staged bytes are others: %v", err)
	}
	if err := s.Keep(digest(p)); err != nil {
		t.Fatal(err)
	}
	return digest(p)
}

func read(t *testing.T, d *blob.Store, digest string) []byte {
	t.Helper()
	r, err := d.Open(digest)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func files(t *testing.T, path string) int {
	t.Helper()
	n := 0
	for _, sub := range []string{"sha512", "staged"} {
		list, err := os.ReadDir(filepath.Join(path, sub))
		if err != nil {
			t.Fatal(err)
		}
		n += len(list)
	}
	return n
}

func TestKeepAndRead(t *testing.T) {
	d, path := open(t)
	for _, p := range [][]byte{[]byte("x"), make([]byte, 300_000), append(make([]byte, 100_000), 1), append([]byte("head"), make([]byte, 9000)...)} {
		id := keep(t, d, p)
		if !bytes.Equal(read(t, d, id), p) {
			t.Errorf("%d bytes: others came back", len(p))
		}
		keep(t, d, p) // again: one file
	}
	list, err := d.Digests(context.Background())
	if err != nil || len(list) != 4 || files(t, path) != 4 {
		t.Errorf("%v, %v; %d files", list, err, files(t, path))
	}
}

func TestZerosTakeNoRoom(t *testing.T) {
	d, _ := open(t)
	p := make([]byte, 64<<20)
	copy(p[32<<20:], "data")
	file, err := d.Path(keep(t, d, p))
	if err != nil {
		t.Fatal(err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(file, &st); err != nil {
		t.Fatal(err)
	}
	if st.Size != 64<<20 || st.Blocks*512 > 64<<10 {
		t.Errorf("%d bytes take %d", st.Size, st.Blocks*512)
	}
	if st.Mode&0o777 != 0o444 {
		t.Errorf("mode %o", st.Mode&0o777)
	}
}

func TestDiscardLeavesNothing(t *testing.T) {
	d, path := open(t)
	s, err := d.Stage(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	s.Discard()
	s.Discard()
	if n := files(t, path); n != 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestCleanRemovesLeftovers(t *testing.T) {
	d, path := open(t)
	id := keep(t, d, []byte("kept"))
	s, err := d.Stage(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("the process dies here")); err != nil {
		t.Fatal(err)
	}
	if err := d.Clean(context.Background()); err != nil || files(t, path) != 1 {
		t.Errorf("%v; %d files, want the kept one", err, files(t, path))
	}
	if got := read(t, d, id); string(got) != "kept" {
		t.Errorf("got %q", got)
	}
}

func TestRemove(t *testing.T) {
	d, _ := open(t)
	id := keep(t, d, []byte("x"))
	r, err := d.Open(id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 {
		if err := d.Remove(id); err != nil {
			t.Error(err)
		}
	}
	if got, err := io.ReadAll(r); string(got) != "x" || err != nil {
		t.Errorf("a reader lost its bytes: %q, %v", got, err)
	}
	if _, err := d.Open(id); !cloud.Is(err, cloud.NotFound) {
		t.Errorf("got %v", err)
	}
}

func TestDigestsAreChecked(t *testing.T) {
	d, _ := open(t)
	for _, bad := range []string{"", "sha512:", "sha512:../../etc/passwd", "md5:" + digest(nil)[7:], "sha512:ABCDEF" + digest(nil)[13:], digest(nil) + "00"} {
		if _, err := d.Path(bad); !cloud.Is(err, cloud.Internal) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := d.Remove(bad); err == nil {
			t.Errorf("%q was removed", bad)
		}
	}
}

// TestFullDisk writes to a file system without room.
func TestFullDisk(t *testing.T) {
	d, _ := open(t)
	s, err := d.Stage(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Discard()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	small := syscall.Rlimit{Cur: 8192, Max: old.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	_, err = s.Write(bytes.Repeat([]byte("x"), 100_000))
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	if !cloud.Is(err, cloud.TooLarge) {
		t.Errorf("got %v", err)
	}
}
