package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/bake"
	"hearth/internal/bake/installer"
	"hearth/internal/config"
	"hearth/internal/openstack/glance"
)

// fromInstaller is what 'hearth bake --from-installer' is told.
type fromInstaller struct {
	source, answers, name string
	untested              bool
	cpus                  []string // models that the image is booted on
}

func (f *fromInstaller) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.source, "from-installer", "", "no recipe: have a distribution's installer, an ISO or a folder with its kernel and ramdisk, here or on the web, make the disk")
	cmd.Flags().StringVar(&f.answers, "answers", "", "for --from-installer: FILE or KIND=FILE; kinds are "+strings.Join(installer.Kinds(), ", "))
	cmd.Flags().StringVar(&f.name, "name", "installed", "for --from-installer: name of the image's files")
	cmd.Flags().BoolVar(&f.untested, "no-boot-test", false, "for --from-installer: do not boot what was made")
	cmd.Flags().StringSliceVar(&f.cpus, "cpu", nil, "for --from-installer: models of the processor to boot it on, by QEMU's names such as qemu64,max")
	cmd.MarkFlagsRequiredTogether("from-installer", "answers")
}

// run installs, and boots what came of it.
func (f *fromInstaller) run(cmd *cobra.Command, cfg *config.Config, opt bake.Options) error {
	kind, answers, err := installer.ReadAnswers(f.answers, func(name string) string { return name })
	if err != nil {
		return err
	}
	if opt.CacheDir == "" {
		opt.CacheDir = cfg.Paths().Bake()
	}
	out := cmd.ErrOrStderr()
	res, err := bake.Install(cmd.Context(), bake.InstallOptions{Name: f.name, Source: f.source, Kind: kind, Answers: answers, OutDir: opt.OutDir, CacheDir: opt.CacheDir, Size: opt.Size,
		Fetch: webFetch(), Progress: showSteps(out), Say: lately(out, 10*time.Second)})
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "disk      %s\nsystem    %s\nmanifest  %s\nmaterials %s\nsources   %s\nlicences  %s\nconsole   %s\n", res.Disk, res.System, res.Manifest, res.SBOM, res.Sources, res.Licence, res.Console)
	if f.untested {
		return nil
	}
	return testBaked(cmd, res.Disk, opt.User, f.cpus)
}

// webFetch gets addresses of the web.
func webFetch() installer.Fetch {
	return func(ctx context.Context, url string) (io.ReadCloser, int64, error) {
		web, err := glance.NewDownloads(anywhere)
		if err != nil {
			return nil, 0, err
		}
		return web.Open(ctx, url)
	}
}

// lately prints the last that was said, not more often than every so often.
func lately(w io.Writer, every time.Duration) func(string) {
	var told time.Time
	return func(line string) {
		if now := time.Now(); now.Sub(told) >= every {
			told = now
			fmt.Fprintf(w, "    %.160s\n", line)
		}
	}
}
