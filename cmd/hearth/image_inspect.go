package main

import (
	"github.com/spf13/cobra"

	"hearth/internal/disk/inspect"
)

// newInspect is 'hearth image inspect'.
func newInspect() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "inspect FILE", Short: "Say what an image is, and what it lacks for a cloud", Args: cobra.ExactArgs(1),
		Long: "Say what an image is: its format (from its bytes), partitions, file systems, the system in it,\n" +
			"kernels, boot loader; and what it lacks for a cloud. The image is only read, as any user. Of a\n" +
			"vmdk, vdi, vhd or vhdx a copy is made meanwhile in the folder for temporary files (TMPDIR).",
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := inspect.Image(cmd.Context(), imageRunner(0), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), report)
			}
			inspect.Write(cmd.OutOrStdout(), report)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "report as JSON")
	return cmd
}
