package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/disk"
	"hearth/internal/disk/convert"
)

// newConvert is 'hearth image convert'.
func newConvert() *cobra.Command {
	var to, out, compress string
	var gib, limit float64
	var asJSON, shrink bool
	cmd := &cobra.Command{
		Use: "convert FILE --to qcow2|raw|vmdk|vdi|vhd|vhdx|ami|tar|tar.gz|tar.zst|dump|ganeti|ganeti-disk", Short: "Make of an image one of another form", Args: cobra.ExactArgs(1),
		Long: "Make of an image one of another form, as any user; the image itself is only read, and its\n" +
			"format is what its bytes say. What is made gets its name when it is whole.\n\n" +
			"'--to ami' takes a disk with an ext root file system apart into OUT.vmlinuz and OUT.initrd,\n" +
			"which its boot loader starts by default, and OUT.ext4, its root as small as it gets: what\n" +
			"'hearth image import-ami' uploads. A vmdk is made streamOptimized, a vhd dynamic.\n\n" +
			"By way of the file tree: a disk becomes an archive (tar, tar.gz, tar.zst) of all that its\n" +
			"/etc/fstab mounts of it, a pair of dumps (OUT-boot.dump, OUT-root.dump, as dump -0 -z writes\n" +
			"them) or Ganeti's export (a tar of these, or of\n" +
			"the disk as it is: ganeti-disk); an archive, a pair (NAME-root.dump) or an export\n" +
			"becomes each of these too, or a disk of one ext4 partition that boots from GRUB, or an AMI. So\n" +
			"does NAME.ext4 of an AMI with NAME.vmlinuz and NAME.initrd beside it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			run, source := &disk.Runner{Timeout: 24 * time.Hour}, args[0]
			files, err := byTree(source, to)
			if err != nil {
				return err
			}
			if files {
				return convertTree(cmd, convert.TreeOptions{Source: source, Target: out, To: to, Compress: compress, Size: int64(gib * (1 << 30)), Limits: filesWithin(limit)}, asJSON)
			}
			if out == "" {
				out = strings.TrimSuffix(source, filepath.Ext(source))
				if to != "ami" {
					out += "." + to
				}
			}
			if to == "ami" {
				made, err := convert.AMI(cmd.Context(), run, source, out)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), made)
				}
				printAMI(cmd.OutOrStdout(), made)
				return nil
			}
			if shrink {
				return shrinkTo(cmd, source, out, to, compress, asJSON)
			}
			made, err := convert.Disk(cmd.Context(), run, convert.Options{Source: source, Target: out, Format: disk.Format(to), Compress: compress, Progress: showProgress(cmd.ErrOrStderr(), filepath.Base(out))})
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), made)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s of %d bytes, from %s\n", made.File, made.Format, made.VirtualSize, made.From)
			return nil
		},
	}
	cmd.Flags().StringVar(&to, "to", "qcow2", "what is made")
	cmd.Flags().StringVarP(&out, "out", "o", "", "the file to be made, or for an AMI the beginning of the files' names; it must not exist (default: the image's name with the ending of the format)")
	cmd.Flags().BoolVar(&shrink, "shrink", false, "make the disk as small as what is on it, as 'hearth image shrink' does; an AMI's root always is")
	cmd.Flags().StringVar(&compress, "compress", "", "zstd or zlib: compress a qcow2; zlib or none: a dump")
	cmd.Flags().Float64Var(&gib, "size", 0, "size of a disk that is made of files, in GiB (default: what they need and a third)")
	cmd.Flags().Float64Var(&limit, "limit", 64, "of a source that holds files: refuse more than so many GiB of them")
	cmd.Flags().BoolVar(&asJSON, "json", false, "report as JSON")
	return cmd
}

func printAMI(w io.Writer, r *convert.AMIResult) {
	fmt.Fprintf(w, "kernel    %s  (%s)\nramdisk   %s\nroot      %s  (%d bytes)\nboot with os_command_line=%q\n", r.Kernel, r.Version, r.Ramdisk, r.Root, r.RootSize, r.CommandLine)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}

// showProgress says every few seconds how far a long work is, and at what rate.
func showProgress(w io.Writer, name string) func(convert.Progress) {
	told := time.Now()
	return func(p convert.Progress) {
		if now := time.Now(); now.Sub(told) > 2*time.Second && p.Total > 0 {
			told = now
			fmt.Fprintf(w, "  %s: %d %%, %.1f MiB/s, %s left\n", name, 100*p.Done/p.Total, p.Rate/(1<<20), p.Left.Round(time.Second))
		}
	}
}
