package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// install is what 'hearth server create' is told.
type install struct {
	iso, flavor, network, key, group, kind, bus string
	size                                        int // GB
	copied, wait                                bool
	overNetwork
}

// newServerCreate is 'hearth server create': a server with an empty disk and an
// installer's CD-ROM, or one that starts an installer over the network. It is what every client can ask nova for by a block device
// mapping.
func newServerCreate(cfg *config.Config) *cobra.Command {
	var in install
	cmd := &cobra.Command{
		Use: "create (--iso IMAGE | --netboot URL) --disk GB --flavor FLAVOR NAME", Short: "Make a server with an empty disk that a CD-ROM or the network installs", Args: cobra.ExactArgs(1),
		Long: "Makes a server that boots from an empty volume and has an image as CD-ROM. As long as the volume is empty the firmware goes on\n" +
			"to the CD-ROM; once something is installed, every start is from the volume. The volume stays when the server is deleted.\n" +
			"With --netboot the CD-ROM has iPXE alone, which gets the server an address and starts what the URL names: the installer comes over\n" +
			"the server's own network, and the machine on which this runs need not reach it.\n" +
			"'hearth image from-server NAME' makes an image of what was installed. Other clients ask for the same by\n" +
			"  openstack server create --flavor FLAVOR --volume EMPTY-BUT-THERE \\\n" +
			"    --block-device uuid=IMAGE,source_type=image,destination_type=volume,volume_size=1,device_type=cdrom,boot_index=1 NAME",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if in.URL != "" {
				if in.iso, err = in.image(cmd.Context(), cfg, cmd.ErrOrStderr()); err != nil {
					return err
				}
			}
			id, err := in.create(cmd.Context(), cfg, args[0])
			if id != "" {
				fmt.Fprintln(cmd.OutOrStdout(), id)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&in.iso, "iso", "", "image to install from, by its id or name")
	cmd.Flags().IntVar(&in.size, "disk", 10, "GB of the volume that it is installed on")
	cmd.Flags().StringVar(&in.flavor, "flavor", "", "flavor, by its id or name; its root disk counts nothing")
	cmd.Flags().StringVar(&in.network, "network", "", "network, by its id or name; empty: what nova chooses")
	cmd.Flags().StringVar(&in.key, "key-name", "", "key pair")
	cmd.Flags().StringVar(&in.group, "security-group", "", "security group; empty: default")
	cmd.Flags().StringVar(&in.kind, "type", "", "volume type; empty for the default")
	cmd.Flags().StringVar(&in.bus, "cdrom-bus", "", "ide or scsi; empty: ide")
	cmd.Flags().BoolVar(&in.copied, "cdrom-volume", false, "make a volume of the image, which can be detached, instead of reading it where it lies")
	cmd.Flags().BoolVar(&in.wait, "wait", false, "wait until the server runs")
	in.flags(cmd)
	cmd.MarkFlagsOneRequired("iso", "netboot")
	cmd.MarkFlagsMutuallyExclusive("iso", "netboot")
	_ = cmd.MarkFlagRequired("flavor")
	return cmd
}

func (in install) create(ctx context.Context, cfg *config.Config, name string) (string, error) {
	nova, err := computeClient(ctx, cfg)
	if err != nil {
		return "", err
	}
	if err := in.resolve(ctx, cfg, nova); err != nil {
		return "", err
	}
	cd := map[string]any{"source_type": "image", "destination_type": "local", "uuid": in.iso, "device_type": "cdrom", "boot_index": 1, "delete_on_termination": true}
	if in.bus != "" {
		cd["disk_bus"] = in.bus
	}
	if in.copied {
		if cd["volume_size"], err = in.isoSize(ctx, cfg); err != nil {
			return "", err
		}
		cd["destination_type"] = "volume"
	}
	root := map[string]any{"source_type": "blank", "destination_type": "volume", "volume_size": in.size, "boot_index": 0}
	if in.kind != "" {
		nova.Microversion = "2.67" // from which on a device says its volume's type
		root["volume_type"] = in.kind
	}
	server := map[string]any{"name": name, "flavorRef": in.flavor, "block_device_mapping_v2": []any{root, cd}}
	if in.network != "" {
		server["networks"] = []any{map[string]any{"uuid": in.network}}
	}
	if in.key != "" {
		server["key_name"] = in.key
	}
	if in.group != "" {
		server["security_groups"] = []any{map[string]any{"name": in.group}}
	}
	var answer struct {
		Server struct {
			ID string `json:"id"`
		} `json:"server"`
	}
	_, err = nova.Post(ctx, nova.ServiceURL("servers"), map[string]any{"server": server}, &answer, &gophercloud.RequestOpts{OkCodes: []int{202}}) //nolint:bodyclose // the answer is read and closed
	if err != nil {
		return "", refusal(err)
	}
	if in.wait {
		err = awaitServer(ctx, nova, answer.Server.ID, "ACTIVE")
	}
	return answer.Server.ID, err
}

// resolve puts ids where names were given.
func (in *install) resolve(ctx context.Context, cfg *config.Config, nova *gophercloud.ServiceClient) error {
	where := gophercloud.EndpointOpts{Region: cfg.Region}
	glance, err := openstack.NewImageV2(nova.ProviderClient, where)
	if err != nil {
		return err
	}
	image, err := imageNamed(ctx, glance, in.iso)
	if err != nil {
		return err
	}
	in.iso = image.ID
	if in.flavor, err = flavorNamed(ctx, nova, in.flavor); err != nil || in.network == "" {
		return err
	}
	neutron, err := openstack.NewNetworkV2(nova.ProviderClient, where)
	if err == nil {
		in.network, err = networkNamed(ctx, neutron, in.network)
	}
	return err
}

// isoSize is how many GB a volume needs for the image.
func (in install) isoSize(ctx context.Context, cfg *config.Config) (int, error) {
	glance, err := imageClient(ctx, cfg)
	if err != nil {
		return 0, err
	}
	image, err := imageOf(ctx, glance, in.iso)
	if err != nil {
		return 0, err
	}
	return max(1, int((image.SizeBytes+1<<30-1)>>30)), nil
}

// awaitServer waits for a server's status.
func awaitServer(ctx context.Context, nova *gophercloud.ServiceClient, id, want string) error {
	ask := time.NewTicker(500 * time.Millisecond)
	defer ask.Stop()
	for {
		server, err := servers.Get(ctx, nova, id).Extract()
		switch {
		case err != nil:
			return err
		case server.Status == want:
			return nil
		case server.Status == "ERROR":
			return errors.New("the server is in ERROR: " + server.Fault.Message)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ask.C:
		}
	}
}
