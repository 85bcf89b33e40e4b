package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"testing"

	"hearth/internal/cloud"
	"hearth/internal/driver/hypervisor"
)

// child starts a harmless process that ends when its input does.
func child(t *testing.T) (*exec.Cmd, uint64) {
	t.Helper()
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	s, err := readStat(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return cmd, s.started
}

func TestHoldIsOnTheVeryProcess(t *testing.T) {
	cmd, started := child(t)
	pid := cmd.Process.Pid
	if _, err := hold(pid, started+1, nil); !errors.Is(err, errNoProcess) {
		t.Errorf("another process of the same number: %v", err)
	}
	if _, err := hold(1, 0, nil); !errors.Is(err, errNoProcess) {
		t.Errorf("init: %v", err)
	}
	p, err := hold(pid, started, cmd)
	if err != nil {
		t.Fatal(err)
	}
	if p.gone() {
		t.Error("gone already")
	}
	if err := p.kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if !p.gone() || p.code != -9 {
		t.Errorf("gone %v, code %d", p.gone(), p.code)
	}
	if err := p.kill(); err != nil {
		t.Errorf("kill again: %v", err)
	}
	if _, err := hold(pid, started, nil); !errors.Is(err, errNoProcess) {
		t.Errorf("after its end: %v", err)
	}
}

func TestLetGo(t *testing.T) {
	cmd, started := child(t)
	p, err := hold(cmd.Process.Pid, started, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.letGo()
	<-p.done
	if p.gone() {
		t.Error("let go is not gone")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// A zombie that nobody has reaped is no guest any more.
	state := byte(0)
	for state != 'Z' {
		s, err := readStat(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		state = s.state
	}
	if _, err := hold(cmd.Process.Pid, started, nil); !errors.Is(err, errNoProcess) {
		t.Errorf("hold on a zombie: %v", err)
	}
	cmd.Wait()
}

func TestParseStat(t *testing.T) {
	line := "77 (a) R (b) S 1 77 77 0 -1 4194304 1 2 3 4 150 50 7 8 20 0 3 0 123456 1000000 42 18446744073709551615 1 1\n"
	s, err := parseStat([]byte(line))
	if err != nil || s.state != 'S' || s.started != 123456 || s.cpu.Seconds() != 2 || s.threads != 3 || s.pages != 42 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "77", "77 (a", "77 (a) S 1", "77 (a) S 1 77 77 0 -1 4 1 2 3 4 x 50 7 8 20 0 3 0 1 1 42"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestRecoverRefusesWhatIsNotTheGuest(t *testing.T) {
	cmd, started := child(t)
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	good := hypervisor.Handle{Driver: kindName, ID: "a", Dir: t.TempDir(), PID: cmd.Process.Pid, Started: started, BootID: boot}
	d := New(Options{})
	for name, c := range map[string]struct {
		spoil func(*hypervisor.Handle)
		kind  cloud.Kind
	}{
		"number used again": {func(h *hypervisor.Handle) { h.Started++ }, cloud.NotFound},
		"host rebooted":     {func(h *hypervisor.Handle) { h.BootID = "x" }, cloud.NotFound},
		"no monitor":        {func(*hypervisor.Handle) {}, cloud.Unavailable},
		"another driver's":  {func(h *hypervisor.Handle) { h.Driver = "fake" }, cloud.Invalid},
	} {
		h := good
		c.spoil(&h)
		if _, err := d.Recover(context.Background(), h); !cloud.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s, err := readStat(cmd.Process.Pid); err != nil || s.dead() {
		t.Errorf("the stranger was touched: %+v, %v", s, err)
	}
}

func TestHandleIsPlainJSON(t *testing.T) {
	h := hypervisor.Handle{Driver: "qemu", ID: "a", Dir: "/run/a", PID: 5, Started: 1<<64 - 1, BootID: "b"}
	raw, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"driver":"qemu","id":"a","dir":"/run/a","pid":5,"started":18446744073709551615,"boot_id":"b"}`
	if string(raw) != want {
		t.Errorf("got %s", raw)
	}
	var again hypervisor.Handle
	if err := json.Unmarshal(raw, &again); err != nil || again != h {
		t.Errorf("got %+v, %v", again, err)
	}
}

func TestListSeesOnlyHoldersOfALock(t *testing.T) {
	dir := t.TempDir()
	lock, err := takeLock(hypervisor.Config{ID: "held", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{lock}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lock.Close()
	d := New(Options{})
	found, err := d.List(t.Context(), dir)
	if err != nil || len(found) != 1 || found[0].ID != "held" || found[0].PID != cmd.Process.Pid {
		t.Errorf("found %+v, %v", found, err)
	}
	if _, err := takeLock(hypervisor.Config{ID: "second", Dir: dir}); !cloud.Is(err, cloud.Conflict) {
		t.Errorf("second lock: %v", err)
	}
	if err := d.Destroy(t.Context(), found[0]); err != nil {
		t.Error(err)
	}
	in.Close()
	cmd.Wait()
	if found, err := d.List(t.Context(), dir); err != nil || len(found) != 0 {
		t.Errorf("found %+v, %v", found, err)
	}
}
