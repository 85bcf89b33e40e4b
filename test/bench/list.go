package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// list measures the processor time of lists of servers while there are 1,000.
func (b bench) list() (out []figure) {
	c := b.newCloud("fake")
	defer tidy()
	c.start()
	c.login()
	last := c.fill(1000)
	for _, get := range []struct {
		what, path string
		times      int
		goal       float64 // ms; 0 for none
	}{
		{"GET of 1 server", "/servers/" + last, 500, 0},
		{"GET of 100 servers, detailed", "/servers/detail?limit=100", 50, 0},
		{"GET of 1,000 servers, detailed", "/servers/detail?limit=1000", 20, 12},
		{"GET of 1,000 servers, names only", "/servers?limit=1000", 20, 0},
	} {
		values := b.perCall(c, get.times, func() { c.get(get.path) })
		if get.goal > 0 {
			out = append(out, atMost("processor time of a "+get.what, get.goal, "ms", values))
			continue
		}
		out = append(out, plain("processor time of a "+get.what, "ms", values))
	}
	return append(out, plain("memory with 1,000 servers, PSS", "MiB", []float64{c.pss()}))
}

// fill makes servers, many in a request, and gives the id of one when all are
// ACTIVE.
func (c *aCloud) fill(all int) (last string) {
	const batch = 50
	image, network := c.blankImage(), c.ownNetwork()
	for range all / batch {
		_, err := servers.Create(context.Background(), c.compute, servers.CreateOpts{
			Name: "s", ImageRef: image, FlavorRef: "42", Networks: []servers.Network{{UUID: network}}, Min: batch, Max: batch,
		}, nil).Extract()
		check(err)
	}
	for building := true; building; <-time.NewTimer(rest).C {
		pages, err := servers.List(c.compute, servers.ListOpts{Status: "BUILD", Limit: 1}).AllPages(context.Background())
		check(err)
		empty, err := pages.IsEmpty()
		check(err)
		building = !empty
	}
	c.awaitAll(func(found []servers.Server) bool {
		for _, s := range found {
			if last = s.ID; s.Status != "ACTIVE" {
				return false
			}
		}
		return len(found) == all
	})
	return last
}

// get reads an answer of the compute API to its end.
func (c *aCloud) get(path string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+c.listen+"/compute/v2.1"+path, nil)
	check(err)
	req.Header.Set("X-Auth-Token", c.provider.Token())
	resp, err := http.DefaultClient.Do(req)
	check(err)
	_, err = io.Copy(io.Discard, resp.Body)
	check(err)
	check(resp.Body.Close())
	if resp.StatusCode != http.StatusOK {
		check(fmt.Errorf("GET %s: %s", path, resp.Status))
	}
}
