package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/spf13/cobra"

	"hearth/internal/bake"
	"hearth/internal/bake/boottest"
	systems "hearth/internal/bake/catalog"
	"hearth/internal/config"
	"hearth/internal/disk"
	"hearth/internal/openstack/glance"
)

// shelf is the catalog, and where its images and results are kept.
type shelf struct {
	cfg    *config.Config
	file   string // of the user's own entries; "": catalog.yaml in the data directory
	asJSON bool
}

// newCatalog is 'hearth image catalog'.
func newCatalog(cfg *config.Config) *cobra.Command {
	s := &shelf{cfg: cfg}
	cmd := &cobra.Command{
		Use: "catalog", Short: "Images of clouds that are known: list, look at, try and import them", Args: cobra.NoArgs,
		Long: "Images of clouds that are known, with where the newest of each is, and what came of booting it here.\n" +
			"Entries of your own are in catalog.yaml in the data directory, or in --file; one of the name of a\n" +
			"built-in one takes its place. An entry that was never tested says so.",
		RunE: func(cmd *cobra.Command, _ []string) error { return s.list(cmd.OutOrStdout()) },
	}
	cmd.PersistentFlags().StringVar(&s.file, "file", "", "entries of your own (default: catalog.yaml in the data directory)")
	cmd.PersistentFlags().BoolVar(&s.asJSON, "json", false, "answer as JSON")
	cmd.AddCommand(&cobra.Command{
		Use: "show NAME", Short: "What an entry is, where its image is, and what came of its test", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return s.show(cmd.OutOrStdout(), args[0]) },
	}, s.testCommand(), s.importCommand())
	return cmd
}

func (s *shelf) dir() string { return s.cfg.Paths().Catalog() }

func (s *shelf) load() (*systems.Catalog, error) {
	if s.file != "" { // one that is named is there; the usual one need not be
		if _, err := os.Stat(s.file); err != nil {
			return nil, err
		}
	}
	return systems.Load(cmp.Or(s.file, filepath.Join(s.cfg.Data, "catalog.yaml")))
}

func (s *shelf) entry(name string) (systems.Entry, error) {
	c, err := s.load()
	if err != nil {
		return systems.Entry{}, err
	}
	return c.Get(name)
}

// listed is an entry with its result, for JSON.
type listed struct {
	systems.Entry
	Tested *systems.Result `json:"tested"`
}

