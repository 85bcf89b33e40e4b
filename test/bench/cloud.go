package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
)

// aCloud is a hearth of the bench's own.
type aCloud struct {
	bin, data, listen string
	env               []string
	proc              *exec.Cmd
	provider          *gophercloud.ProviderClient
	image             *gophercloud.ServiceClient
	compute, network  *gophercloud.ServiceClient
	volumes           *gophercloud.ServiceClient
}

// running are the clouds to take down however the bench ends, and undoing is what
// is to be undone after them.
var (
	running []*aCloud
	undoing func()
)

func tidy() {
	for _, c := range running {
		c.down()
	}
	running = nil
}

func (b bench) newCloud(driver string, conf ...string) *aCloud {
	return b.newCloudIn("/tmp", driver, conf...)
}

func (b bench) newCloudIn(parent, driver string, conf ...string) *aCloud {
	dir, err := os.MkdirTemp(parent, "hearth-bench-")
	check(err)
	check(os.Chmod(dir, 0o711))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	c := &aCloud{bin: b.bin, data: dir, listen: l.Addr().String()}
	check(l.Close())
	c.env = append(os.Environ(), append([]string{"HEARTH_DATA=" + dir, "HEARTH_DRIVER=" + driver, "HEARTH_LISTEN=" + c.listen, "HEARTH_NODE=bench",
		"HEARTH_NETWORK_PUBLIC_INTERFACE=hearth-bench", "HEARTH_NETWORK_PUBLIC_CIDR=172.24.6.0/24", "HEARTH_NETWORK_PUBLIC_CIDR6=2001:db8:6::/64",
		"HEARTH_LOG_LEVEL=warn", "HEARTH_COMPUTE_CPU_RATIO=10000", "HEARTH_COMPUTE_MEMORY_RATIO=10000", "HEARTH_COMPUTE_DISK_RATIO=10000", "HEARTH_COMPUTE_SHUTDOWN_GRACE=1s"}, conf...)...)
	running = append(running, c)
	return c
}

// start starts the process and gives the time from exec until every API
// answers, and until every part is ready.
func (c *aCloud) start() (answers, ready time.Duration) {
	log, err := os.OpenFile(filepath.Join(c.data, "bench.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(err)
	defer log.Close()
	c.proc = exec.Command(c.bin, "up")
	c.proc.Env, c.proc.Stdout, c.proc.Stderr = c.env, log, log
	began := time.Now()
	check(c.proc.Start())
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !c.answer() {
		if time.Since(began) > time.Minute {
			check(fmt.Errorf("hearth does not answer; see %s", log.Name()))
		}
		<-tick.C
	}
	answers = time.Since(began)
	resp, err := http.Get("http://" + c.listen + "/hearth/v1/ready?wait=60s")
	check(err)
	check(resp.Body.Close())
	return answers, time.Since(began)
}

// answer asks the four APIs for what needs no login.
func (c *aCloud) answer() bool {
	for _, path := range []string{"/v3", "/image/", "/compute/", "/network/"} {
		resp, err := http.Get("http://" + c.listen + path)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		if resp.StatusCode >= 400 {
			return false
		}
	}
	return true
}

// stop ends the process only.
func (c *aCloud) stop() {
	if c.proc == nil {
		return
	}
	check(c.proc.Process.Signal(syscall.SIGTERM))
	_ = c.proc.Wait()
	c.proc = nil
}

func (c *aCloud) down() {
	cmd := exec.Command(c.bin, "down")
	cmd.Env = c.env
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "hearth down: %v\n%s", err, out)
	}
	if c.proc != nil {
		_ = c.proc.Wait()
	}
	_ = os.RemoveAll(c.data)
}

// login makes the clients, with the operator's credential.
func (c *aCloud) login() {
	body, err := os.ReadFile(filepath.Join(c.data, "operator.json"))
	check(err)
	var op struct {
		User     string `json:"username"`
		Password string `json:"password"`
		Project  string `json:"project_name"`
	}
	check(json.Unmarshal(body, &op))
	c.provider, err = openstack.AuthenticatedClient(context.Background(), gophercloud.AuthOptions{IdentityEndpoint: "http://" + c.listen + "/v3",
		Username: op.User, DomainName: "Default", Password: op.Password, TenantName: op.Project, AllowReauth: true})
	check(err)
	c.compute, err = openstack.NewComputeV2(c.provider, gophercloud.EndpointOpts{})
	check(err)
	c.network, err = openstack.NewNetworkV2(c.provider, gophercloud.EndpointOpts{})
	check(err)
	c.volumes, err = openstack.NewBlockStorageV3(c.provider, gophercloud.EndpointOpts{})
	check(err)
	c.image, err = openstack.NewImageV2(c.provider, gophercloud.EndpointOpts{})
	check(err)
}

// pss is the process's share of memory in MiB.
func (c *aCloud) pss() float64 {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", c.proc.Process.Pid))
	check(err)
	for line := range strings.Lines(string(body)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
			kib, err := strconv.ParseFloat(f[1], 64)
			check(err)
			return kib / 1024
		}
	}
	check(fmt.Errorf("no Pss"))
	return 0
}

// cpu is the processor time that the process has used.
func (c *aCloud) cpu() time.Duration {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", c.proc.Process.Pid))
	check(err)
	var sum time.Duration
	for _, t := range tasks {
		if body, err := os.ReadFile(t); err == nil {
			n, err := strconv.ParseInt(strings.Fields(string(body))[0], 10, 64)
			check(err)
			sum += time.Duration(n)
		}
	}
	return sum
}
