package disk

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const mark = "written by way of a log"

// changeable makes a disk of ones with an ext4 at 2 MiB, and a folder of changes with a redo
// log of the MiB before that, which has a mark at 100,000.
func changeable(t *testing.T) (path, work string) {
	t.Helper()
	need(t, "mke2fs", "debugfs", "qemu-img")
	path, work = filepath.Join(t.TempDir(), "it's a disk"), filepath.Join(t.TempDir(), "it's the work")
	extFile(t, path, 2<<20, 8<<20)
	writeAt(t, path, bytes.Repeat([]byte{1}, 2<<20))
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<20)
	copy(b[100_000:], mark)
	f, err := os.Create(filepath.Join(work, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := MakeQCOW2(t.Context(), f, FeedStream(bytes.NewReader(b), int64(len(b))), "", nil); err != nil {
		t.Fatal(err)
	}
	return path, work
}

// inExt is a change of the file system of changeable, that in its log the other.
func inExt(t *testing.T, f *os.File, commands string) Change {
	t.Helper()
	fs, err := ReadExt(f, 2<<20, 8<<20)
	if err != nil || fs == nil {
		t.Fatal(fs, err)
	}
	return Change{Ext: fs, Commands: commands}
}

func inLog(work string) Change {
	return Change{Log: filepath.Join(work, "log"), Offset: 1 << 20, Size: 1 << 20}
}

// has tells whether both changes are there, or neither; what is beside them must be as it was.
func has(t *testing.T, path, name string) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const first = 1<<20 + 65536 // of the log's cluster
	marked := bytes.HasPrefix(b[1<<20+100_000:], []byte(mark))
	for i, c := range b[:2<<20] {
		if c != 1 && (i < first || i >= first+65536) {
			t.Fatalf("byte %d is %d", i, c)
		}
	}
	out, _ := exec.Command("/sbin/debugfs", "-R", "stat /"+name, path+"?offset=2097152").CombinedOutput()
	if there := strings.Contains(string(out), "Type: regular"); there != marked {
		t.Errorf("the log's: %v; the file system's: %v, %s", marked, there, out)
	}
	return marked
}

// TestCarryOut makes changes by a log and by debugfs in one run, and none after one that fails.
func TestCarryOut(t *testing.T) {
	path, work := changeable(t)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	change := inExt(t, f, "write \""+filepath.Join(work, "f0")+"\" new\n")
	if err := os.WriteFile(filepath.Join(work, "f0"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, r := context.Background(), &Runner{}
	broken := inLog(work)
	broken.Log = filepath.Join(work, "f0")
	if err := r.CarryOut(ctx, f, work, broken, change); KindOf(err) != ToolFailed || !strings.Contains(err.Error(), "qcow2") || has(t, path, "new") {
		t.Errorf("what is no log: %v", err)
	}
	broken.Log = filepath.Join(work, "none")
	if err := r.CarryOut(ctx, f, work, change, broken); err == nil || has(t, path, "new") {
		t.Errorf("a log that is not there: %v", err)
	}
	if err := r.CarryOut(ctx, f, work, inLog(work), change); err != nil || !has(t, path, "new") {
		t.Error(err)
	}
	if err := r.CarryOut(ctx, f, work, inLog(work), inExt(t, f, "sif /none mode 0\n")); KindOf(err) != ToolFailed || !strings.Contains(err.Error(), "debugfs: ") {
		t.Errorf("a complaint of debugfs: %v", err)
	}
}

// carryOutDoomed is TestDoomed's part of TestKilledChanges: debugfs waits for the other end
// of a pipe, the log comes after it.
func carryOutDoomed(t *testing.T, path string) {
	work := path + ".work"
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Skip("SKIP", err)
	}
	held, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil || unix.FcntlFlock(held.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 100}) != nil {
		t.Skip("SKIP", err)
	}
	defer Keep(path, held)()
	err = (&Runner{}).CarryOut(t.Context(), f, work, inExt(t, f, "write \""+work+"/pipe\" new\n"), inLog(work))
	t.Skip("SKIP", err)
}

// TestKilledChanges: of a process that is killed between two changes, the second is made too,
// and the image held until then.
func TestKilledChanges(t *testing.T) {
	path, work := changeable(t)
	if err := os.Rename(work, path+".work"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path+".work/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestDoomed$")
	cmd.Env = append(os.Environ(), "HEARTH_TEST_DOOMED=changes", "HEARTH_TEST_PATH="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended, opened := make(chan error, 1), make(chan *os.File, 1)
	go func() { ended <- cmd.Wait() }()
	go func() {
		in, _ := os.OpenFile(path+".work/pipe", os.O_WRONLY, 0) // waits until debugfs has opened it
		opened <- in
	}()
	var in *os.File
	select {
	case in = <-opened:
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	}
	shell := children(t, cmd.Process.Pid)["sh"]
	fd, err := unix.PidfdOpen(shell, 0)
	if shell == 0 || err != nil {
		t.Fatal(shell, err)
	}
	defer unix.Close(fd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if !locked(t, path) {
		t.Error("nobody holds the image while it is changed")
	}
	_ = in.Close()
	if !ends(t, fd) {
		t.Fatal("it does not end")
	}
	if !has(t, path, "new") {
		t.Error("nothing was changed")
	}
	if locked(t, path) {
		t.Error("somebody holds the image still")
	}
}

func locked(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l); err != nil {
		t.Skip(err)
	}
	return l.Type != unix.F_UNLCK
}
