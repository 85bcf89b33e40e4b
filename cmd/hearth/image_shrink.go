package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/disk"
	"hearth/internal/disk/resize"
)

// newShrink is 'hearth image shrink'.
func newShrink() *cobra.Command {
	var opt resize.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use: "shrink FILE", Short: "Make the disk in an image as small as what is on it, with its partitions", Args: cobra.ExactArgs(1),
		Long: "Make the disk in an image as small as what is on it: ext2, ext3, ext4, XFS, btrfs and f2fs are\n" +
			"checked and made small, the end of their partition or logical volume follows, what lies behind (swap)\n" +
			"moves, both tables of a GPT and the metadata of LVM are written, the rest is cut off. For bare\n" +
			"file systems, MBR, GPT and LVM, in every format that is read here, as any user. At most 5 % more\n" +
			"than what is used stays, but XFS has 300 MiB at least, btrfs 260 and f2fs 64. The image is replaced\n" +
			"when all is done, or OUT made; a failure leaves it as it was.",
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.Source = args[0]
			return shrinkImage(cmd, opt, asJSON)
		},
	}
	cmd.Flags().StringVarP(&opt.Target, "out", "o", "", "the file to be made, which must not exist (default: the image is replaced)")
	cmd.Flags().StringVar((*string)(&opt.Format), "to", "", "format of OUT: qcow2, raw, vmdk, vdi, vhd or vhdx (default: that of the image)")
	cmd.Flags().StringVar(&opt.Compress, "compress", "", "zstd or zlib: compress a qcow2 (default: as the image is)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "report as JSON")
	return cmd
}

// shrinkTo is 'hearth image convert --shrink'.
func shrinkTo(cmd *cobra.Command, source, out, to, compress string, asJSON bool) error {
	return shrinkImage(cmd, resize.Options{Source: source, Target: out, Format: disk.Format(to), Compress: compress}, asJSON)
}

func shrinkImage(cmd *cobra.Command, opt resize.Options, asJSON bool) error {
	w := cmd.ErrOrStderr()
	opt.Tell, opt.Progress = sayTo(w), stepProgress(w)
	r, err := resize.Shrink(cmd.Context(), toldRunner(w, 24*time.Hour), opt)
	return showResized(cmd.OutOrStdout(), r, "", asJSON, err)
}

func sayTo(w io.Writer) func(string) { return func(s string) { fmt.Fprintln(w, "  "+s) } }

// showResized prints what became of an image.
func showResized(w io.Writer, r *resize.Result, note string, asJSON bool, err error) error {
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(w, r)
	}
	fmt.Fprintf(w, "%s  %s, the disk has %d bytes now, before %d; the file takes %d\n", r.File, r.Format, r.Size, r.Was, r.Stored)
	for _, v := range r.Volumes {
		fmt.Fprintf(w, "  partition %-3d %-8s %d bytes", v.Partition, v.Content, v.Size)
		if v.Used > 0 {
			fmt.Fprintf(w, ", used %d", v.Used)
		}
		if v.Moved {
			fmt.Fprint(w, ", moved")
		}
		fmt.Fprintln(w)
	}
	if note != "" {
		fmt.Fprintf(w, "note: %s\n", note)
	}
	return nil
}
