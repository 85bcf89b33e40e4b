package main

import (
	"fmt"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/spf13/cobra"

	"hearth/internal/config"
)

// newRootToVolume is 'hearth server root-to-volume': an action of Hearth's own, for
// nova has none.
func newRootToVolume(cfg *config.Config) *cobra.Command {
	var size int
	var kind string
	var goes bool
	cmd := &cobra.Command{
		Use: "root-to-volume NAME-OR-ID", Short: "Make a volume of the root disk of a server that is off; it boots from that from then on", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			nova, err := computeClient(ctx, cfg)
			if err != nil {
				return err
			}
			server, err := serverNamed(ctx, nova, args[0])
			if err != nil {
				return err
			}
			var answer struct {
				To struct {
					Volume string `json:"volume_id"`
				} `json:"hearthRootToVolume"`
			}
			body := map[string]any{"hearthRootToVolume": map[string]any{"size": size, "volume_type": kind, "delete_on_termination": goes}}
			_, err = nova.Post(ctx, nova.ServiceURL("servers", server.ID, "action"), body, &answer, &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}}) //nolint:bodyclose // the answer is read and closed
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "the root disk of %s becomes the volume %s: the server's task root_to_volume says how long it takes\n", server.Name, answer.To.Volume)
			return nil
		},
	}
	cmd.Flags().IntVar(&size, "size", 0, "GB of the volume; 0: as the disk")
	cmd.Flags().StringVar(&kind, "type", "", "volume type; empty: the default")
	cmd.Flags().BoolVar(&goes, "delete-on-termination", false, "the volume is to be deleted with the server")
	return cmd
}