func (s *shelf) list(w io.Writer) error {
	c, err := s.load()
	if err != nil {
		return err
	}
	var all []listed
	for _, e := range c.All() {
		r, err := systems.Tested(s.dir(), e.Name)
		if err != nil {
			return err
		}
		all = append(all, listed{e, r})
	}
	if s.asJSON {
		return printJSON(w, all)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tARCH\tWHAT\tFROM\tBOOT TEST")
	for _, e := range all {
		from := e.Home
		if e.Bake != "" {
			from = "baked here"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", e.Name, e.Arch, e.Title, from, e.Tested.Said())
	}
	return t.Flush()
}

func (s *shelf) show(w io.Writer, name string) error {
	e, err := s.entry(name)
	if err != nil {
		return err
	}
	r, err := systems.Tested(s.dir(), e.Name)
	if err != nil {
		return err
	}
	if s.asJSON {
		return printJSON(w, listed{e, r})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(what, text string) {
		if text != "" {
			fmt.Fprintf(t, "%s\t%s\n", what, text)
		}
	}
	line("name", e.Name)
	line("what", e.Title)
	line("arch", e.Arch)
	line("from", e.Home)
	for _, step := range e.Newest {
		line("newest "+step.Name, step.Match+" in "+step.At)
	}
	line("image", e.Image)
	line("mirrors", strings.Join(e.Mirrors, " "))
	line("sums", e.Sums)
	line("signature", cmp.Or(e.Signature, e.ImageSignature))
	line("keys", strings.Join(e.Keys, " "))
	line("user", e.User)
	line("like it, here", e.Recipe)
	line("notes", e.Notes)
	line("entry", e.Origin)
	line("boot test", r.Said())
	if r != nil {
		line("  of", strings.TrimSpace(r.URL+" "+r.Version))
		if e.Bake == "" {
			line("  vouched for by", cmp.Or(r.Signed, "its sum alone"))
		}
		line("  SHA-512", r.SHA512)
		line("  login prompt", r.Prompt)
		line("  logged in", r.User)
		line("  took", fmt.Sprintf("%.1f s, %s, %s", r.Seconds, r.Firmware, r.Accel))
	}
	return t.Flush()
}

// kitchen fetches, bakes and tries.
func (s *shelf) kitchen(cmd *cobra.Command) (*systems.Kitchen, error) {
	web, err := glance.NewDownloads(anywhere)
	if err != nil {
		return nil, err
	}
	out := cmd.ErrOrStderr()
	var m *meter
	return &systems.Kitchen{
		Dir: s.dir(), Now: time.Now,
		Fetch: func(ctx context.Context, address string) (io.ReadCloser, int64, error) {
			m = &meter{w: out, name: filepath.Base(address), began: time.Now()}
			if path, ok := strings.CutPrefix(address, "file://"); ok {
				f, err := os.Open(path)
				return f, -1, err
			}
			return web.Open(ctx, address)
		},
		Tell: func(done, total int64) { m.total = total; m.count(int(done - m.done)) },
		Bake: func(ctx context.Context, recipe, dir string) (string, error) {
			r, err := bake.Bake(ctx, bake.Options{Recipe: recipe, OutDir: dir, CacheDir: s.cfg.Paths().Bake(), Progress: showSteps(out)})
			return r.Disk, err
		},
		Try: func(ctx context.Context, e systems.Entry, image string) (*boottest.Report, error) {
			return boottest.Run(ctx, &disk.Runner{Timeout: time.Hour}, boottest.Options{Image: image, User: e.User, Firmware: e.Firmware, MemoryMB: e.MemoryMB, Tell: func(st boottest.Stage) {
				fmt.Fprintf(out, "  %7.1f s  %-12s %s\n", st.Seconds, st.Name, st.Text)
			}})
		},
	}, nil
}

func (s *shelf) testCommand() *cobra.Command {
	var fresh bool
	cmd := &cobra.Command{
		Use: "test NAME", Short: "Fetch or bake the newest image of an entry, boot it, and keep what came of it", Args: cobra.ExactArgs(1),
		Long: "Fetch the newest image of an entry, or bake it, hold it against what vouches for it, and boot it as\n" +
			"'hearth image boot-test' does: on a network that leads nowhere, until its login prompt is seen and\n" +
			"somebody logged in. What came of it is kept, and shown by 'list' and 'show'.",
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := s.entry(args[0])
			if err != nil {
				return err
			}
			k, err := s.kitchen(cmd)
			if err != nil {
				return err
			}
			if fresh {
				if err := os.RemoveAll(filepath.Join(s.dir(), e.Name)); err != nil {
					return err
				}
			}
			r, report, err := k.Test(cmd.Context(), e)
			if err != nil {
				return err
			}
			if err := report.Write(filepath.Join(s.dir(), e.Name, "report")); err != nil {
				return err
			}
			if s.asJSON {
				return errors.Join(printJSON(cmd.OutOrStdout(), r), failedTest(r))
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %s in %.1f s (%s, %s)\n", e.Name, r.Version, r.Result, r.Seconds, r.Firmware, r.Accel)
			if r.Prompt != "" {
				fmt.Fprintf(cmd.OutOrStdout(), "login prompt  %s\n", r.Prompt)
			}
			return failedTest(r)
		},
	}
	cmd.Flags().BoolVar(&fresh, "fresh", false, "bake or fetch anew what is here")
	return cmd
}

func failedTest(r systems.Result) error {
	if r.Result == boottest.Passed {
		return nil
	}
	return fmt.Errorf("%s failed its boot test: %s", r.Entry, r.Reason)
}

func (s *shelf) importCommand() *cobra.Command {
	var name string
	var here bool
	cmd := &cobra.Command{
		Use: "import NAME", Short: "Bring the newest image of an entry into the cloud", Args: cobra.ExactArgs(1),
		Long: "Bring the newest image of an entry into the cloud. Its sum is looked up here, its signature checked by\n" +
			"the entry's keys if they are here, and bytes of another sum are refused by the cloud. The cloud fetches\n" +
			"it by itself, unless it cannot, the image is here already, it is baked here, or --from-here is said.",
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := s.entry(args[0])
			if err != nil {
				return err
			}
			k, err := s.kitchen(cmd)
			if err != nil {
				return err
			}
			up, err := newUploader(cmd, s.cfg)
			if err != nil {
				return err
			}
			id, c, err := s.bring(up, k, e, cmp.Or(name, e.Name), here)
			if err != nil {
				return err
			}
			if err := s.mark(up, id, e); err != nil {
				return err
			}
			if s.asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]string{"id": id, "version": c.Version, "url": c.URL, "signed": c.Signed, "note": c.Note})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Added new image with ID: %s\n", id)
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the image (default: the entry's)")
	cmd.Flags().BoolVar(&here, "from-here", false, "fetch it to this machine, and upload it")
	return cmd
}

// bring makes the image.
func (s *shelf) bring(up uploader, k *systems.Kitchen, e systems.Entry, name string, here bool) (id string, c systems.Copy, err error) {
	said := func(c systems.Copy) map[string]string {
		p := map[string]string{"architecture": e.Arch, "os_distro": e.OS, "os_admin_user": e.User, "hearth_catalog": e.Name, "hearth_catalog_version": c.Version, "hearth_catalog_url": c.URL}
		for key, value := range p {
			if value == "" {
				delete(p, key)
			}
		}
		return p
	}
	if e.Bake == "" {
		c, err = k.Look(up.ctx, e)
		if err != nil {
			return "", c, err
		}
		fmt.Fprintf(up.progress, "  %s %s\n  vouched for by %s\n", c.URL, c.Version, cmp.Or(c.Signed, "its sum alone: "+c.Note))
		if c.Path == "" && !here && c.Sum.Hex != "" && !strings.HasPrefix(c.URL, "file://") && up.fetches() {
			w := webImport{uri: c.URL, mirrors: c.Mirrors, name: name, properties: said(c), tries: 3}
			switch c.Sum.Algorithm {
			case "sha512":
				w.sha512 = c.Sum.Hex
			case "sha256":
				w.sha256 = c.Sum.Hex
			}
			if w.sha256+w.sha512 != "" {
				id, err = up.fetch(w)
				return id, c, err
			}
		}
	}
	if c, err = k.Obtain(up.ctx, e); err != nil {
		return "", c, err
	}
	format, err := formatOf(c.Path)
	if err != nil {
		return "", c, err
	}
	id, err = up.put(name, format, c.Path, said(c))
	return id, c, err
}

// mark gives an image what came of the test of its bytes, if these are the ones tested.
func (s *shelf) mark(up uploader, id string, e systems.Entry) error {
	r, err := systems.Tested(s.dir(), e.Name)
	if err != nil || r == nil {
		return err
	}
	image, err := images.Get(up.ctx, up.glance, id).Extract()
	if err != nil {
		return refusal(err)
	}
	digest, _ := image.Properties["os_hash_value"].(string)
	if digest != r.SHA512 {
		return nil
	}
	return up.keep(image, map[string]string{"hearth_boot_test": r.Result, "hearth_boot_test_at": r.At.Format(time.RFC3339), "hearth_boot_test_digest": digest, "hearth_boot_test_reason": short(r.Reason)})
}
