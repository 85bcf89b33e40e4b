package e2e

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for an event: generous, since guests are emulated
// on whatever machine this is.
var patience = slowly(12 * time.Minute)

// slowly is a limit for what runs within an emulated guest, where each takes ten times as long.
func slowly(limit time.Duration) time.Duration {
	if inGuest() {
		return min(10*limit, 20*time.Minute)
	}
	return limit
}

// theCloud is a running hearth with an empty data directory of its own.
type theCloud struct {
	t    *testing.T
	bin  string
	data string
	env  []string // of the clients, once ready
	conf []string // HEARTH_… of the process
	*process
}

// process is the hearth that runs now, or ran last.
type process struct {
	proc *exec.Cmd
	gone chan error
}

// in is the same cloud for a subtest to use.
func (c *theCloud) in(t *testing.T) *theCloud {
	sub := *c
	sub.t = t
	return &sub
}

// needE2E skips a test where only the quick ones are asked for.
func needE2E(t *testing.T) string {
	t.Helper()
	if os.Getenv("HEARTH_E2E") == "" {
		t.Skip("HEARTH_E2E is not set: 'make e2e' runs this")
	}
	bin := os.Getenv("HEARTH_BIN")
	if bin == "" {
		bin = "../../hearth"
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// newCloud starts a cloud with a driver; conf are settings, "HEARTH_X=y". It is
// taken down, with all its guests, when the test ends.
func newCloud(t *testing.T, driver string, conf ...string) *theCloud {
	t.Helper()
	c := &theCloud{t: t, bin: needE2E(t), data: tempDir(t), process: &process{}}
	c.settings(driver, conf...)
	t.Cleanup(c.down)
	c.up()
	return c
}

// settings are those of a cloud that meddles with no other on this host.
func (c *theCloud) settings(driver string, conf ...string) {
	c.conf = append([]string{
		"HEARTH_DATA=" + c.data, "HEARTH_DRIVER=" + driver, "HEARTH_LISTEN=" + freePort(c.t), "HEARTH_NODE=e2e",
		"HEARTH_NETWORK_PUBLIC_INTERFACE=hearth-e2e", "HEARTH_NETWORK_PUBLIC_CIDR=172.24.5.0/24", "HEARTH_NETWORK_PUBLIC_CIDR6=2001:db8:5::/64",
		"HEARTH_COMPUTE_SHUTDOWN_GRACE=10s",
	}, conf...)
}

// tempDir is a directory that guests' own users can reach into, unlike
// t.TempDir's.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "hearth-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// up starts the process and waits until every part is ready.
func (c *theCloud) up(failpoint ...string) {
	c.t.Helper()
	c.start(failpoint...)
	c.awaitReady()
	c.env = append(os.Environ(), "PATH=/usr/bin:/usr/sbin:/bin:/sbin", "PYTHONWARNINGS=ignore")
	for _, line := range strings.Split(c.hearth("openrc"), "\n") {
		if v, ok := strings.CutPrefix(line, "export "); ok {
			c.env = append(c.env, v)
		}
	}
}

// awaitReady waits until every part is ready, and no longer than the process lives.
func (c *theCloud) awaitReady() {
	c.t.Helper()
	ready := make(chan string, 1)
	go func() {
		out, err := c.try(append(os.Environ(), c.conf...), c.bin, "wait", "ready", "--timeout", slowly(5*time.Minute).String())
		if err != nil {
			out += err.Error()
		}
		ready <- out
	}()
	select {
	case out := <-ready:
		if out != "" {
			c.t.Fatalf("hearth wait ready: %s", out)
		}
	case err := <-c.gone:
		c.gone <- err
		c.t.Fatalf("hearth up ended before it was ready: %v", err)
	}
}

// start starts the process only.
func (c *theCloud) start(failpoint ...string) {
	c.t.Helper()
	log, err := os.OpenFile(filepath.Join(c.data, "..", filepath.Base(c.data)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	c.proc = exec.Command(c.bin, "up")
	c.proc.Env = append(append(os.Environ(), c.conf...), failpoint...)
	c.proc.Stdout, c.proc.Stderr = log, log
	if err := c.proc.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.gone = make(chan error, 1)
	go func(p *exec.Cmd, gone chan error) { gone <- p.Wait() }(c.proc, c.gone)
}

// kill ends the process as a power cut would, and waits for its end.
func (c *theCloud) kill() {
	c.t.Helper()
	_ = c.proc.Process.Signal(syscall.SIGKILL)
	<-c.gone
}

// awaitDeath waits for the process to end by itself, as a failpoint has it.
func (c *theCloud) awaitDeath() {
	c.t.Helper()
	select {
	case <-c.gone:
	case <-time.After(patience):
		c.t.Fatal("the process lives on past its failpoint")
	}
}

// down takes everything down; a failed test's log is shown first.
func (c *theCloud) down() {
	log := filepath.Join(c.data, "..", filepath.Base(c.data)+".log")
	if c.t.Failed() {
		body, _ := os.ReadFile(log)
		c.t.Logf("the cloud's log:\n%s", tail(withoutRequests(body), 8000))
		c.showGuests()
	}
	os.Remove(log)
	cmd := exec.Command(c.bin, "down")
	cmd.Env = append(os.Environ(), c.conf...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Errorf("hearth down: %v\n%s", err, out)
	}
	if out, _ := exec.Command("ip", "netns").Output(); bytes.Contains(out, []byte("hearth-e2e")) {
		c.t.Errorf("hearth down left namespaces behind:\n%s", out)
	}
}

// showGuests logs the ends of the guests' consoles, and what the networks of a
// cloud that nobody answers from look like.
func (c *theCloud) showGuests() {
	consoles, _ := filepath.Glob(filepath.Join(c.data, "node", "instances", "*", "guest", "console.log"))
	for _, name := range consoles {
		if body, err := os.ReadFile(name); err == nil {
			c.t.Logf("%s:\n%s", name, tail(body, 2000))
		}
	}
	names, _ := exec.Command("ip", "netns").Output()
	for name := range strings.Lines(string(names)) {
		name, _, _ = strings.Cut(strings.TrimSpace(name), " ")
		if !strings.HasPrefix(name, "hearth-e2e") {
			continue
		}
		for _, ask := range []string{"ip -br addr", "ip route", "ip neigh", "nft list ruleset"} {
			out, _ := exec.Command("ip", append([]string{"netns", "exec", name}, strings.Fields(ask)...)...).CombinedOutput()
			c.t.Logf("%s: %s:\n%s", name, ask, tail(out, 6000))
		}
	}
}

// withoutRequests leaves out the lines of requests that went well.
func withoutRequests(log []byte) []byte {
	var kept [][]byte
	for line := range bytes.Lines(log) {
		if !bytes.Contains(line, []byte("level=INFO msg=request ")) {
			kept = append(kept, line)
		}
	}
	return bytes.Join(kept, nil)
}

func tail(b []byte, n int) []byte {
	if len(b) > n {
		return b[len(b)-n:]
	}
	return b
}

// hearth runs the binary against this cloud and gives its output.
func (c *theCloud) hearth(args ...string) string {
	c.t.Helper()
	return c.run(append(os.Environ(), c.conf...), c.bin, args...)
}

// client runs one of Debian's clients: client("openstack", "server", "list").
func (c *theCloud) client(name string, args ...string) string {
	c.t.Helper()
	return c.run(c.env, "/usr/bin/"+name, args...)
}

// field gives one column of what an openstack command shows.
func (c *theCloud) field(column string, args ...string) string {
	c.t.Helper()
	return strings.TrimSpace(c.client("openstack", append(args, "-f", "value", "-c", column)...))
}

func (c *theCloud) run(env []string, name string, args ...string) string {
	c.t.Helper()
	out, err := c.try(env, name, args...)
	if err != nil {
		c.t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, out)
	}
	return out
}

// try runs a command; its standard error is part of what it gives on failure.
func (c *theCloud) try(env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		return out.String() + errs.String(), err
	}
	return out.String(), nil
}

// fsck fails the test when anything is left over or missing.
func (c *theCloud) fsck() {
	c.t.Helper()
	if out, err := c.try(append(os.Environ(), c.conf...), c.bin, "fsck"); err != nil {
		c.t.Errorf("hearth fsck: %s", out)
	}
}
