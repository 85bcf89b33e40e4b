package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/bake"
	"hearth/internal/bake/incloud"
	"hearth/internal/bake/publish"
	"hearth/internal/bake/recipe"
	"hearth/internal/config"
)

// cloudBake is what 'hearth bake run --in-cloud' is told.
type cloudBake struct {
	on                              bool
	image, user, flavor             string // of the builder
	network, public, volume, binary string
	size                            int           // of the cache volume, GB
	patience                        time.Duration // for a guest to let one in
}

func (c *cloudBake) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&c.on, "in-cloud", false, "bake in a server of the cloud, which is taken away afterwards, and make an image of the cloud of it")
	f.StringVar(&c.image, "builder", "builder", "for --in-cloud: image that the builder is started from ('hearth bake init builder' is its recipe)")
	f.StringVar(&c.user, "builder-user", "", "for --in-cloud: who logs in to it (default: the image's os_admin_user, else debian)")
	f.StringVar(&c.flavor, "flavor", "", "for --in-cloud: name or id of the builder's flavor (default: the smallest of 2 GB and more)")
	f.StringVar(&c.network, "network", "", "for --in-cloud: name or id of the builder's network (default: private, or the only one)")
	f.StringVar(&c.public, "public", "", "for --in-cloud: name or id of the network of its floating IP, or none (default: the only external one)")
	f.StringVar(&c.volume, "cache-volume", "hearth-bake-cache", "for --in-cloud: volume that keeps layers and packages for the next bake; made if it lacks")
	f.IntVar(&c.size, "cache-volume-size", 20, "for --in-cloud: GB of a cache volume that is made")
	f.StringVar(&c.binary, "builder-hearth", "", "for --in-cloud: hearth for Linux on amd64 that the builder runs (default: this one)")
	f.DurationVar(&c.patience, "builder-timeout", 15*time.Minute, "for --in-cloud: how long a server may take until one can log in")
}

// order is a recipe as the command line has it.
type order struct {
	recipe    *recipe.Recipe
	arg, base string
	opt       bake.RunOptions
	boot      bool
	asJSON    bool
}

// run bakes in the cloud. Whatever ends it, the builder is taken away; what a command left
// that was killed, the next one takes away.
func (c cloudBake) run(cmd *cobra.Command, cfg *config.Config, o order) (err error) {
	began := time.Now()
	job, err := c.job(o)
	if err != nil {
		return err
	}
	job.Tell = cmd.ErrOrStderr()
	at, err := newSite(cmd, cfg)
	if err != nil {
		return err
	}
	if err := at.sweep(cmd.Context()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, at.takeAway(context.WithoutCancel(cmd.Context()), at.name)) }()
	res, err := c.bake(cmd.Context(), at, job)
	if err != nil {
		return err
	}
	at.say("baked after %s", time.Since(began).Round(time.Second))
	if err := c.toGlance(cmd, cfg, at, o, res); err != nil {
		return err
	}
	at.say("done after %s", time.Since(began).Round(time.Second))
	if o.asJSON {
		return printJSON(cmd.OutOrStdout(), res)
	}
	printRun(cmd.OutOrStdout(), res)
	return nil
}

// job says what the builder is to do.
func (c cloudBake) job(o order) (incloud.Job, error) {
	j := incloud.Job{Hearth: c.binary, Name: o.recipe.Name, Dir: o.recipe.Dir, Recipe: ".", Base: o.base}
	if err := inside(o.recipe, o.base); err != nil {
		return j, err
	}
	if st, err := os.Stat(o.arg); err == nil && st.Mode().IsRegular() && filepath.Base(o.arg) != "config.xml" {
		j.Recipe = filepath.Base(o.arg)
	}
	if j.Hearth == "" {
		if runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64" {
			return j, fmt.Errorf("the builder runs hearth for linux/amd64, and this one is for %s/%s: name one with --builder-hearth", runtime.GOOS, runtime.GOARCH)
		}
		var err error
		if j.Hearth, err = os.Executable(); err != nil {
			return j, err
		}
	}
	var err error
	if j.OutDir, err = filepath.Abs(o.opt.OutDir); err != nil {
		return j, err
	}
	if j.Base != "" {
		if j.Base, err = filepath.Abs(j.Base); err != nil {
			return j, err
		}
	}
	if o.opt.CacheSize > 0 {
		j.Flags = append(j.Flags, fmt.Sprintf("--cache-size=%g", float64(o.opt.CacheSize)/(1<<30)))
	}
	for flag, on := range map[string]bool{"--locked": o.opt.Locked, "--refresh": o.opt.Refresh, "--quiet": o.opt.Log == nil} {
		if on {
			j.Flags = append(j.Flags, flag)
		}
	}
	return j, nil
}

