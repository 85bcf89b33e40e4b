package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

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
		Long: "Show the files of a server's disk in a folder, for reading, as any user of its project, wherever the server is: as\n" +
			"they are now, in a copy. Of a stopped server that is its disk; of one that runs, what it would find\n" +
			"after a power cut, with the journal replayed. The copy is an image that the cloud makes and that is\n" +
			"fetched into the folder for temporary files (TMPDIR), and removed from the cloud then. Without DIR\n" +
			"a folder SERVER_root is made there. Needs what 'hearth image mount' needs. 'mount-disks SERVER' is the\n" +
			"same at /tmp/SERVER_root, without waiting there, and 'umount-disks SERVER' its end: see 'hearth old-names'.",
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
			at, err := reachCloud(ctx, cfg)
			if err != nil {
				return err
			}
			if err := at.fetch(ctx, args[0], copied, true, cmd.ErrOrStderr()); err != nil {
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
