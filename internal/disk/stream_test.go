package disk_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hearth/internal/disk"
)

// TestReadText reads files and pipes that somebody writes into, as a shell's <(…), and does not wait for
// a pipe into which nobody does.
func TestReadText(t *testing.T) {
	dir := t.TempDir()
	file, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "fifo")
	if err := os.WriteFile(file, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe() // <(…), of which the other end is written into later
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	done := make(chan error, 1)
	began := make(chan bool)
	go func() {
		<-began
		_, err := io.WriteString(w, "text")
		_ = w.Close()
		done <- err
	}()
	empty, none, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	_ = none.Close()
	inherited := fmt.Sprintf("/proc/self/fd/%d", r.Fd())
	for _, c := range []struct{ path, want, fails string }{
		{file, "text", ""}, {fifo, "", "is a pipe into which nobody writes"}, {dir, "", "is a directory"}, {filepath.Join(dir, "none"), "", "no such file"},
		{fmt.Sprintf("/proc/self/fd/%d", empty.Fd()), "", ""}, {"/dev/null", "", ""}, {"/dev/zero", "", "at most 16 bytes"}, {inherited, "text", ""},
	} {
		if c.path == inherited {
			close(began)
		}
		b, err := disk.ReadText(c.path, 16)
		if string(b) != c.want || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %q, %v", c.path, b, err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	both, err := os.OpenFile(fifo, os.O_RDWR, 0) // a writer that is there before the reader
	if err != nil {
		t.Fatal(err)
	}
	s, err := disk.OpenStream(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := io.WriteString(both, "text"); err != nil {
		t.Fatal(err)
	}
	_ = both.Close()
	if b, err := io.ReadAll(s); string(b) != "text" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