// inside refuses files that are not in the recipe's folder, which is what is sent.
func inside(r *recipe.Recipe, base string) error {
	names := []string{r.Base.Image, r.Base.Keyring, r.Kernel.Tarball}
	if base == "" {
		names = append(names, r.Base.Tarball)
	}
	for _, o := range r.Overlay {
		names = append(names, o.From)
	}
	for _, s := range r.Scripts {
		names = append(names, s.File)
	}
	for _, n := range names {
		if n == "" {
			continue
		}
		if rel, err := filepath.Rel(r.Dir, r.Path(n)); err != nil || !filepath.IsLocal(rel) {
			return fmt.Errorf("%s is not in the recipe's folder, which is all that the builder gets: put it there", n)
		}
	}
	if r.Base.Installer != "" {
		return errors.New("an installer runs in a guest of its own, and the builder is one already: bake without --in-cloud")
	}
	return nil
}

// bake starts a builder, has it work, and takes it away.
func (c cloudBake) bake(ctx context.Context, at *site, job incloud.Job) (*bake.RunResult, error) {
	volume, err := at.cache(ctx, c.volume, c.size)
	if err != nil {
		return nil, err
	}
	image, err := at.up.find(c.image)
	if err != nil {
		return nil, fmt.Errorf("the builder's image: %w; 'hearth bake init builder DIR' writes its recipe, 'hearth bake run' and 'hearth bake publish --cloud' make it", err)
	}
	named, _ := image.Properties["os_admin_user"].(string)
	user := cmp.Or(c.user, named, "debian")
	if err := at.prepare(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	g, err := at.start(ctx, c, wanted{name: at.name, image: image.ID, volume: volume, memory: 2048, disk: max(3, image.MinDiskGigabytes), user: user})
	if err != nil {
		return nil, err
	}
	client, err := g.login(ctx, c.patience)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	at.say("builder %s at %s lets one in after %s", g.id, g.address, time.Since(began).Round(time.Second))
	began = time.Now()
	b := incloud.Builder{Client: client, Root: []string{"sudo", "-n"}}
	if user == "root" {
		b.Root = nil
	}
	job.Volume = volume
	res, err := b.Bake(ctx, job)
	if err != nil {
		return nil, err
	}
	for _, l := range res.Layers {
		at.say("layer %-20s %-7s %s", l.Name, l.Status, l.Took.Round(10*time.Millisecond))
	}
	at.say("the bake in the builder took %s", time.Since(began).Round(time.Second))
	return res, at.removeServer(ctx, g.id)
}

// toGlance makes an image of the cloud, boots it as a server, and puts the papers beside it.
func (c cloudBake) toGlance(cmd *cobra.Command, cfg *config.Config, at *site, o order, res *bake.RunResult) error {
	set, err := publish.Read(res.Manifest)
	if err != nil {
		return err
	}
	id, err := publishDisk(cmd, cfg, set)
	if err != nil {
		return err
	}
	if o.boot {
		reports := strings.TrimSuffix(res.Disk, filepath.Ext(res.Disk)) + ".boot-test"
		if err := c.tested(cmd, at, id, set, res.User, reports); err != nil {
			return errors.Join(err, at.removeImage(context.WithoutCancel(cmd.Context()), id))
		}
	}
	papers, err := publishPapers(cmd, cfg, set, id, res.Lock)
	if err == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "image     %s\npapers    %s\n", id, papers)
	}
	return err
}
