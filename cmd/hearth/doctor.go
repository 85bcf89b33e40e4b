package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hearth/internal/agent/doctor"
	"hearth/internal/config"
)

// newDoctor is 'hearth doctor'. It exits with 1 when real guests cannot run and
// the driver is not the fake one.
func newDoctor(cfg *config.Config) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Name each thing that is missing or slow on this host, and the fix", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := doctor.Examine(cmd.Context(), doctor.Host{
				Root: "/", Path: os.Getenv("PATH"), EUID: os.Geteuid(), Data: cfg.Data, Listen: cfg.Listen,
				UIDBase: cfg.Compute.UIDBase, UIDCount: cfg.Compute.UIDCount, Probes: probes(cfg),
			})
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				if err := enc.Encode(map[string]any{"findings": findings}); err != nil {
					return err
				}
			} else if err := printFindings(cmd, findings); err != nil {
				return err
			}
			for _, f := range findings {
				if f.Grade == doctor.Missing && cfg.Driver != "fake" {
					return exitCode(1)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printFindings(cmd *cobra.Command, findings []doctor.Finding) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.Grade, f.Name, f.Detail)
		if f.Fix != "" {
			fmt.Fprintf(w, "\t\t→ %s\n", f.Fix)
		}
	}
	return w.Flush()
}
