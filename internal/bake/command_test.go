package bake

import (
	"bufio"
	"context"
	"errors"
	"os/exec"
	"strconv"
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
