// Command clients holds a cloud of its own, with the fake driver, against the
// functional suites that clients bring along: gophercloud's acceptance tests (in
// the module cache), those of openstacksdk, python-openstackclient and of the
// clients of nova, cinder, neutron, keystone and glance (in Debian's packages). The suite seeds is the command lines of the documents that
// Hearth comes from, as they stand there. A suite that is not installed is left out, and said so.
//
//	clients [flags] [SUITE[/AREA] …]    seeds, gophercloud, sdk, osc, nova, cinder, neutron, keystone, glance, or all; the first three for none
//
// Failures that are known, with their reasons, stand in expected-failures.txt. A
// failure that does not, and a line there that is no longer true, fail the run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"hearth/test/outside"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	bin := flag.String("hearth", "./hearth", "the `program` to test")
	listen := flag.String("listen", "127.0.0.1:7070", "where the cloud answers")
	expectedFile := flag.String("expected", "test/clients/expected-failures.txt", "known failures")
	work := flag.String("work", "", "a `directory` for data and logs, kept; else a temporary one")
	flag.Parse()
	expected, err := outside.ReadExpected(*expectedFile)
	if err != nil {
		return err
	}
	chosen, err := choose(flag.Args())
	if err != nil {
		return err
	}
	dir := *work
	if dir == "" {
		if dir, err = os.MkdirTemp("", "hearth-clients-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	own, err := outside.New(*bin, dir, *listen, "HEARTH_DRIVER=fake", "HEARTH_IDENTITY_BCRYPT_COST=4", "HEARTH_IMAGE_IMPORT_FROM=127.0.0.0/8")
	if err != nil {
		return err
	}
	defer own.Down()
	if err := own.Up(ctx); err != nil {
		return err
	}
	operator, err := own.Login(ctx)
	if err != nil {
		return err
	}
	s, err := (&theCloud{own, operator}).prepare(ctx)
	if err != nil {
		return err
	}
	var all []result
	for _, a := range chosen {
		all = append(all, runArea(ctx, s, a)...)
	}
	return report(judge(all, expected))
}

// runArea runs one area and prints its counts.
func runArea(ctx context.Context, s *settings, a area) []result {
	if why := a.missing(ctx, s); why != "" {
		fmt.Printf("%-34s left out: %s\n", a.suite+"/"+a.name, why)
		return nil
	}
	start := time.Now()
	results, err := a.run(ctx, s)
	if err != nil {
		results = append(results, result{name: a.suite + "/" + a.name, state: failed, reason: err.Error()})
	}
	n := map[string]int{}
	for _, r := range results {
		n[r.state]++
	}
	fmt.Printf("%-34s %4d passed  %3d failed  %3d skipped  %5.0f s\n", a.suite+"/"+a.name, n[passed], n[failed], n[skipped], time.Since(start).Seconds())
	return results
}

// report prints what is to be thought of it all.
func report(v verdict) error {
	fmt.Printf("%d passed, %d failed (%d of them known), %d skipped\n", v.passed, v.failed, v.known, v.skipped)
	slices.Sort(v.wrong)
	for _, line := range v.wrong {
		fmt.Println(line)
	}
	if len(v.wrong) > 0 {
		return fmt.Errorf("%d results are not as expected-failures.txt says", len(v.wrong))
	}
	return nil
}

// choose finds the areas that were asked for.
func choose(asked []string) ([]area, error) {
	if len(asked) == 0 {
		asked = []string{"seeds", "gophercloud", "sdk"}
	}
	if slices.Equal(asked, []string{"all"}) {
		return areas, nil
	}
	var out []area
	for _, name := range asked {
		suite, part, _ := strings.Cut(name, "/")
		n := len(out)
		for _, a := range areas {
			if a.suite == suite && (part == "" || a.name == part) {
				out = append(out, a)
			}
		}
		if len(out) == n {
			return nil, fmt.Errorf("there is no suite or area %s", name)
		}
	}
	return out, nil
}
