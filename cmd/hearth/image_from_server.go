package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/volumeattach"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// promptly is how fast a system is expected to shut down when its power button is
// pressed.
const promptly = 30 * time.Second

// newImageFromServer is 'hearth image from-server': what was installed on a server's
// volume, or on its root disk, becomes an image with the bytes in it.
func newImageFromServer(cfg *config.Config) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "from-server NAME-OR-ID", Short: "Shut a server down and make an image of the disk that it boots from", Args: cobra.ExactArgs(1),
		Long: "Shuts a server down and makes an image of the disk that it boots from: of a volume too, of which nova's own images hold but a\n" +
			"snapshot. How fast the guest shuts down is looked at: one that does not mind its power button is told what it lacks.",
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := imageFromServer(cmd.Context(), cfg, args[0], name, cmd.ErrOrStderr())
			if id != "" {
				fmt.Fprintln(cmd.OutOrStdout(), id)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the image; empty: the server's")
	return cmd
}

func imageFromServer(ctx context.Context, cfg *config.Config, server, name string, say io.Writer) (string, error) {
	nova, err := computeClient(ctx, cfg)
	if err != nil {
		return "", err
	}
	s, err := serverNamed(ctx, nova, server)
	if err != nil {
		return "", err
	}
	if name == "" {
		name = s.Name
	}
	if err := shutDown(ctx, nova, s, say); err != nil {
		return "", err
	}
	volume, err := bootVolume(ctx, nova, s)
	if err != nil {
		return "", err
	}
	if volume == "" {
		return createImage(ctx, cfg, s.ID, name, false, true)
	}
	cinder, err := volumeClient(ctx, cfg)
	if err != nil {
		return "", err
	}
	glance, err := imageClient(ctx, cfg)
	if err != nil {
		return "", err
	}
	up, err := volumes.UploadImage(ctx, cinder, volume, volumes.UploadImageOpts{ImageName: name, DiskFormat: "raw", ContainerFormat: "bare", Force: true}).Extract()
	if err != nil {
		return "", refusal(err)
	}
	return up.ImageID, awaitImage(ctx, glance, up.ImageID)
}

// shutDown presses the power button of a server that runs, and waits.
func shutDown(ctx context.Context, nova *gophercloud.ServiceClient, s *servers.Server, say io.Writer) error {
	switch s.Status {
	case "SHUTOFF":
		return nil
	case "ACTIVE":
	default:
		return fmt.Errorf("server %s is %s: it is to be ACTIVE or SHUTOFF", s.Name, s.Status)
	}
	start := time.Now()
	if err := servers.Stop(ctx, nova, s.ID).ExtractErr(); err != nil {
		return refusal(err)
	}
	if err := awaitServer(ctx, nova, s.ID, "SHUTOFF"); err != nil {
		return err
	}
	took := time.Since(start)
	fmt.Fprintf(say, "  shut down in %.0f s\n", took.Seconds())
	if took > promptly {
		fmt.Fprintln(say, "  warning: that is long: a system that does not mind its power button (ACPI) is cut off when its time is up. Install acpid, or systemd-logind, in it.")
	}
	return nil
}

// bootVolume is the volume that a server boots from; "" for one with a disk of its
// own.
func bootVolume(ctx context.Context, nova *gophercloud.ServiceClient, s *servers.Server) (string, error) {
	if id, _ := s.Image["id"].(string); id != "" {
		return "", nil
	}
	pages, err := volumeattach.List(nova, s.ID).AllPages(ctx)
	if err != nil {
		return "", err
	}
	list, err := volumeattach.ExtractVolumeAttachments(pages)
	for _, at := range list {
		if at.Device == "/dev/vda" {
			return at.VolumeID, err
		}
	}
	if err == nil {
		err = errors.New("the server has neither an image nor a volume /dev/vda that it boots from")
	}
	return "", err
}

// imageOf finds an image by its id.
func imageOf(ctx context.Context, glance *gophercloud.ServiceClient, id string) (*images.Image, error) {
	image, err := images.Get(ctx, glance, id).Extract()
	if err != nil {
		return nil, refusal(err)
	}
	return image, nil
}
