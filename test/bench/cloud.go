package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"hearth/test/outside"
)

// aCloud is a hearth of the bench's own.
type aCloud struct {
	*outside.Cloud
	data, listen     string
	provider         *gophercloud.ProviderClient
	image            *gophercloud.ServiceClient
	compute, network *gophercloud.ServiceClient
	volumes          *gophercloud.ServiceClient
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
	own, err := outside.New(b.bin, dir, "", append([]string{"HEARTH_DRIVER=" + driver, "HEARTH_NODE=bench",
		"HEARTH_NETWORK_PUBLIC_INTERFACE=hearth-bench", "HEARTH_NETWORK_PUBLIC_CIDR=172.24.6.0/24", "HEARTH_NETWORK_PUBLIC_CIDR6=2001:db8:6::/64",
		"HEARTH_LOG_LEVEL=warn", "HEARTH_COMPUTE_CPU_RATIO=10000", "HEARTH_COMPUTE_MEMORY_RATIO=10000", "HEARTH_COMPUTE_DISK_RATIO=10000", "HEARTH_COMPUTE_SHUTDOWN_GRACE=1s"}, conf...)...)
	check(err)
	c := &aCloud{Cloud: own, data: own.Data(), listen: own.Listen}
	running = append(running, c)
	return c
}

// start starts the process and gives the time from exec until every API
// answers, and until every part is ready.
func (c *aCloud) start() (answers, ready time.Duration) {
	began := time.Now()
	check(c.Start())
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !c.answer() {
		if time.Since(began) > time.Minute {
			check(fmt.Errorf("hearth does not answer; see %s", c.LogFile()))
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

func (c *aCloud) down() {
	c.Down()
	_ = os.RemoveAll(c.Work)
}

// login makes the clients, with the operator's credential.
func (c *aCloud) login() {
	op, err := c.Operator()
	check(err)
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
	mib, err := c.PSS()
	check(err)
	return mib
}

// cpu is the processor time that the process has used.
func (c *aCloud) cpu() time.Duration {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", c.PID()))
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
