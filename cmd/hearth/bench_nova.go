package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/flavors"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/networks"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/service/operate"
)

// novaBench is a cloud of OpenStack's kind that is measured.
type novaBench struct {
	provider *gophercloud.ProviderClient
	compute  *gophercloud.ServiceClient
	like     servers.CreateOpts
}

// benchPoll is how often a server is asked for: its API has no event for clients.
const benchPoll = 50 * time.Millisecond

func newNova(ctx context.Context, cfg *config.Config, run benchRun) (*novaBench, error) {
	provider, err := dialAny(ctx, cfg)
	if err != nil {
		return nil, err
	}
	where := gophercloud.EndpointOpts{Region: regionOf(cfg)}
	n := &novaBench{provider: provider}
	if n.compute, err = openstack.NewComputeV2(provider, where); err != nil {
		return nil, err
	}
	glance, err := openstack.NewImageV2(provider, where)
	if err != nil {
		return nil, err
	}
	image, err := imageNamed(ctx, glance, run.image)
	if err != nil {
		return nil, err
	}
	n.like.ImageRef = image.ID
	if n.like.FlavorRef, err = flavorNamed(ctx, n.compute, run.flavor); err != nil || run.network == "" {
		return n, err
	}
	neutron, err := openstack.NewNetworkV2(provider, where)
	if err != nil {
		return nil, err
	}
	id, err := networkNamed(ctx, neutron, run.network)
	n.like.Networks = []servers.Network{{UUID: id}}
	return n, err
}

func flavorNamed(ctx context.Context, compute *gophercloud.ServiceClient, name string) (string, error) {
	pages, err := flavors.ListDetail(compute, flavors.ListOpts{AccessType: flavors.AllAccess}).AllPages(ctx)
	if err != nil {
		return "", err
	}
	list, err := flavors.ExtractFlavors(pages)
	if err != nil {
		return "", err
	}
	var found []flavors.Flavor
	for _, f := range list {
		switch name {
		case f.ID:
			return f.ID, nil
		case f.Name:
			found = append(found, f)
		}
	}
	flavor, err := the(found, "flavor", name, func(f flavors.Flavor) string { return f.ID })
	if err != nil {
		return "", err
	}
	return flavor.ID, nil
}

func networkNamed(ctx context.Context, neutron *gophercloud.ServiceClient, name string) (string, error) {
	if cloud.IsID(name) {
		if network, err := networks.Get(ctx, neutron, name).Extract(); err == nil {
			return network.ID, nil
		}
	}
	pages, err := networks.List(neutron, networks.ListOpts{Name: name}).AllPages(ctx)
	if err != nil {
		return "", err
	}
	list, err := networks.ExtractNetworks(pages)
	if err != nil {
		return "", err
	}
	network, err := the(list, "network", name, func(n networks.Network) string { return n.ID })
	if err != nil {
		return "", err
	}
	return network.ID, nil
}

// create implements benched.
func (n *novaBench) create(ctx context.Context, name string) (string, error) {
	opts := n.like
	opts.Name = name
	server, err := servers.Create(ctx, n.compute, opts, nil).Extract()
	if err != nil {
		return "", refusal(err)
	}
	return server.ID, nil
}

// active implements benched.
func (n *novaBench) active(ctx context.Context, id string) error {
	return each(ctx, benchPoll, func() (bool, error) {
		server, err := servers.Get(ctx, n.compute, id).Extract()
		if err != nil {
			return false, refusal(err)
		}
		if server.Status == "ERROR" {
			return false, fmt.Errorf("server %s is in ERROR: %s", id, server.Fault.Message)
		}
		return server.Status == "ACTIVE", nil
	})
}

// remove implements benched.
func (n *novaBench) remove(ctx context.Context, id string) error {
	err := servers.Delete(ctx, n.compute, id).ExtractErr()
	if err != nil && !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		return refusal(err)
	}
	return each(ctx, benchPoll, func() (bool, error) {
		_, err := servers.Get(ctx, n.compute, id).Extract()
		if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return true, nil
		}
		return false, refusal(err)
	})
}

// each asks until it is so.
func each(ctx context.Context, beat time.Duration, so func() (bool, error)) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// diskStep is a line of a server's timeline that is of its disk.
var diskStep = regexp.MustCompile(`(?:^|\s)(?:image|disk) +([0-9][^ ,]*)$`)

// disk implements benched: Hearth tells its operators, at a path beside its APIs.
func (n *novaBench) disk(ctx context.Context, id string) (time.Duration, bool) {
	base := strings.TrimSuffix(strings.TrimSuffix(n.provider.IdentityEndpoint, "/"), "/v3")
	var answer struct{ Explanation operate.Explanation }
	_, err := n.provider.Request(ctx, http.MethodGet, base+"/hearth/v1/explain/server/"+url.PathEscape(id), &gophercloud.RequestOpts{JSONResponse: &answer, OkCodes: []int{http.StatusOK}}) //nolint:bodyclose // JSONResponse has it read and closed
	if err != nil {
		return 0, false
	}
	var lines []string
	for _, f := range answer.Explanation.Facts {
		if f.Topic == "step" {
			lines = append(lines, f.Value)
		}
	}
	return diskTook(lines)
}

// diskTook sums the steps of a timeline that are of the disk.
func diskTook(lines []string) (sum time.Duration, told bool) {
	for _, line := range lines {
		found := diskStep.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			continue
		}
		if took, err := time.ParseDuration(found[1]); err == nil {
			sum, told = sum+took, true
		}
	}
	return sum, told
}
