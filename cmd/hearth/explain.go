package main

import (
	"fmt"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/service/operate"
)

// newExplain is 'hearth explain server|image|port ID'.
func newExplain(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "explain server|image|port NAME-OR-ID", Short: "Show where everything of a server, image or port is: node, process, files, tap, rules, log, timeline",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var answer struct{ Explanation operate.Explanation }
			if err := ask(cmd.Context(), cfg, "/explain/"+url.PathEscape(args[0])+"/"+url.PathEscape(args[1]), &answer); err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, answer.Explanation.Title)
			for _, f := range answer.Explanation.Facts {
				fmt.Fprintf(w, "  %s\t%s\n", f.Topic, f.Value)
			}
			return w.Flush()
		},
	}
}
