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
