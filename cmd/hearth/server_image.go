package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/config"
)

// newServerImage is 'hearth server image'.
func newServerImage(cfg *config.Config) *cobra.Command {
	var name string
	var prepare, wait bool
	create := &cobra.Command{
		Use: "create NAME-OR-ID", Short: "Make an image of a server's disk", Args: cobra.ExactArgs(1),
		Long: "Make an image of a server's disk. With --sysprep other servers can be made of it: it has no\n" +
			"host keys, machine-id, seeds, history, logs or leases of this one. Other clients get the same\n" +
			"with 'openstack server image create --property " + cloud.PropertySysprep + "=true'.",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := createImage(cmd.Context(), cfg, args[0], name, prepare, wait)
			if id != "" {
				fmt.Fprintln(cmd.OutOrStdout(), id)
			}
			return err
		},
	}
	create.Flags().StringVar(&name, "name", "", "name of the image; empty: the server's")
	create.Flags().BoolVar(&prepare, "sysprep", false, "take out what makes the disk this one server")
	create.Flags().BoolVar(&wait, "wait", false, "wait until the image is active")
	cmd := &cobra.Command{Use: "image", Short: "Images of servers"}
	cmd.AddCommand(create)
	return cmd
}

func createImage(ctx context.Context, cfg *config.Config, server, name string, prepare, wait bool) (string, error) {
	provider, err := dial(ctx, cfg)
	if err != nil {
		return "", err
	}
	endpoint := gophercloud.EndpointOpts{Region: cfg.Region}
	compute, err := openstack.NewComputeV2(provider, endpoint)
	if err != nil {
		return "", err
	}
	s, err := serverNamed(ctx, compute, server)
	if err != nil {
		return "", err
	}
	if name == "" {
		name = s.Name
	}
	opts := servers.CreateImageOpts{Name: name}
	if prepare {
		opts.Metadata = map[string]string{cloud.PropertySysprep: "true"}
	}
	id, err := servers.CreateImage(ctx, compute, s.ID, opts).ExtractImageID()
	if err != nil || !wait {
		return id, err
	}
	glance, err := openstack.NewImageV2(provider, endpoint)
	if err != nil {
		return id, err
	}
	return id, awaitImage(ctx, glance, id)
}

// awaitImage waits until an image has its bytes.
func awaitImage(ctx context.Context, glance *gophercloud.ServiceClient, id string) error {
	ask := time.NewTicker(500 * time.Millisecond)
	defer ask.Stop()
	for {
		image, err := images.Get(ctx, glance, id).Extract()
		switch {
		case err != nil:
			return err
		case image.Status == images.ImageStatusActive:
			return nil
		case image.Status == images.ImageStatusKilled || image.Status == "deleted":
			reason, _ := image.Properties[cloud.PropertySysprep+"_error"].(string)
			return errors.New("the image could not be made: " + reason)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ask.C:
		}
	}
}
