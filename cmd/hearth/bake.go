package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/bake"
	"hearth/internal/config"
)

// newBake is 'hearth bake RECIPE'.
func newBake(cfg *config.Config) *cobra.Command {
	opt := bake.Options{}
	var install fromInstaller
	size := inGiB(0)
	cmd := &cobra.Command{
		Use: "bake " + strings.Join(bake.Recipes(), "|") + " | --from-installer URL|ISO --answers FILE", Short: "Bake an image: a bootable qcow2, and kernel, ramdisk and root file system apart",
		Long: "Bake an image as any user, without loop devices or mounts. The result is a bootable qcow2 and\n" +
			"an AMI triplet: kernel (aki), ramdisk (ari) and root file system (ami).\n\n" +
			"  ember   busybox, dropbear and Debian's cloud kernel: small, up in seconds\n" +
			"  debian  Debian with cloud-init and sshd; with --init, with Hearth's small agent in its place\n" +
			"  gentoo  from a stage3 or stage4 archive, with the agent\n" +
			"  tarball from any archive with a root file system, likewise\n\n" +
			"With a file of your own (docs/recipes.md): init, lint and run. With --from-installer a distribution's\n" +
			"own installer makes the disk, by a file of answers (preseed, kickstart, autoyast, autoinstall).",
		Args: func(cmd *cobra.Command, args []string) error {
			if install.source != "" && len(args) > 0 {
				return fmt.Errorf("--from-installer takes no recipe: leave %s out", args[0])
			}
			if install.source != "" {
				return nil
			}
			return cobra.ExactArgs(1)(cmd, args)
		}, ValidArgs: bake.Recipes(),
		RunE: func(cmd *cobra.Command, args []string) error {
			opt.Size = size.bytes
			if install.source != "" {
				return install.run(cmd, cfg, opt)
			}
			opt.Recipe = args[0]
			if err := unasked(cmd, opt.Recipe); err != nil {
				return err
			}
			if opt.CacheDir == "" {
				opt.CacheDir = cfg.Paths().Bake()
			}
			opt.Progress = showSteps(cmd.ErrOrStderr())
			result, err := bake.Bake(cmd.Context(), opt)
			if err != nil {
				return err
			}
			printBaked(cmd.OutOrStdout(), result)
			return nil
		},
	}
	install.flags(cmd)
	cmd.AddCommand(newBakeInit(), newBakeLint(), newBakeRun(cfg), newBakePublish(cfg))
	cmd.Flags().StringVarP(&opt.OutDir, "out", "o", ".", "directory for the images")
	cmd.Flags().StringVar(&opt.CacheDir, "cache", "", "directory where packages are kept for the next time (default: in the data directory)")
	cmd.Flags().StringVar(&opt.User, "user", "", "who logs in with the ssh key, such as ec2-user (default: the recipe's own)")
	cmd.Flags().StringVar(&opt.Suite, "suite", "", "release of Debian, for the recipe debian")
	cmd.Flags().StringVar(&opt.Init, "init", "", "for the recipe debian: no cloud-init but Hearth's agent, started by systemd, openrc, sysv or runit")
	cmd.Flags().StringVar(&opt.Tarball, "tarball", "", "archive with a root file system, for the recipes tarball and gentoo; .tar, .tar.gz, .bz2, .xz or .zst")
	cmd.Flags().StringVar(&opt.Tarball, "stage3", "", "the same by Gentoo's name for it")
	cmd.MarkFlagsMutuallyExclusive("tarball", "stage3")
	cmd.Flags().StringVar(&opt.Kernel, "kernel", "", "kernel for a tarball (default: the one in its /boot, else Debian's for clouds)")
	cmd.Flags().StringVar(&opt.Modules, "modules", "", "folder or archive with the modules of --kernel, as lib/modules/VERSION")
	cmd.Flags().StringVar(&opt.Overlay, "overlay", "", "folder or archive to put over a system with Hearth's agent, last of all")
	cmd.Flags().Var(&size, "size", "size of the disk: 10G, 512M; a bare number is GiB (default: as small as the recipe allows; it grows to the flavor's)")
	cmd.Flags().StringVar(&opt.Loader, "loader", "", "boot loader: grub, extlinux (bios) or systemd-boot (uefi) (default: grub, or systemd-boot for uefi)")
	cmd.Flags().StringVar(&opt.Firmware, "firmware", "", "what the disk boots under: bios, uefi, or hybrid for both (default: the loader's, for grub bios)")
	cmd.Flags().BoolVar(&opt.Raw, "raw", false, "keep the bootable disk as raw too")
	return cmd
}

// unasked refuses flags that the recipe does not heed.
func unasked(cmd *cobra.Command, recipe string) error {
	for _, of := range []struct{ flags, recipes string }{
		{"suite init", "debian"}, {"tarball stage3 kernel modules", "gentoo tarball"}, {"overlay", "debian gentoo tarball"},
	} {
		recipes := strings.Fields(of.recipes)
		for _, name := range strings.Fields(of.flags) {
			if !cmd.Flags().Changed(name) || slices.Contains(recipes, recipe) || !slices.Contains(bake.Recipes(), recipe) {
				continue
			}
			last := len(recipes) - 1
			if last == 0 {
				return fmt.Errorf("--%s is of the recipe %s: leave it out for %s", name, recipes[0], recipe)
			}
			return fmt.Errorf("--%s is of the recipes %s and %s: leave it out for %s", name, strings.Join(recipes[:last], ", "), recipes[last], recipe)
		}
	}
	for _, name := range []string{"cpu", "name", "no-boot-test"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s is for --from-installer: leave it out for %s", name, recipe)
		}
	}
	return nil
}

func printBaked(w io.Writer, r bake.Result) {
	fmt.Fprintf(w, "disk      %s\nkernel    %s\nramdisk   %s\nroot      %s\nmanifest  %s\nuser      %s\n", r.Disk, r.Kernel, r.Ramdisk, r.Root, r.Manifest, r.User)
	if r.RawDisk != "" {
		fmt.Fprintf(w, "raw disk  %s\n", r.RawDisk)
	}
}

// showSteps prints each step at its end, with its time and rate, and a long one
// every few seconds with what is left.
func showSteps(w io.Writer) func(bake.Step) {
	var shown time.Duration
	var late *time.Timer // of the step under way: one that tells nothing of itself is named when it takes long
	return func(s bake.Step) {
		if late != nil {
			late.Stop()
			late = nil
		}
		switch {
		case s.Finished && s.Err != nil:
			fmt.Fprintf(w, "  %-36s failed after %s\n", s.Name, s.Took.Round(100*time.Millisecond))
			shown = 0
		case s.Finished:
			fmt.Fprintf(w, "  %-36s %8s%s\n", s.Name, s.Took.Round(10*time.Millisecond), rate(s))
			shown = 0
		case s.Took-shown > 3*time.Second:
			shown = s.Took
			fmt.Fprintf(w, "  %-36s %8s%s, %s left\n", s.Name, s.Took.Round(time.Second), rate(s), s.Left.Round(time.Second))
		case s.Done == 0:
			late = time.AfterFunc(longStep, func() { fmt.Fprintf(w, "  %s …\n", s.Name) })
		}
	}
}

// longStep is how long a step may be silent before it is named.
const longStep = 2 * time.Second

func rate(s bake.Step) string {
	if s.Done == 0 || s.Rate == 0 {
		return ""
	}
	return fmt.Sprintf("  %.1f MiB at %.1f MiB/s", float64(s.Done)/(1<<20), s.Rate/(1<<20))
}
