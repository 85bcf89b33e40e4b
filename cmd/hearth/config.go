package main

import (
	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newConfig is 'hearth config': the whole configuration in effect.
func newConfig(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "config", Short: "Print the whole configuration that is in effect, as its YAML file would say it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := cfg.YAML()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(body)
			return err
		},
	}
}
