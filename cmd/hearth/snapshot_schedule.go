package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"
	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/config"
	"hearth/internal/service/volume"
)

// newSnapshotSchedule is 'hearth snapshot-schedule': a property of volumes that every
// client can set as well.
func newSnapshotSchedule(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "snapshot-schedule", Short: "Have snapshots of volumes made every hour, day or week"}
	set := func(cmd *cobra.Command, name, text string) error {
		if _, err := volume.ParseSchedule(text); err != nil {
			return err
		}
		cinder, err := volumeClient(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		v, err := volumeNamed(cmd.Context(), cinder, name)
		if err != nil {
			return err
		}
		metadata := maps.Clone(v.Metadata)
		if metadata == nil {
			metadata = map[string]string{}
		}
		if metadata[volume.SnapshotSchedule] = text; text == "" {
			delete(metadata, volume.SnapshotSchedule)
		}
		_, err = cinder.Put(cmd.Context(), cinder.ServiceURL("volumes", v.ID, "metadata"), map[string]any{"metadata": metadata}, nil, &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK}}) //nolint:bodyclose // the answer is not kept
		return err
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: `set VOLUME "daily keep=7"`, Short: "Set a volume's schedule: hourly, daily or weekly, and how many to keep", Args: cobra.ExactArgs(2),
			Long: "Set a volume's schedule. Other clients set the property " + volume.SnapshotSchedule + " of the volume, or of a server for all its volumes:\n" +
				"  openstack server set --property '" + volume.SnapshotSchedule + "=daily keep=7' SERVER\n" +
				"The snapshots count in the quota, and are the project's own: whoever deletes one by hand has it deleted.",
			RunE: func(cmd *cobra.Command, args []string) error { return set(cmd, args[0], args[1]) },
		},
		&cobra.Command{
			Use: "clear VOLUME", Short: "Make no more snapshots of a volume; those that are there stay", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return set(cmd, args[0], "") },
		},
		&cobra.Command{
			Use: "list", Short: "List the volumes that have a schedule, and scheduled snapshots", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return listSchedules(cmd, cfg) },
		},
	)
	return cmd
}

// volumeNamed finds a volume of any project by its id or its name.
func volumeNamed(ctx context.Context, cinder *gophercloud.ServiceClient, name string) (*volumes.Volume, error) {
	if cloud.IsID(name) {
		v, err := volumes.Get(ctx, cinder, name).Extract()
		if err == nil || !gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
			return v, err
		}
	}
	pages, err := volumes.List(cinder, volumes.ListOpts{Name: name, AllTenants: true}).AllPages(ctx)
	if err != nil {
		return nil, err
	}
	found, err := volumes.ExtractVolumes(pages)
	if err != nil {
		return nil, err
	}
	return the(found, "volume", name, func(v volumes.Volume) string { return v.ID })
}

// listSchedules shows each volume that has a schedule or scheduled snapshots: how many
// there are, the newest, and when the next is due.
func listSchedules(cmd *cobra.Command, cfg *config.Config) error {
	ctx := cmd.Context()
	cinder, err := volumeClient(ctx, cfg)
	if err != nil {
		return err
	}
	pages, err := snapshots.List(cinder, snapshots.ListOpts{AllTenants: true}).AllPages(ctx)
	if err != nil {
		return err
	}
	taken, err := snapshots.ExtractSnapshots(pages)
	if err != nil {
		return err
	}
	count, newest := map[string]int{}, map[string]string{}
	for _, s := range taken {
		if slot := s.Metadata[volume.ScheduledFor]; slot != "" {
			count[s.VolumeID]++
			newest[s.VolumeID] = max(newest[s.VolumeID], slot)
		}
	}
	if pages, err = volumes.List(cinder, volumes.ListOpts{AllTenants: true}).AllPages(ctx); err != nil {
		return err
	}
	all, err := volumes.ExtractVolumes(pages)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "VOLUME\tNAME\tSCHEDULE\tSNAPSHOTS\tNEWEST\tNEXT")
	for _, v := range all {
		text := v.Metadata[volume.SnapshotSchedule]
		if text == "" && count[v.ID] == 0 {
			continue
		}
		next := ""
		if plan, err := volume.ParseSchedule(text); err == nil && plan.Keep > 0 {
			next = plan.Slot(time.Now().Add(plan.Every))
		} else if text == "" && len(v.Attachments) > 0 {
			text = "of its server"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", v.ID, v.Name, text, count[v.ID], newest[v.ID], next)
	}
	return w.Flush()
}
