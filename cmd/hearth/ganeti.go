package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"hearth/internal/config"
	"hearth/internal/disk/ganeti"
	"hearth/internal/disk/osdef"
)

// newGaneti is 'hearth ganeti'.
func newGaneti(cfg *config.Config) *cobra.Command {
	cmd := &cobra.Command{Use: "ganeti", Short: "Work for a Ganeti as its definition of operating systems"}
	cmd.AddCommand(newGanetiInstall(), newGanetiOS(cfg), newGanetiExport())
	return cmd
}

func newGanetiInstall() *cobra.Command {
	var dir, settings string
	var variants []string
	cmd := &cobra.Command{
		Use: "install-os DIRECTORY", Short: "Install this program as a definition of Ganeti's", Args: cobra.ExactArgs(1),
		Long: "Install this program as a definition of operating systems that Ganeti 2.x and 3.x start: create,\n" +
			"import, export, rename and verify, for versions 10, 15 and 20 of its interface. The folder is one\n" +
			"that Ganeti searches, and it is done on each node.\n\n" +
			"  hearth ganeti install-os /usr/share/ganeti/os/hearth\n" +
			"  gnt-instance add -o hearth+default -O image=/srv/debian-12.tar.gz …",
		RunE: func(cmd *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if self, err = filepath.EvalSymlinks(self); err != nil {
				return err
			}
			options := []string{"--settings", settings}
			if dir != "" {
				options = append(options, "--dir", dir)
			}
			if err := ganeti.Install(args[0], self, options, variants); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: 'gnt-os list' shows it now\n", args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder with definitions of 'hearth os-def', one for each variant (default: that of the data directory)")
	cmd.Flags().StringVar(&settings, "settings", "/etc/default/ganeti-instance-image", "settings for variants without a definition")
	cmd.Flags().StringArrayVar(&variants, "variant", []string{"default"}, "a variant that Ganeti is offered; may be repeated")
	return cmd
}

// newGanetiOS are the scripts of the definition, for Ganeti alone.
func newGanetiOS(cfg *config.Config) *cobra.Command {
	var places ganeti.Places
	cmd := &cobra.Command{Use: "os", Short: "Answer a script of the definition", Hidden: true}
	for _, script := range ganeti.Scripts() {
		cmd.AddCommand(&cobra.Command{
			Use: script, Short: "Answer Ganeti's script " + script, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if places.Definitions == "" {
					places.Definitions = osdef.Dir(cfg.Paths().OSDefs())
				}
				return ganetiScript(cmd.Context(), places, script)
			},
		})
	}
	cmd.PersistentFlags().StringVar((*string)(&places.Definitions), "dir", "", "folder with definitions")
	cmd.PersistentFlags().StringVar(&places.Settings, "settings", "/etc/default/ganeti-instance-image", "file of settings")
	return cmd
}
