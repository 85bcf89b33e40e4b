package disk

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// attachVariable has this test's program attach an image and wait to be killed.
const attachVariable = "HEARTH_TEST_ATTACH"

// TestAttachedEndsWithItsProcess: what was written by a process that is killed is in the
// image, and nobody holds that any longer.
func TestAttachedEndsWithItsProcess(t *testing.T) {
	if path := os.Getenv(attachVariable); path != "" {
		attachAndWait(t, path)
		return
	}
	ctx, r := context.Background(), &Runner{}
	path := filepath.Join(t.TempDir(), "disk")
	t.Setenv("TMPDIR", t.TempDir()) // what the killed one leaves
	if err := r.CreateRedo(ctx, path, 8<<20); KindOf(err) == ToolMissing {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run", "^TestAttachedEndsWithItsProcess$", "-test.v")
	child.Env = append(os.Environ(), attachVariable+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines, said := bufio.NewScanner(out), ""
	for lines.Scan() && lines.Text() != "attached" {
		said += lines.Text() + "\n"
	}
	if lines.Text() != "attached" {
		_ = child.Wait()
		t.Skip(said) // no /dev/fuse, no namespaces
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock); err == nil {
		t.Error("nobody holds the image while it is attached")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	free := make(chan error, 1)
	go func() { free <- unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLKW, &lock) }()
	select {
	case err := <-free:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the image is held by a process that nobody asked for")
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewQCOW2Reader(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := q.ReadAt(b, 1<<20); err != nil && err != io.EOF || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
}

func attachAndWait(t *testing.T, path string) {
	a, err := (&Runner{}).Attach(context.Background(), []Layer{{path, QCOW2}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(a.Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("hello"), 1<<20); err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("attached\n")
	select {}
}
