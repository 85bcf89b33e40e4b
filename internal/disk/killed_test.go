package disk

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// doomed runs the work of TestDoomed in a process of its own, and gives that when it has
// said that it is under way.
func doomed(t *testing.T, work, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDoomed$", "-test.v")
	cmd.Env = append(os.Environ(), "HEARTH_TEST_DOOMED="+work, "HEARTH_TEST_PATH="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if line := lines.Text(); line == "under way" {
			return cmd
		} else if strings.Contains(line, "SKIP") {
			_ = cmd.Wait()
			t.Skip("what it needs is not here")
		}
	}
	t.Fatalf("it ended: %v", cmd.Wait())
	return nil
}

// TestDoomed is what [doomed] runs; nobody else does.
func TestDoomed(t *testing.T) {
	path := os.Getenv("HEARTH_TEST_PATH")
	switch os.Getenv("HEARTH_TEST_DOOMED") {
	case "attach":
		if _, err := (&Runner{}).Attach(t.Context(), []Layer{{path, QCOW2}}); err != nil {
			t.Skip("SKIP", err)
		}
		fmt.Println("under way")
		select {}
	case "disk":
		a, err := (&Runner{}).Attach(t.Context(), []Layer{{path, QCOW2}})
		if err != nil {
			t.Skip("SKIP", err)
		}
		f, err := os.OpenFile(a.Path, os.O_RDWR, 0)
		if err != nil {
			t.Skip("SKIP", err)
		}
		fmt.Println("under way")
		_, err = (&Runner{}).Run(t.Context(), Command{Name: "dd", Args: []string{"if=" + path + ".pipe", "of=" + DiskPath, "conv=notrunc"}, Read: []string{path + ".pipe"}, Disk: f, Whole: true})
		t.Skip("SKIP", err)
	case "changes":
		carryOutDoomed(t, path)
	case "whole", "other":
		c := Command{Name: "sed", Args: []string{"-u", "-n", "-e", "p", "-e", "w " + path + ".out", path}, Read: []string{path}, Write: []string{path + ".out"}, Whole: os.Getenv("HEARTH_TEST_DOOMED") == "whole"}
		if c.Keep, _ = os.Open(filepath.Dir(path)); unix.Flock(int(c.Keep.Fd()), unix.LOCK_SH) != nil {
			t.Skip("SKIP")
		}
		_, err := (&Runner{}).Run(t.Context(), c)
		t.Skip("SKIP", err)
	}
	t.Skip("it is run by others")
}

// children are the processes below one, by their names.
func children(t *testing.T, pid int) map[string]int {
	t.Helper()
	found := map[string]int{}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range tasks {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(b)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child))
			found[strings.TrimSpace(string(comm))] = child
		}
	}
	return found
}

// ends waits until a process has ended.
func ends(t *testing.T, fd int) bool {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 20000)
		if err == syscall.EINTR {
			continue
		}
		return n == 1 && err == nil
	}
}

// TestKilledAttached: of a process that is killed, the storage daemon ends too, and lets
// the image go: else nobody could use it until the host boots.
func TestKilledAttached(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", path, "16M").CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	cmd := doomed(t, "attach", path)
	daemon := children(t, children(t, cmd.Process.Pid)["sh"])["qemu-storage-da"]
	fd, err := unix.PidfdOpen(daemon, 0)
	if daemon == 0 || err != nil {
		t.Fatal(daemon, err)
	}
	defer unix.Close(fd)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if !ends(t, fd) {
		_ = syscall.Kill(daemon, syscall.SIGKILL)
		t.Fatal("it lives on")
	}
	a, err := (&Runner{}).Attach(context.Background(), []Layer{{path, QCOW2}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// TestKilledWhole: a tool whose work is to be whole comes to its end when the process that
// started it is killed, though nobody reads what it says; others end with that.
func TestKilledWhole(t *testing.T) {
	for work, want := range map[string]string{"whole": "all of it\n", "other": ""} {
		pipe := filepath.Join(t.TempDir(), "pipe")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(pipe+".out", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^TestDoomed$")
		cmd.Env = append(os.Environ(), "HEARTH_TEST_DOOMED="+work, "HEARTH_TEST_PATH="+pipe)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended, opened := make(chan error, 1), make(chan *os.File, 1)
		go func() { ended <- cmd.Wait() }()
		go func() {
			in, _ := os.OpenFile(pipe, os.O_WRONLY, 0) // waits until the tool has opened it
			opened <- in
		}()
		var in *os.File
		select {
		case in = <-opened:
		case err := <-ended:
			t.Fatalf("it ended: %v", err)
		}
		tool := children(t, cmd.Process.Pid)["sed"]
		fd, err := unix.PidfdOpen(tool, 0)
		if tool == 0 || err != nil {
			t.Fatal(tool, err)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-ended
		if want == "" && !ends(t, fd) {
			t.Error("it lives on")
		}
		folder, err := os.Open(filepath.Dir(pipe))
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Close()
		if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); (err != nil) != (work == "whole") {
			t.Errorf("%s: of its folder's lock: %v", work, err)
		}
		_, _ = in.WriteString("all of it\n") // nobody reads what is written to the dead
		_ = in.Close()
		if !ends(t, fd) {
			t.Error("it does not end")
		}
		_ = unix.Close(fd)
		if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			t.Errorf("%s: nobody is there, and of its folder's lock: %v", work, err)
		}
		if b, err := os.ReadFile(pipe + ".out"); string(b) != want || err != nil {
			t.Errorf("%s: %q, %v", work, b, err)
		}
	}
}

// TestKilledDisk: what is written whole to a qcow2 is in it, though who attached that was killed
// before it was written; then nobody holds the image.
func TestKilledDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", path, "16M").CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	if err := syscall.Mkfifo(path+".pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := doomed(t, "disk", path)
	in, err := os.OpenFile(path+".pipe", os.O_WRONLY, 0) // the tool has opened it then
	if err != nil {
		t.Fatal(err)
	}
	below := children(t, cmd.Process.Pid)
	var fds []int
	for _, pid := range []int{below["dd"], children(t, below["sh"])["qemu-storage-da"]} {
		fd, err := unix.PidfdOpen(pid, 0)
		if pid == 0 || err != nil {
			t.Fatal(pid, err)
		}
		defer unix.Close(fd)
		fds = append(fds, fd)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	data := strings.Repeat("whole", 100000)
	if _, err := in.WriteString(data); err != nil {
		t.Error(err)
	}
	_ = in.Close()
	for _, fd := range fds {
		if !ends(t, fd) {
			t.Fatal("it lives on")
		}
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	q, err := NewQCOW2Reader(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(data))
	if _, err := q.ReadAt(b, 0); err != nil || string(b) != data {
		t.Errorf("%.20q, %v", b, err)
	}
}
