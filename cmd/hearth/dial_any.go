package main

import (
	"cmp"
	"context"
	"os"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"

	"hearth/internal/config"
)

// dialAny logs in to the cloud that the OS_ variables name, whichever it is, and
// without them to the one of this machine as its operator.
func dialAny(ctx context.Context, cfg *config.Config) (*gophercloud.ProviderClient, error) {
	if os.Getenv("OS_AUTH_URL") == "" {
		return dial(ctx, cfg)
	}
	client, err := openstack.AuthenticatedClient(ctx, oldLogin(os.Getenv))
	return client, refusal(err)
}

// regionOf is the region to work in.
func regionOf(cfg *config.Config) string {
	if os.Getenv("OS_AUTH_URL") == "" {
		return cfg.Region
	}
	return cmp.Or(os.Getenv("OS_REGION_NAME"), cfg.Region)
}
