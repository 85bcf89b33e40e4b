package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"text/tabwriter"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/config"
)

// newTrash is 'hearth trash': the servers that were deleted and are kept for
// compute.reclaim_interval.
func newTrash(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "trash", Short: "List deleted servers that are still kept, bring them back, or end them"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List the servers in the trash, of all projects", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return listTrash(cmd, cfg) },
		},
		&cobra.Command{
			Use: "restore NAME-OR-ID…", Short: "Bring servers back with their disks, ports and volumes, and power them on", Args: cobra.MinimumNArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return eachTrashed(cmd, cfg, args, "restore", "restored")
			},
		},
		&cobra.Command{
			Use: "empty [NAME-OR-ID…]", Short: "End the servers named, or all in the trash, for good",
			RunE: func(cmd *cobra.Command, args []string) error {
				return eachTrashed(cmd, cfg, args, "forceDelete", "gone")
			},
		},
	)
	return cmd
}

// trashed is a server in the trash.
type trashed struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Project   string `json:"tenant_id"`
	KeptUntil string `json:"hearth:kept_until"`
}

// trash lists what is in it.
func trash(ctx context.Context, nova *gophercloud.ServiceClient) (list []trashed, err error) {
	pages, err := servers.List(nova, servers.ListOpts{AllTenants: true, Status: cloud.StatusTrashed}).AllPages(ctx)
	if err == nil {
		err = servers.ExtractServersInto(pages, &list)
	}
	return list, err
}

func listTrash(cmd *cobra.Command, cfg *config.Config) error {
	nova, err := computeClient(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	list, err := trash(cmd.Context(), nova)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		if cfg.Compute.ReclaimAfter == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "The trash is empty. Deleted servers are kept when compute.reclaim_interval is set, as in HEARTH_COMPUTE_RECLAIM_INTERVAL=168h.")
		}
		return nil
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tPROJECT\tKEPT UNTIL")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", s.ID, s.Name, s.Project, s.KeptUntil)
	}
	return w.Flush()
}

// eachTrashed does an action to the servers in the trash that are named, or, for
// no names, to all.
func eachTrashed(cmd *cobra.Command, cfg *config.Config, names []string, action, done string) error {
	ctx := cmd.Context()
	nova, err := computeClient(ctx, cfg)
	if err != nil {
		return err
	}
	list, err := trash(ctx, nova)
	if err != nil {
		return err
	}
	if list, err = namedTrash(list, names); err != nil {
		return err
	}
	for _, s := range list {
		resp, err := nova.Post(ctx, nova.ServiceURL("servers", s.ID, "action"), map[string]any{action: nil}, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusAccepted}})
		if err != nil {
			return fmt.Errorf("server %s (%s): %w", s.Name, s.ID, err)
		}
		resp.Body.Close()
		fmt.Fprintf(cmd.OutOrStdout(), "%s %s %s\n", s.ID, s.Name, done)
	}
	return nil
}

// namedTrash picks those of the list that are named, each name once; all for none.
func namedTrash(list []trashed, names []string) (out []trashed, err error) {
	if len(names) == 0 {
		return list, nil
	}
	for _, name := range names {
		found := slices.DeleteFunc(slices.Clone(list), func(s trashed) bool { return s.ID != name && s.Name != name })
		if len(found) == 0 {
			return nil, fmt.Errorf("there is no server %s in the trash: 'hearth trash list' shows what is", name)
		}
		one, err := the(found, "server", name, func(s trashed) string { return s.ID })
		if err != nil {
			return nil, err
		}
		out = append(out, *one)
	}
	return out, nil
}
