package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"hearth/internal/cloud"
	"hearth/internal/config"
)

// dial logs in to the running cloud as its local operator.
func dial(ctx context.Context, cfg *config.Config) (*gophercloud.ProviderClient, error) {
	op, err := readOperator(cfg.Paths())
	if err != nil {
		return nil, err
	}
	client, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: baseURL(cfg) + "/v3", Username: op.User, DomainID: cloud.DefaultDomainID, Password: op.Password, TenantName: op.Project, AllowReauth: true,
	})
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("no cloud answers at %s: start it with 'hearth up'", baseURL(cfg))
	}
	return client, err
}

// ask gets a path of Hearth's own API of the running cloud.
func ask(ctx context.Context, cfg *config.Config, path string, answer any) error {
	client, err := dial(ctx, cfg)
	if err != nil {
		return err
	}
	_, err = client.Request(ctx, http.MethodGet, baseURL(cfg)+"/hearth/v1"+path, &gophercloud.RequestOpts{JSONResponse: answer, OkCodes: []int{200}}) //nolint:bodyclose // JSONResponse has it read and closed
	var unexpected gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &unexpected) {
		return fmt.Errorf("%s", faultMessage(unexpected.Body))
	}
	return err
}

// pollEvery is how often a listener that is not there yet is tried: nothing can
// tell when a port of another process opens.
const pollEvery = 20 * time.Millisecond

// waitReady returns when every part of the cloud is up.
func waitReady(ctx context.Context, cfg *config.Config) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for lacks := "no cloud answers there: start it with 'hearth up', whose log says more"; ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL(cfg)+"/hearth/v1/ready?wait=5s", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			unready := partsMissing(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			lacks = cmp.Or(unready, resp.Status) + "; its log says why"
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cloud at %s is not ready (%w): %s", baseURL(cfg), ctx.Err(), lacks)
		case <-tick.C:
		}
	}
}

// partsMissing names the parts that an answer of /ready says are not up, or nothing where it says no such thing.
func partsMissing(answer io.Reader) string {
	var said struct{ Parts map[string]bool }
	if json.NewDecoder(io.LimitReader(answer, 1<<16)).Decode(&said) != nil {
		return ""
	}
	var lacks []string
	for part, up := range said.Parts {
		if !up {
			lacks = append(lacks, part)
		}
	}
	if lacks == nil {
		return ""
	}
	slices.Sort(lacks)
	return "it answers, but what is not up yet is " + strings.Join(lacks, ", ")
}
