package main

import (
	"fmt"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/service/operate"
)

// newExplain is 'hearth explain KIND ID'.
func newExplain(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "explain server|volume|snapshot|image|port|flavor NAME-OR-ID", Short: "Show where everything of a server, volume, image or port is: node, process, files, tap, rules, log, timeline",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return explain(cmd, cfg, args[0], args[1]) },
	}
}

// explain prints the page about a thing.
func explain(cmd *cobra.Command, cfg *config.Config, kind, id string) error {
	var answer struct{ Explanation operate.Explanation }
	if err := ask(cmd.Context(), cfg, "/explain/"+url.PathEscape(kind)+"/"+url.PathEscape(id), &answer); err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, answer.Explanation.Title)
	for _, f := range answer.Explanation.Facts {
		fmt.Fprintf(w, "  %s\t%s\n", f.Topic, f.Value)
	}
	return w.Flush()
}

// newFlavors is 'hearth flavors': the sizes, and how many of each still fit.
func newFlavors(cfg *config.Config) *cobra.Command {
	return &cobra.Command{
		Use: "flavors", Short: "List the flavors with how many more servers of each fit, and why no more", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer struct{ Fits []operate.Fit }
			if err := ask(cmd.Context(), cfg, "/fits", &answer); err != nil {
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tVCPUS\tMEMORY\tROOT DISK\tFITS\tTHEN")
			for _, f := range answer.Fits {
				root := "the image's"
				if f.Flavor.RootGB > 0 {
					root = fmt.Sprintf("%d GiB", f.Flavor.RootGB)
				}
				fmt.Fprintf(w, "%s\t%d\t%d MiB\t%s\t%d\t%s\n", f.Flavor.Name, f.Flavor.VCPUs, f.Flavor.MemoryMB, root, f.Count, f.Reason)
			}
			return w.Flush()
		},
	}
}
