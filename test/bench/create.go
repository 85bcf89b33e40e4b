package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/quotasets"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	netquotas "github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/quotas"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/subnets"
)

// create measures from the request to ACTIVE, without guests: what Hearth itself
// takes for one server, and for twenty that are asked for at once.
func (b bench) create() []figure {
	c := b.newCloud("fake")
	defer tidy()
	c.start()
	c.login()
	image, network := c.blankImage(), c.ownNetwork()
	var one, twenty []float64
	for range 4 * b.runs {
		one = append(one, c.toActive(1, image, network).Seconds()*1000)
	}
	for range b.runs {
		twenty = append(twenty, c.toActive(20, image, network).Seconds())
	}
	return []figure{atMost("create to ACTIVE, fake driver, one", 30, "ms", one), atMost("create to ACTIVE, fake driver, twenty at once", 0.2, "s", twenty)}
}

// toActive asks for n servers at once, each in a request of its own, and gives
// the time until all are ACTIVE. They are deleted afterwards.
func (c *aCloud) toActive(n int, image, network string) time.Duration {
	ctx := context.Background()
	ids := make([]string, n)
	failed := make(chan error, n)
	began := time.Now()
	for i := range n {
		go func() {
			s, err := servers.Create(ctx, c.compute, servers.CreateOpts{Name: fmt.Sprint("b", i), ImageRef: image, FlavorRef: "42", Networks: []servers.Network{{UUID: network}}}, nil).Extract()
			if err == nil {
				ids[i] = s.ID
			}
			failed <- err
		}()
	}
	for range n {
		check(<-failed)
	}
	c.awaitAll(func(all []servers.Server) bool {
		active := 0
		for _, s := range all {
			if s.Status == "ACTIVE" {
				active++
			}
		}
		return active == n
	})
	took := time.Since(began)
	for _, id := range ids {
		check(servers.Delete(ctx, c.compute, id).ExtractErr())
	}
	c.awaitAll(func(all []servers.Server) bool { return len(all) == 0 })
	return took
}

// awaitAll asks for the list until it is as wanted.
func (c *aCloud) awaitAll(ok func([]servers.Server) bool) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Minute); ; <-tick.C {
		pages, err := servers.List(c.compute, nil).AllPages(context.Background())
		check(err)
		all, err := servers.ExtractServers(pages)
		check(err)
		if ok(all) {
			return
		}
		if time.Now().After(deadline) {
			check(fmt.Errorf("the servers do not become what they should: %+v", all[0]))
		}
	}
}

// blankImage uploads an empty qcow2.
func (c *aCloud) blankImage() string {
	path := filepath.Join(c.data, "blank.qcow2")
	check(exec.Command("qemu-img", "create", "-q", "-f", "qcow2", path, "64M").Run())
	body, err := os.ReadFile(path)
	check(err)
	return c.upload("blank", "qcow2", bytes.NewReader(body))
}

// ownNetwork makes a network with room for thousands of servers, and quotas that
// let them in.
func (c *aCloud) ownNetwork() string {
	ctx := context.Background()
	project := c.project()
	many := -1
	_, err := quotasets.Update(ctx, c.compute, project, quotasets.UpdateOpts{Instances: &many, Cores: &many, RAM: &many}).Extract()
	check(err)
	_, err = netquotas.Update(ctx, c.network, project, netquotas.UpdateOpts{Port: &many}).Extract()
	check(err)
	n, err := networks.Create(ctx, c.network, networks.CreateOpts{Name: "bench"}).Extract()
	check(err)
	_, err = subnets.Create(ctx, c.network, subnets.CreateOpts{NetworkID: n.ID, CIDR: "10.64.0.0/16", IPVersion: gophercloud.IPv4}).Extract()
	check(err)
	return n.ID
}

// project is the id of the project that is logged in to.
func (c *aCloud) project() string {
	result, ok := c.provider.GetAuthResult().(tokens.CreateResult)
	if !ok {
		check(fmt.Errorf("the login is no keystone v3 token"))
	}
	p, err := result.ExtractProject()
	check(err)
	return p.ID
}

// upload makes an image of what a reader gives.
func (c *aCloud) upload(name, format string, from *bytes.Reader) string {
	ctx := context.Background()
	img, err := images.Create(ctx, c.image, images.CreateOpts{Name: name, DiskFormat: format, ContainerFormat: "bare"}).Extract()
	check(err)
	check(imagedata.Upload(ctx, c.image, img.ID, from).ExtractErr())
	return img.ID
}
