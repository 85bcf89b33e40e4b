package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"hearth/internal/disk"
	"hearth/internal/disk/ganeti"
	"hearth/internal/disk/osdef"
)

// newGanetiExport is 'hearth ganeti export-dir'.
func newGanetiExport() *cobra.Command {
	var name, system, settings string
	var memory int64
	cmd := &cobra.Command{
		Use: "export-dir --name NAME --memory MB DISK DIRECTORY", Short: "Make of a disk a folder that 'gnt-backup import' takes", Args: cobra.ExactArgs(2),
		Long: "Make of a raw disk a folder as 'gnt-backup export' makes it: config.ini, and the archive of the\n" +
			"disk that the scripts of Hearth and of ganeti-instance-image import: dumps of its file systems\n" +
			"where it is laid out by the settings, else the whole disk.\n\n" +
			"  hearth ganeti export-dir --name web1.example.org --memory 512 web1.raw /var/lib/ganeti/export/web1\n" +
			"  gnt-backup import -t file -n node1 --net 0:mac=generate --src-node=node1 --src-dir=web1 web1.example.org",
		RunE: func(cmd *cobra.Command, args []string) error {
			d := &osdef.Definition{Name: "default"}
			if settings != "" {
				text, err := readSettings(settings)
				if err != nil {
					return err
				}
				if d, err = osdef.Import("default", text); err != nil {
					return fmt.Errorf("%s: %w", settings, err)
				}
			}
			return ganeti.WriteExport(cmd.Context(), &disk.Runner{}, args[1], args[0], name, system, memory<<20, d, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the instance")
	cmd.Flags().StringVar(&system, "os", "hearth+default", "definition with variant that imports it")
	cmd.Flags().StringVar(&settings, "settings", "", "file of settings that the disk was laid out by")
	cmd.Flags().Int64Var(&memory, "memory", 0, "memory of the instance in MB")
	_ = cmd.MarkFlagRequired("name")
	_ = cmd.MarkFlagRequired("memory")
	return cmd
}
