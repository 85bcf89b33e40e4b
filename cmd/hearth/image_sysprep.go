package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"hearth/internal/disk"
	"hearth/internal/disk/guestfs"
	"hearth/internal/disk/sysprep"
)

// newSysprep is 'hearth image sysprep'.
func newSysprep() *cobra.Command {
	var opt sysprep.Options
	var list, asJSON bool
	cmd := &cobra.Command{
		Use: "sysprep FILE", Short: "Take out of an image what makes it one guest: host keys, machine-id, seeds, history, logs, leases",
		Long: "Take out of an image what makes it one guest, so that many can boot from it. The image is\n" +
			"changed in place, without mounting it, as any user. ext2, ext3 and ext4 are changed, XFS, btrfs and f2fs by\n" +
			"a small guest of Hearth's own; other file systems are left alone, and named. Nobody else may use the image meanwhile.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				for _, s := range sysprep.Steps() {
					fmt.Fprintf(cmd.OutOrStdout(), "%-16s %-3s %s\n", s.Name, map[bool]string{true: "on", false: "off"}[s.Default], s.What)
				}
				return nil
			}
			if len(args) != 1 {
				return fmt.Errorf("say which image: hearth image sysprep FILE")
			}
			report, err := sysprepFile(cmd.Context(), args[0], opt)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			printSysprep(cmd.OutOrStdout(), report)
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&opt.Only, "only", nil, "do these steps and no others")
	cmd.Flags().StringSliceVar(&opt.Also, "also", nil, "do these steps besides, such as authorized-keys")
	cmd.Flags().StringSliceVar(&opt.Not, "without", nil, "leave these steps out")
	cmd.Flags().BoolVar(&opt.DryRun, "dry-run", false, "only list what would be done")
	cmd.Flags().BoolVar(&list, "list", false, "list all steps and whether they are done by default")
	cmd.Flags().BoolVar(&asJSON, "json", false, "report as JSON")
	return cmd
}

// sysprepFile prepares the image in a file.
func sysprepFile(ctx context.Context, path string, opt sysprep.Options) (*sysprep.Report, error) {
	if opt.DryRun {
		layer, err := guestfs.ToChange(path)
		if err != nil {
			return nil, err
		}
		return sysprep.Image(ctx, imageRunner(0), layer, opt)
	}
	layer, held, err := guestfs.HoldToChange(path)
	if err != nil {
		return nil, err
	}
	defer held.Close()
	return sysprep.Image(ctx, imageRunner(0), layer, opt)
}

// prepareDisk is what the housekeeper does to the disk of an image that is made of
// a server.
func prepareDisk(ctx context.Context, path string) error {
	_, err := sysprep.Image(ctx, imageRunner(0), disk.Layer{Path: path, Format: disk.Raw}, sysprep.Options{})
	return err
}

func printSysprep(w io.Writer, r *sysprep.Report) {
	verb := map[bool]string{false: "", true: "would have "}[r.DryRun]
	fmt.Fprintf(w, "%s\n", r.System)
	for _, s := range r.Steps {
		if n := len(s.Removed) + len(s.Emptied) + len(s.Added); n == 0 {
			fmt.Fprintf(w, "  %-16s nothing to do\n", s.Name)
			continue
		}
		fmt.Fprintf(w, "  %-16s %s\n", s.Name, s.What)
		for _, part := range []struct {
			how   string
			names []string
		}{{"removed", s.Removed}, {"emptied", s.Emptied}, {"added", s.Added}} {
			for _, name := range slices.Sorted(slices.Values(part.names)) {
				fmt.Fprintf(w, "    %s%s %s\n", verb, part.how, name)
			}
		}
	}
	for _, text := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", text)
	}
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
