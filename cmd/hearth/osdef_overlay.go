package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"hearth/internal/disk/deploy"
	"hearth/internal/disk/osdef"
	"hearth/internal/disk/tarball"
	"hearth/internal/disk/tree"
)

// newOSDefOverlay is 'hearth os-def overlay'.
func newOSDefOverlay(in func() osdef.Dir) *cobra.Command {
	cmd := &cobra.Command{Use: "overlay", Short: "Keep overlays, files that definitions put into guests, with their versions"}
	cmd.AddCommand(&cobra.Command{
		Use: "put NAME FOLDER|ARCHIVE", Short: "Keep a folder or an archive as the next version of an overlay", Args: cobra.ExactArgs(2),
		Long: "Keep a folder or an archive as the next version of an overlay, which definitions name by OVERLAY=NAME\n" +
			"or OVERLAY=NAME@VERSION. A file whose name ends in .hearth-template is filled for each instance:\n\n" +
			"  {{.Name}} {{.Hostname}} {{.Domain}} {{.Settings.DNS_SERVERS}} {{range .NICs}}{{.MAC}} {{.Addresses}}{{end}}",
		RunE: func(cmd *cobra.Command, args []string) error {
			st, err := os.Stat(args[1])
			if err != nil {
				return err
			}
			var from tree.Source = deploy.Folder(args[1])
			if !st.IsDir() {
				from = tarball.File(args[1])
			}
			ref, err := in().PutOverlay(cmd.Context(), args[0], from)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), ref)
			return nil
		},
	}, &cobra.Command{
		Use: "list", Short: "List the overlays with their versions", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			names, err := in().Overlays()
			if err != nil {
				return err
			}
			for _, name := range names {
				versions, err := in().OverlayVersions(name)
				if err != nil {
					return err
				}
				for _, v := range versions {
					fmt.Fprintf(cmd.OutOrStdout(), "%s@%d\n", name, v)
				}
			}
			return nil
		},
	})
	return cmd
}
