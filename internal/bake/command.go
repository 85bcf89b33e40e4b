package bake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// cleanUp is how long a program may take to clean up after itself when the bake is
// cancelled: mmdebstrap unmounts, and removes the tree that it was filling.
const cleanUp = 20 * time.Second

// command runs a program of the host's distribution to its end and gives its
// standard output. line, if not nil, is told each line of it as it comes. What the
// program has started ends with it if ctx does.
func command(ctx context.Context, dir string, line func(string), name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	defer endWhole(cmd, cleanUp)()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	var out strings.Builder
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		if line != nil {
			line(lines.Text())
		}
		out.WriteString(lines.Text() + "\n")
	}
	_, _ = io.Copy(io.Discard, pipe)
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, reasons(stderr.String()))
	}
	return out.String(), nil
}

// endWhole has a command, which is yet to start, be asked to end with its context, it
// and all that it starts, and killed when the grace is over. done is for after it ended.
func endWhole(cmd *exec.Cmd, grace time.Duration) (done func()) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var late *time.Timer
	cmd.Cancel = func() error {
		group := -cmd.Process.Pid
		late = time.AfterFunc(grace, func() { _ = syscall.Kill(group, syscall.SIGKILL) })
		if err := syscall.Kill(group, syscall.SIGTERM); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
	return func() {
		if late != nil {
			late.Stop()
		}
	}
}
