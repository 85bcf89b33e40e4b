package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// list measures the processor time of a GET of 1, 100 and 1,000 servers, with
// all their details, while there are 1,000.
func (b bench) list() (out []figure) {
	c := b.newCloud("fake")
	defer tidy()
	c.start()
	c.login()
	image, network := c.blankImage(), c.ownNetwork()
	const all = 1000
	for i := range all {
		_, err := servers.Create(context.Background(), c.compute, servers.CreateOpts{Name: fmt.Sprint("s", i), ImageRef: image, FlavorRef: "42", Networks: []servers.Network{{UUID: network}}}, nil).Extract()
		check(err)
	}
	var last string
	c.awaitAll(func(found []servers.Server) bool {
		for _, s := range found {
			if last = s.ID; s.Status != "ACTIVE" {
				return false
			}
		}
		return len(found) == all
	})
	for _, get := range []struct {
		what, path string
		times      int
	}{{"GET of 1 server", "/servers/" + last, 500}, {"GET of 100 servers, detailed", "/servers/detail?limit=100", 50}, {"GET of 1,000 servers, detailed", "/servers/detail?limit=1000", 10}} {
		var values []float64
		for range b.runs {
			before := c.cpu()
			for range get.times {
				c.get(get.path)
			}
			values = append(values, (c.cpu()-before).Seconds()*1000/float64(get.times))
		}
		out = append(out, plain("processor time of a "+get.what, "ms", values))
	}
	return append(out, plain("memory with 1,000 servers, PSS", "MiB", []float64{c.pss()}))
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
