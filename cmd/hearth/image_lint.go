package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"hearth/internal/disk/inspect"
)

// newImageLint is 'hearth image lint'.
func newImageLint() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "lint FILE", Short: "Say what an image lacks for a cloud; a problem is a failure", Args: cobra.ExactArgs(1),
		Long: "Say what an image lacks for a cloud: drivers of its kernels, names of modules that no kernel has,\n" +
			"serial console, growable root, DHCP client, clock, agent. The image is only read, as any user.\n" +
			"The exit code is not 0 if it has a problem; warnings are none.",
		RunE: func(cmd *cobra.Command, args []string) error {
			report, err := inspect.Image(cmd.Context(), imageRunner(0), args[0])
			if err != nil {
				return err
			}
			problems, shown := 0, []inspect.Check{}
			for _, c := range report.Checks {
				if c.Level == inspect.Problem {
					problems++
				}
				if c.Level != inspect.OK {
					shown = append(shown, c)
				}
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), shown)
			} else {
				for _, c := range shown {
					fmt.Fprintf(cmd.OutOrStdout(), "%-8s %s: %s\n", c.Level, c.Name, c.Text)
				}
			}
			if problems > 0 {
				return fmt.Errorf("%s has %s", args[0], numbered(problems, "problem"))
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "what was found, but for what is well, as JSON")
	return cmd
}
