package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"hearth/internal/bake"
	"hearth/internal/config"
)

// newDemo is 'hearth demo': from nothing to a login in a guest, each step shown
// with its time.
func newDemo(cfg *config.Config) *cobra.Command {
	var report string
	var keep bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Start a cloud, bake a guest, boot it, log in; show each step with its time", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if report != "" && report != "json" {
				return fmt.Errorf("--report is %q: json is what there is", report)
			}
			d := &demo{cfg: cfg, out: cmd.OutOrStdout(), log: cmd.ErrOrStderr()}
			if report == "json" {
				d.out = cmd.ErrOrStderr()
			}
			err := d.run(cmd.Context())
			if report == "json" {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				err = errors.Join(err, enc.Encode(map[string]any{"steps": d.steps}))
			}
			if !keep {
				return errors.Join(err, d.cleanUp(context.WithoutCancel(cmd.Context())))
			}
			if err == nil {
				d.farewell()
			}
			return err
		},
	}
	cmd.Flags().StringVar(&report, "report", "", "json: print a report of the steps")
	cmd.Flags().BoolVar(&keep, "keep", true, "leave the cloud and the guest running")
	return cmd
}

// demo is one run.
type demo struct {
	cfg      *config.Config
	out, log io.Writer
	steps    []demoStep
	guest    demoGuest
	images   bake.Result
}

// demoStep is one line of the report.
type demoStep struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	OK      bool    `json:"ok"`
	Skipped bool    `json:"skipped,omitempty"` // it was not tried, for the reason in Detail
	Detail  string  `json:"detail,omitempty"`
}

// must takes a step that the rest depends on.
func (d *demo) must(name string, work func() (detail string, err error)) error {
	start := time.Now()
	detail, err := work()
	if err != nil {
		d.note(name, start, false, err.Error())
		return fmt.Errorf("%s: %w", name, err)
	}
	d.note(name, start, true, detail)
	return nil
}

func (d *demo) note(name string, start time.Time, ok bool, detail string) {
	d.add(demoStep{Name: name, Seconds: time.Since(start).Seconds(), OK: ok, Detail: detail})
}

// add shows and keeps how a step went.
func (d *demo) add(s demoStep) {
	d.steps = append(d.steps, s)
	mark := "FAILED"
	switch {
	case s.Skipped:
		mark = "skipped"
	case s.OK:
		mark = "ok"
	}
	fmt.Fprintf(d.out, "%-7s %7.2f s  %-28s %s\n", mark, s.Seconds, s.Name, s.Detail)
}

func (d *demo) run(ctx context.Context) error {
	for _, step := range []struct {
		name string
		work func(context.Context) (string, error)
	}{
		{"start the cloud", d.startCloud}, {"bake ember", d.bake}, {"upload the image", d.upload}, {"key and security group", d.prepare},
		{"create the server", d.create}, {"floating IP", d.float}, {"log in by ssh", d.login},
	} {
		if err := d.must(step.name, func() (string, error) { return step.work(ctx) }); err != nil {
			return err
		}
	}
	d.checks()
	return nil
}

// startCloud starts the cloud unless it answers already.
func (d *demo) startCloud(ctx context.Context) (string, error) {
	if running(d.cfg.Paths()) {
		return "already running at " + baseURL(d.cfg), nil
	}
	if err := detach(ctx, d.cfg, d.log); err != nil {
		return "", err
	}
	return "all APIs at " + baseURL(d.cfg), nil
}

// bake bakes ember, unless an earlier run did with the same binary.
func (d *demo) bake(ctx context.Context) (string, error) {
	out := filepath.Join(d.cfg.Paths().Bake(), "ember")
	result, err := bake.Bake(ctx, bake.Options{Recipe: "ember", OutDir: out, CacheDir: d.cfg.Paths().Bake(), Progress: showSteps(d.log)})
	d.images = result
	return result.Disk, err
}

// farewell says how to go on.
func (d *demo) farewell() {
	fmt.Fprintf(d.out, `
The cloud is up. To go on:
  source <(%[1]s openrc)                 # then: openstack server list, glance image-list, …
  ssh -i %[2]s -o StrictHostKeyChecking=no ember@%[3]s
  %[1]s explain server %[4]s
  %[1]s down                             # stops it and takes its guests and networks down
`, self(d.cfg), d.guest.keyFile, d.guest.address, d.guest.name)
}
