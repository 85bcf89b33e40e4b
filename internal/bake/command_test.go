package bake

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCommandEndsWhole cancels a program whose child holds its output open: both end.
func TestCommandEndsWhole(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	child := ""
	_, err := command(ctx, t.TempDir(), func(line string) { child = line; cancel() }, "sh", "-c", "sleep 86421 & echo $!; wait")
	if err == nil || child == "" || runs(child) {
		t.Errorf("%v; its child is %q", err, child)
	}
}

// TestEndWholeInsists: who does not hear is killed.
func TestEndWholeInsists(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", "trap '' TERM; sleep 86422 & echo $!; wait; wait")
	defer endWhole(cmd, time.Millisecond)()
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() { // to the end of all that have it open
		cancel()
		defer func(child string) {
			if runs(child) {
				t.Errorf("%s runs", child)
			}
		}(lines.Text())
	}
	if cmd.Wait() == nil {
		t.Error("it ended by itself")
	}
}

// runs tells whether a process, which may be about to end, is there after a while.
func runs(pid string) bool {
	n, err := strconv.Atoi(pid)
	if err != nil {
		return true
	}
	fd, err := unix.PidfdOpen(n, 0)
	if err != nil {
		return !errors.Is(err, unix.ESRCH)
	}
	defer unix.Close(fd)
	events, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 60_000)
	return err != nil || events == 0
}

// TestTellerTells: what a program writes to a pipe is told too, not only kept.
func TestTellerTells(t *testing.T) {
	var heard strings.Builder
	log := teller{tell: func(s string) { heard.WriteString(s) }}
	cmd := exec.Command("sh", "-c", "echo out; echo err >&2")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if heard.String() != "out\nerr\n" || log.said.String() != heard.String() {
		t.Errorf("heard %q, kept %q", heard.String(), log.said.String())
	}
}

// TestReasons: of what apt says the errors are told, and of what others say the end.
func TestReasons(t *testing.T) {
	for said, want := range map[string]string{
		"Err:2 http://x bookwrom Release\n  404  Not Found\nE: The repository 'x bookwrom Release' does not have a Release file.\nI: removing tempdir\nE: mmdebstrap failed to run\n": "E: The repository 'x bookwrom Release' does not have a Release file.",
		"W: Failed to fetch http://x  Could not connect\nReading package lists...\nE: Unable to locate package vim\n":                                                                 "W: Failed to fetch http://x  Could not connect; E: Unable to locate package vim",
		"one\ntwo\n": "one; two",
	} {
		if got := reasons(said); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestWithoutIDs: what mmdebstrap calls a mode is told as what to do.
func TestWithoutIDs(t *testing.T) {
	other := errors.New("mmdebstrap: exit status 25: E: no space")
	if got := withoutIDs(other); got != other || withoutIDs(nil) != nil {
		t.Error(got)
	}
	if got := withoutIDs(errors.New("mmdebstrap: exit status 25: E: unable to pick chroot mode automatically")); !strings.Contains(got.Error(), "--add-subuids") {
		t.Error(got)
	}
	if _, err := newOven(Options{OutDir: t.TempDir(), CacheDir: "/dev/null/cache"}); err == nil || !strings.Contains(err.Error(), "--cache") {
		t.Error(err)
	}
}
