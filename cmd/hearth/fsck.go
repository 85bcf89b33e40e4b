package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newFsck is 'hearth fsck': nothing left over, nothing missing. It exits with 1
// when there are findings.
func newFsck(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "fsck", Short: "Look for anything left over or missing in the running cloud", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct{ Findings []string }
			if err := ask(cmd.Context(), cfg, "/findings", &answer); err != nil {
				return err
			}
			for _, f := range answer.Findings {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d findings\n", len(answer.Findings))
			if len(answer.Findings) > 0 {
				return exitCode(1)
			}
			return nil
		},
	}
}
