package main

import (
	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newVolume is 'hearth volume': what operators ask of volumes beyond cinder.
func newVolume(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "volume", Short: "Look into volumes"}
	cmd.AddCommand(newDriverTest(cfg), &cobra.Command{
		Use: "where NAME-OR-ID", Short: "Show where a volume is: node, path, real bytes, who uses it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return explain(cmd, cfg, "volume", args[0]) },
	})
	return cmd
}
