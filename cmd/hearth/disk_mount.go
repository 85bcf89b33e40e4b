package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/disk/mount"
)

// newDisk is 'hearth disk'.
func newDisk(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "disk", Short: "Look at the disks of servers"}
	cmd.AddCommand(newDiskMount(cfg))
	return cmd
}

// newDiskMount is 'hearth disk mount'.
func newDiskMount(cfg *config.Config) *cobra.Command {
	var partition int
	cmd := &cobra.Command{
		Use: "mount SERVER [DIR]", Short: "Show the files of a server's disk in a folder, for reading, until it is interrupted", Args: cobra.RangeArgs(1, 2),
		Long: "Show the files of a server's disk in a folder, for reading, as any user, wherever the server is: as\n" +
			"they are now, in a copy. Of a stopped server that is its disk; of one that runs, what it would find\n" +
			"after a power cut, with the journal replayed. The copy is an image that the cloud makes and that is\n" +
			"fetched into the folder for temporary files (TMPDIR), and removed from the cloud then. Without DIR\n" +
			"a folder SERVER_root is made there. Needs what 'hearth image mount' needs.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			dir := filepath.Join(os.TempDir(), filepath.Base(args[0])+"_root")
			if len(args) > 1 {
				dir = args[1]
			} else if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			} else {
				defer func() { err = errors.Join(err, os.Remove(dir)) }()
			}
			work, err := os.MkdirTemp("", "hearth-disk-mount-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(work)
			copied := filepath.Join(work, "disk")
			if err := fetchDisk(ctx, cmd.ErrOrStderr(), cfg, args[0], copied); err != nil {
				return err
			}
			image, err := mount.Open(ctx, &disk.Runner{}, mount.Options{Image: copied, Partition: partition})
			if err != nil {
				return err
			}
			defer image.Close()
			return image.Serve(ctx, dir, func() {
				fmt.Fprintf(cmd.OutOrStdout(), "the disk of %s is at %s; 'hearth image umount %s' or an interrupt ends it\n", args[0], dir, dir)
			})
		},
	}
	cmd.Flags().IntVar(&partition, "partition", 0, "number of the only partition to show (default: the root file system and what belongs to it)")
	return cmd
}

// fetchDisk has the cloud copy a server's disk and fetches the copy, which the cloud
// keeps no longer.
func fetchDisk(ctx context.Context, say io.Writer, cfg *config.Config, server, path string) (err error) {
	fmt.Fprintln(say, "  the cloud copies the disk")
	id, err := createImage(ctx, cfg, server, "disk of "+server+" for hearth disk mount", false, true)
	if id == "" {
		return err
	}
	glance, failed := imageClient(context.WithoutCancel(ctx), cfg)
	if failed != nil {
		return errors.Join(err, failed)
	}
	defer func() {
		err = errors.Join(err, refusal(images.Delete(context.WithoutCancel(ctx), glance, id).ExtractErr()))
	}()
	if err != nil {
		return err
	}
	image, err := images.Get(ctx, glance, id).Extract()
	if err != nil {
		return refusal(err)
	}
	if image.SizeBytes == 0 {
		return fmt.Errorf("server %s boots from a volume: its image has no disk in it. Make a snapshot of the volume, an image of that, and mount it by 'hearth image mount'", server)
	}
	fmt.Fprintf(say, "  fetch %d bytes\n", image.SizeBytes)
	return uploader{ctx: ctx, glance: glance, progress: say}.download(id, path)
}
