package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/config"
)

// newVolume is 'hearth volume': what people ask of volumes beyond cinder.
func newVolume(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "volume", Short: "Make volumes with file systems, import disks, look where volumes are, try storage backends"}
	cmd.AddCommand(newVolumeCreate(cfg), newVolumeImport(cfg), newDriverTest(cfg), &cobra.Command{
		Use: "where NAME-OR-ID", Short: "Show where a volume is: node, path, real bytes, who uses it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return explain(cmd, cfg, "volume", args[0]) },
	})
	return cmd
}

// newVolumeCreate is 'hearth volume create': cinder's, with words for a file system,
// which go as metadata that any other client can give too.
func newVolumeCreate(cfg *config.Config) *cobra.Command {
	var size int
	var kind, fs, label, mount string
	cmd := &cobra.Command{
		Use: "create --size GB [--fs ext4 [--label LABEL]] [--mount PATH] NAME", Short: "Make a blank volume, formatted if so asked, that guests mount by themselves", Args: cobra.ExactArgs(1),
		Long: "Makes a blank volume. With --fs it is formatted by the cloud, and with --mount guests mount it there: those with cloud-init when they\n" +
			"boot, those with Hearth's own agent when it is attached too. Other clients ask for the same by metadata:\n" +
			"  openstack volume create --size 1 --property hearth:fs=ext4 --property hearth:mount=/data NAME",
		RunE: func(cmd *cobra.Command, args []string) error {
			metadata := map[string]string{}
			for key, value := range map[string]string{cloud.VolumeFS: fs, cloud.VolumeLabel: label, cloud.VolumeMount: mount} {
				if value != "" {
					metadata[key] = value
				}
			}
			if _, err := cloud.ParseVolumeFileSystem(metadata); err != nil {
				return err
			}
			client, err := volumeClient(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			v, err := volumes.Create(cmd.Context(), client, volumes.CreateOpts{Name: args[0], Size: size, VolumeType: kind, Metadata: metadata}, nil).Extract()
			if err == nil {
				err = awaitVolume(cmd.Context(), client, v.ID)
			}
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), v.ID)
			}
			return err
		},
	}
	cmd.Flags().IntVar(&size, "size", 1, "size in GiB")
	cmd.Flags().StringVar(&kind, "type", "", "volume type; empty for the default")
	cmd.Flags().StringVar(&fs, "fs", "", "file system to make on it: ext4; empty for none")
	cmd.Flags().StringVar(&label, "label", "", "label of the file system; empty: the last part of --mount, or data")
	cmd.Flags().StringVar(&mount, "mount", "", "where guests mount it, such as /data; empty for nowhere")
	return cmd
}

func volumeClient(ctx context.Context, cfg *config.Config) (*gophercloud.ServiceClient, error) {
	provider, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return openstack.NewBlockStorageV3(provider, gophercloud.EndpointOpts{Region: cfg.Region})
}

// volumePoll is how often a volume in the making is asked for: cinder has no way of
// waiting.
const volumePoll = 200 * time.Millisecond

// awaitVolume returns when a volume is there, or cannot be made.
func awaitVolume(ctx context.Context, client *gophercloud.ServiceClient, id string) error {
	tick := time.NewTicker(volumePoll)
	defer tick.Stop()
	for {
		v, err := volumes.Get(ctx, client, id).Extract()
		switch {
		case err != nil:
			return err
		case v.Status == "available":
			return nil
		case v.Status != "creating" && v.Status != "downloading":
			return fmt.Errorf("volume %s is %s: 'hearth explain volume %s' says why", id, v.Status, id)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
