// Command hearth is a private cloud in one binary: it serves the OpenStack APIs,
// runs the guests, bakes their images, and is the operator's tool for all of it.
// This is the front door: one file per subcommand, wiring only.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hearth/internal/cloud"
	"hearth/internal/config"
)

// version is set by the build.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	args := os.Args[1:]
	if name := oldName(os.Args[0]); name != "" {
		args = append([]string{name}, args...)
	}
	if err := run(ctx, newRoot(), args); err != nil {
		var code exitCode
		if errors.As(err, &code) {
			os.Exit(int(code))
		}
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			err = errors.New("it was interrupted")
		}
		fmt.Fprintln(os.Stderr, "hearth: "+cloud.Message(err))
		os.Exit(1)
	}
}

// exitCode ends the program without a further word.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// newRoot makes the whole command line. Every subcommand is named here.
func newRoot() *cobra.Command {
	cfg := config.Default()
	root := &cobra.Command{
		Use:   "hearth",
		Short: "A private cloud in one binary that speaks the OpenStack APIs",
		Long: "Hearth is a private cloud in one binary: keystone, glance, nova and neutron, the guests,\n" +
			"their networks and images. 'hearth up' starts it; 'hearth openrc' prints what the\n" +
			"openstack command needs.",
		SilenceUsage: true, SilenceErrors: true,
	}
	addConfigFlags(root, &cfg)
	root.AddCommand(
		newUp(&cfg), newDown(&cfg), newWait(&cfg), newInit(&cfg), newAuth(&cfg), newOpenrc(&cfg), newCloudsYAML(&cfg),
		newDoctor(&cfg), newExplain(&cfg), newFlavors(&cfg), newNetwork(&cfg), newImport(&cfg), newVolume(&cfg), newSnapshotSchedule(&cfg), newServer(&cfg), newJob(&cfg), newTrash(&cfg), newFsck(&cfg), newConfig(&cfg), newVersion(),
		newBake(&cfg), newImage(&cfg), newDisk(&cfg), newBench(&cfg), newDemo(&cfg), newRoutes(&cfg), newOldNames(), newOSDef(&cfg), newDeploy(&cfg), newGaneti(&cfg),
	)
	root.AddCommand(newOldTools(&cfg)...)
	return root
}
