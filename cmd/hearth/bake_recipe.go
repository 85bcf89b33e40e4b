package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/bake"
	"hearth/internal/bake/kiwi"
	"hearth/internal/bake/recipe"
	"hearth/internal/config"
)

// newBakeInit is 'hearth bake init'.
func newBakeInit() *cobra.Command {
	return &cobra.Command{
		Use: "init " + strings.Join(recipe.Scaffolds(), "|") + " DIR", Short: "Write a recipe to begin with", Args: cobra.ExactArgs(2), ValidArgs: recipe.Scaffolds(),
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := recipe.Scaffold(args[0], args[1])
			if err != nil {
				return err
			}
			for _, f := range files {
				fmt.Fprintln(cmd.OutOrStdout(), f)
			}
			return nil
		},
	}
}

// newBakeLint is 'hearth bake lint'.
func newBakeLint() *cobra.Command {
	var asJSON bool
	var base string
	cmd := &cobra.Command{
		Use: "lint RECIPE", Short: "Say what is wrong with a recipe, line by line", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := readRecipe(args[0], base, cmd.ErrOrStderr())
			var unread recipe.Mistakes
			if err != nil && !errors.As(err, &unread) {
				return err
			}
			found, problems := []recipe.Finding(unread), 0
			if err == nil {
				found = r.Check()
			}
			for _, f := range found {
				if f.Level == recipe.Problem {
					problems++
				}
			}
			if asJSON {
				if err = printJSON(cmd.OutOrStdout(), append([]recipe.Finding{}, found...)); err != nil {
					return err
				}
			} else {
				for _, f := range found {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", f.Level, f)
				}
			}
			if problems > 0 {
				return fmt.Errorf("the recipe cannot be baked: %s", numbered(problems, "problem"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "findings as JSON")
	cmd.Flags().StringVar(&base, "base", "", "archive or image to start from, in place of the recipe's base, as 'bake run' takes it")
	return cmd
}

// numbered is a number with its noun.
func numbered(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// readRecipe reads a recipe, or a KIWI description in a folder. base, if any, is
// the archive or image that it starts from in place of its own base.
func readRecipe(name, base string, warn io.Writer) (*recipe.Recipe, error) {
	dir := name
	if filepath.Base(name) == "config.xml" {
		dir = filepath.Dir(name)
	}
	if st, err := os.Stat(filepath.Join(dir, "config.xml")); err == nil && st.Mode().IsRegular() {
		r, warnings, err := kiwi.Read(dir, base)
		for _, w := range warnings {
			fmt.Fprintf(warn, "warning: %s\n", w)
		}
		if err == nil && base != "" && recipe.IsDisk(base) {
			r.Base.Image, r.Base.Tarball = r.Base.Tarball, ""
		}
		return r, err
	}
	if st, err := os.Stat(name); err == nil && st.IsDir() {
		folder := name
		name = filepath.Join(folder, "recipe.yaml")
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s has neither recipe.yaml nor config.xml: 'hearth bake init' makes one to begin with", folder)
		}
	}
	r, err := recipe.Read(name)
	if err != nil || base == "" {
		return r, err
	}
	if base, err = filepath.Abs(base); err != nil {
		return nil, err
	}
	if r.Base = (recipe.Base{Tarball: base}); recipe.IsDisk(base) {
		r.Base = recipe.Base{Image: base}
	}
	return r, nil
}

// newBakeRun is 'hearth bake run'.
func newBakeRun(cfg *config.Config) *cobra.Command {
	opt := bake.RunOptions{}
	var asJSON, quiet, boot bool
	cache := inGiB(10 << 30)
	var base string
	var cpus []string
	var cloud cloudBake
	cmd := &cobra.Command{
		Use: "run RECIPE", Short: "Bake the image of a recipe, from the layers that are there already", Args: cobra.ExactArgs(1),
		Long: "Bake the image of a recipe: a YAML file, the folder of a recipe.yaml, or the folder of a KIWI\n" +
			"description. Each part is a layer that is kept: what has not changed is not made again. Beside the\n" +
			"image come a bill of materials (SPDX), its source packages and licences, and beside the recipe a\n" +
			"lock file with all that went in. Scripts of a recipe are run as root of a namespace, like a package's.",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := readRecipe(args[0], base, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			var problems []string
			for _, f := range r.Check() {
				if f.Level == recipe.Problem {
					problems = append(problems, f.String())
				} else {
					fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", f)
				}
			}
			if len(problems) > 0 {
				return errors.New(strings.Join(problems, "\n"))
			}
			opt.Fetch = webFetch()
			opt.Recipe, opt.CacheSize = r, cache.bytes
			out := cmd.ErrOrStderr()
			if !quiet {
				opt.Progress, opt.Log = showSteps(out), func(s string) { fmt.Fprint(out, s) }
			}
			opt.Layer = func(l bake.LayerReport) {
				fmt.Fprintf(out, "layer %-20s %-7s %.12s  %8.1f MiB  %s\n", l.Name, l.Status, l.Key, float64(l.Size)/(1<<20), l.Took.Round(10*time.Millisecond))
			}
			if cloud.on {
				return cloud.run(cmd, cfg, order{recipe: r, arg: args[0], base: base, opt: opt, boot: boot, asJSON: asJSON})
			}
			res, err := bake.Run(cmd.Context(), opt)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), res)
			} else {
				printRun(cmd.OutOrStdout(), res)
			}
			if err != nil || !boot || res.Disk == "" {
				return err
			}
			return testBaked(cmd, res.Disk, res.User, cpus)
		},
	}
	cloud.flags(cmd)
	cmd.Flags().StringVarP(&opt.OutDir, "out", "o", ".", "directory for the images")
	cmd.Flags().StringVar(&opt.CacheDir, "cache", "", "directory where layers and packages are kept (default: hearth/bake in XDG_CACHE_HOME)")
	cmd.Flags().Var(&cache, "cache-size", "GiB that all layers may take; the oldest go first")
	cmd.Flags().StringVar(&base, "base", "", "archive with a root file system, or image of a disk, to start from, in place of the recipe's base")
	cmd.Flags().BoolVar(&opt.Locked, "locked", false, "refuse inputs and versions of packages that are not in the lock file")
	cmd.Flags().BoolVar(&opt.Refresh, "refresh", false, "make all layers anew")
	cmd.Flags().BoolVar(&asJSON, "json", false, "result as JSON, with each layer's key and whether it was cached or built")
	cmd.Flags().BoolVar(&boot, "boot-test", true, "boot the image when it is made, and fail if it does not come up (hearth image boot-test)")
	cmd.Flags().StringSliceVar(&cpus, "cpu", nil, "models of the processor to boot it on, one after the other, by QEMU's names such as qemu64,max (default: the best there is)")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "say nothing of steps and scripts")
	return cmd
}

func printRun(w io.Writer, r *bake.RunResult) {
	for _, l := range []struct{ name, path string }{{"disk", r.Disk}, {"raw disk", r.RawDisk}, {"kernel", r.Kernel}, {"ramdisk", r.Ramdisk}, {"root", r.Root}, {"archive", r.Archive},
		{"manifest", r.Manifest}, {"materials", r.SBOM}, {"sources", r.Sources}, {"licences", r.Licence}, {"lock", r.Lock}, {"user", r.User}} {
		if l.path != "" {
			fmt.Fprintf(w, "%-9s %s\n", l.name, l.path)
		}
	}
}
