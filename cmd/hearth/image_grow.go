package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/resize"
)

// newGrow is 'hearth image grow'.
func newGrow() *cobra.Command {
	var opt resize.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use: "grow FILE SIZE", Short: "Make the disk in an image larger, with its last partition and file system", Args: cobra.ExactArgs(2),
		Long: "Make the disk in an image larger: SIZE is a number of bytes, or has K, M, G or T behind it\n" +
			"(powers of 1024), or + before it for so much more. The last file system of ext2, ext3, ext4, XFS,\n" +
			"btrfs or f2fs gets what is new, and its partition; of LVM, the logical volume with the root. Swap\n" +
			"behind it moves to the end. Other file systems are left to the guest, which is said. As any user,\n" +
			"without mounts.",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			w := cmd.ErrOrStderr()
			opt.Source, opt.Tell, opt.Progress = args[0], sayTo(w), stepProgress(w)
			if opt.Size, err = newSize(args[0], args[1]); err != nil {
				return err
			}
			r, note, err := resize.Grow(cmd.Context(), toldRunner(w, 24*time.Hour), opt)
			return showResized(cmd.OutOrStdout(), r, note, asJSON, err)
		},
	}
	cmd.Flags().StringVarP(&opt.Target, "out", "o", "", "the file to be made, which must not exist (default: the image itself is changed)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "report as JSON")
	return cmd
}

// newSize reads a size, in bytes: of itself, or more than the disk in an image has.
func newSize(path, text string) (int64, error) {
	number, more := strings.CutPrefix(text, "+")
	size, err := parseSize(number, 1)
	if err != nil || !more {
		return size, err
	}
	_, info, err := guestfs.Image(path)
	if err != nil {
		return 0, err
	}
	return info.VirtualSize + size, nil
}
