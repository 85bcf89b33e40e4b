package main

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

// theCloud is a hearth of this run's own.
type theCloud struct {
	bin, work string
	listen    string
	conf      []string // HEARTH_… of the mode
	env       []string
	proc      *exec.Cmd
	gone      chan struct{}
	operator  operator
}

// operator is who administers: what 'hearth openrc' prints, too.
type operator struct {
	User     string `json:"username"`
	Password string `json:"password"`
	Project  string `json:"project_name"`
}

func (c *theCloud) data() string    { return filepath.Join(c.work, "data") }
func (c *theCloud) logFile() string { return filepath.Join(c.work, "hearth.log") }

// up starts the process and waits until every part is ready.
func (c *theCloud) up(ctx context.Context) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c.listen = l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	c.env = append(append(os.Environ(), "HEARTH_DATA="+c.data(), "HEARTH_LISTEN="+c.listen, "HEARTH_NODE=conformance", "HEARTH_LOG_LEVEL=info"), c.conf...)
	log, err := os.Create(c.logFile())
	if err != nil {
		return err
	}
	defer log.Close()
	c.proc = exec.Command(c.bin, "up")
	c.proc.Env, c.proc.Stdout, c.proc.Stderr = c.env, log, log
	c.proc.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ctrl-C is for this command, which then takes the cloud down
	if err := c.proc.Start(); err != nil {
		return fmt.Errorf("cannot start %s ('make build' makes it): %w", c.bin, err)
	}
	c.gone = make(chan struct{})
	go func() { _ = c.proc.Wait(); close(c.gone) }()
	if err := c.hearth(ctx, "wait", "ready", "--timeout", "90s"); err != nil {
		return err
	}
	body, err := os.ReadFile(filepath.Join(c.data(), "operator.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(body, &c.operator)
}

// hearth runs a subcommand against the cloud.
func (c *theCloud) hearth(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, c.bin, args...)
	cmd.Env = c.env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("hearth %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// down takes the cloud down with its guests and networks.
func (c *theCloud) down() {
	if c.proc == nil || c.proc.Process == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := c.hearth(ctx, "down"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		_ = c.proc.Process.Signal(syscall.SIGTERM)
	}
	select {
	case <-c.gone:
	case <-time.After(30 * time.Second):
		_ = c.proc.Process.Kill()
		<-c.gone
	}
}

// pss is the process's share of memory in MiB; 0 when it is gone.
func (c *theCloud) pss() float64 {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", c.proc.Process.Pid))
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintln(os.Stderr, "conformance: hearth is gone; its log says why:", c.logFile())
		return 0
	}
	for line := range strings.Lines(string(body)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			kib, _ := strconv.ParseFloat(f[1], 64)
			return kib / 1024
		}
	}
	return 0
}
