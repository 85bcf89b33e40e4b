package main

import (
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hearth/internal/disk/mount"
)

// newMount is 'hearth image mount'.
func newMount() *cobra.Command {
	var opt mount.Options
	cmd := &cobra.Command{
		Use: "mount FILE DIR", Short: "Show the files of an image in a folder, until it is interrupted", Args: cobra.ExactArgs(2),
		Long: "Show the files of an image in a folder, for reading, as any user: its root file system with what\n" +
			"its fstab mounts from the same disk, or one partition. ext2, ext3 and ext4 are read, by hearth and\n" +
			"not by the kernel. A journal is replayed on an overlay: the image is not changed. It goes on until\n" +
			"it is interrupted, or 'hearth image umount DIR'. Needs /dev/fuse, and fusermount3 (Debian: fuse3).\n\n" +
			"With --rw files can be changed, in a raw or qcow2 image that nobody else has open: each is in the\n" +
			"image when it is closed. What is new belongs to root in the guest, until it is given to another.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			if err := mount.Possible(args[1]); err != nil { // before an image of another format is copied
				return err
			}
			opt.Image = args[0]
			opt.Tell = tellOn(cmd.ErrOrStderr())
			image, err := mount.Open(ctx, imageRunner(0), opt)
			if err != nil {
				return err
			}
			return errors.Join(image.Serve(ctx, args[1], func() {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is at %s; 'hearth image umount %s' or an interrupt ends it\n", args[0], args[1], args[1])
				switch {
				case image.Replayed && opt.Write:
					fmt.Fprintln(cmd.OutOrStdout(), "it was not unmounted in its guest: its journal was replayed")
				case image.Replayed:
					fmt.Fprintln(cmd.OutOrStdout(), "it was not unmounted in its guest: its journal was replayed on an overlay")
				}
			}), image.Close())
		},
	}
	cmd.Flags().IntVar(&opt.Partition, "partition", 0, "number of the only partition to show (default: the root file system and what belongs to it)")
	cmd.Flags().BoolVar(&opt.Write, "rw", false, "let files be changed")
	return cmd
}

// tellOn prints why a change in a mounted image failed.
func tellOn(out io.Writer) func(error) {
	return func(err error) { fmt.Fprintln(out, "warning:", err) }
}

// newUmount is 'hearth image umount'.
func newUmount() *cobra.Command {
	var lazy bool
	cmd := &cobra.Command{
		Use: "umount DIR", Short: "End a 'hearth image mount'", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return mount.Unmount(cmd.Context(), args[0], lazy) },
	}
	cmd.Flags().BoolVar(&lazy, "lazy", false, "even while somebody has files of it open")
	return cmd
}
