package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// theCloud is a hearth of this run's own, with the fake driver.
type theCloud struct {
	bin, work, listen string
	proc              *exec.Cmd
	gone              chan struct{}
	token             string
}

func (c *theCloud) base() string { return "http://" + c.listen }

// up starts the process and waits until every part is ready.
func (c *theCloud) up(ctx context.Context) error {
	data := filepath.Join(c.work, "data")
	env := append(os.Environ(), "HEARTH_DATA="+data, "HEARTH_LISTEN="+c.listen, "HEARTH_IDENTITY_BCRYPT_COST=4", "HEARTH_IMAGE_IMPORT_FROM=127.0.0.0/8")
	if err := os.MkdirAll(c.work, 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(c.work, "hearth.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	c.proc = exec.Command(c.bin, "up", "--driver", "fake")
	c.proc.Env, c.proc.Stdout, c.proc.Stderr = env, log, log
	c.proc.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ctrl-C is for this command, which then takes the cloud down
	if err := c.proc.Start(); err != nil {
		return fmt.Errorf("cannot start %s ('make build' makes it): %w", c.bin, err)
	}
	c.gone = make(chan struct{})
	go func() { _ = c.proc.Wait(); close(c.gone) }()
	wait := exec.CommandContext(ctx, c.bin, "wait", "ready", "--timeout", "90s")
	wait.Env = env
	if out, err := wait.CombinedOutput(); err != nil {
		c.down()
		return fmt.Errorf("the cloud is not ready: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// down stops the process; the fake driver leaves nothing on the host.
func (c *theCloud) down() {
	_ = c.proc.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.gone:
	case <-time.After(30 * time.Second):
		_ = c.proc.Process.Kill()
		<-c.gone
	}
}

// do sends a body, as JSON unless it is bytes, and reads the answer into out.
func (c *theCloud) do(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	kind, body := "application/octet-stream", []byte(nil)
	switch v := in.(type) {
	case nil:
	case []byte:
		body = v
	default:
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
		kind = "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base()+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("X-Auth-Token", c.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode >= 400:
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	case out == nil:
		return resp.Header, nil
	}
	return resp.Header, json.Unmarshal(answer, out)
}
