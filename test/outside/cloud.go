// Package outside is what the suites from outside share: a hearth of their own in
// a directory of its own, a client that asks it as its operator, and the lists of
// failures that are known.
package outside

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cloud is a hearth of a run's own. Its fields are read after New, and Env may be
// added to before Start.
type Cloud struct {
	Bin, Work string
	Listen    string
	Env       []string // of the process and of every subcommand
	proc      *exec.Cmd
	gone      chan struct{}
}

// Operator is who administers: what 'hearth openrc' prints, too.
type Operator struct {
	User     string `json:"username"`
	Password string `json:"password"`
	Project  string `json:"project_name"`
}

// New describes a cloud below the directory work, with HEARTH_… settings beside
// those that keep it apart from others. An empty listen is a free port.
func New(bin, work, listen string, conf ...string) (*Cloud, error) {
	c := &Cloud{Bin: bin, Work: work, Listen: listen}
	if listen == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		c.Listen = l.Addr().String()
		if err := l.Close(); err != nil {
			return nil, err
		}
	}
	c.Env = append(append(os.Environ(), "HEARTH_DATA="+c.Data(), "HEARTH_LISTEN="+c.Listen), conf...)
	return c, os.MkdirAll(work, 0o755)
}

// Base is the address of the APIs.
func (c *Cloud) Base() string { return "http://" + c.Listen }

// Data is the cloud's own directory.
func (c *Cloud) Data() string { return filepath.Join(c.Work, "data") }

// LogFile is what the process says.
func (c *Cloud) LogFile() string { return filepath.Join(c.Work, "hearth.log") }

// Start starts the process and waits for nothing.
func (c *Cloud) Start() error {
	log, err := os.OpenFile(c.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c.proc = exec.Command(c.Bin, "up")
	c.proc.Env, c.proc.Stdout, c.proc.Stderr = c.Env, log, log
	c.proc.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ctrl-C is for the suite, which then takes the cloud down
	if err := c.proc.Start(); err != nil {
		c.proc = nil
		return fmt.Errorf("cannot start %s ('make build' makes it): %w", c.Bin, err)
	}
	proc, gone := c.proc, make(chan struct{})
	c.gone = gone
	go func() { _ = proc.Wait(); close(gone) }()
	return nil
}

// Up starts the process and waits until every part is ready. Down is to be
// called even after an error.
func (c *Cloud) Up(ctx context.Context) error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Hearth(ctx, "wait", "ready", "--timeout", "90s")
}

// Hearth runs a subcommand against the cloud.
func (c *Cloud) Hearth(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, c.Bin, args...)
	cmd.Env = c.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("hearth %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// Stop ends the process alone: guests and networks stay.
func (c *Cloud) Stop() {
	if c.proc == nil {
		return
	}
	_ = c.proc.Process.Signal(syscall.SIGTERM)
	c.await()
}

// Down takes the cloud down with its guests and networks.
func (c *Cloud) Down() {
	if c.proc == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := c.Hearth(ctx, "down"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		_ = c.proc.Process.Signal(syscall.SIGTERM)
	}
	c.await()
}

// await waits for the end of the process, and makes it come.
func (c *Cloud) await() {
	select {
	case <-c.gone:
	case <-time.After(30 * time.Second):
		_ = c.proc.Process.Kill()
		<-c.gone
	}
	c.proc = nil
}

// PID is the process's number; 0 when it was not started.
func (c *Cloud) PID() int {
	if c.proc == nil {
		return 0
	}
	return c.proc.Process.Pid
}

// PSS is the process's share of memory in MiB.
func (c *Cloud) PSS() (float64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", c.PID()))
	if errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("hearth is gone; its log says why: %s", c.LogFile())
	}
	for line := range strings.Lines(string(body)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			return kib / 1024, err
		}
	}
	return 0, errors.Join(err, errors.New("the kernel tells no Pss"))
}

// Operator reads the credential that the cloud made itself.
func (c *Cloud) Operator() (op Operator, err error) {
	body, err := os.ReadFile(filepath.Join(c.Data(), "operator.json"))
	if err != nil {
		return op, err
	}
	return op, json.Unmarshal(body, &op)
}
