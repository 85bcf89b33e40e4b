package main

import (
	"context"

	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"
)

// network measures the processor time of making a network and deleting it.
func (b bench) network() []figure {
	c := b.newCloud("fake")
	defer tidy()
	c.start()
	c.login()
	const times = 100
	return []figure{atMost("processor time of POST and DELETE of a network", 3, "ms", b.perCall(c, times, func() {
		n, err := networks.Create(context.Background(), c.network, networks.CreateOpts{Name: "n"}).Extract()
		check(err)
		check(networks.Delete(context.Background(), c.network, n.ID).ExtractErr())
	}))}
}

// perCall gives the processor time, in milliseconds, that the cloud takes for one
// call, for each run of many.
func (b bench) perCall(c *aCloud, times int, call func()) (values []float64) {
	call() // what is made once, is made
	for range b.runs {
		before := c.cpu()
		for range times {
			call()
		}
		values = append(values, (c.cpu()-before).Seconds()*1000/float64(times))
	}
	return values
}
