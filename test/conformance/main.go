// Command conformance holds a cloud against Tempest, a suite that nobody here
// wrote. It starts a hearth of its own in a temporary directory on a free port,
// prepares what Tempest needs, runs Tempest and judges what came out: a test
// that fails and is not in expected-failures.txt fails the run, and so does one
// that is there and passes, so that the list can only shrink.
//
// Modes: union (interop-union.list, fake driver), api (all of tempest.api that
// fits one host, fake driver), ssh and scenario (the list of that name, each of
// whose tests must pass; real guests: as root, with QEMU).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"hearth/test/outside"
)

// options are what the command line says.
type options struct {
	mode        string
	bin         string
	dir         string // of this command's own files
	regex       string
	concurrency int
	coverage    string
	rest        string
	keep        bool
	times       int
}

func main() {
	var o options
	flag.StringVar(&o.bin, "hearth", "./hearth", "the binary")
	flag.StringVar(&o.dir, "dir", "test/conformance", "where the lists are")
	flag.StringVar(&o.regex, "regex", "", "of the mode's tests, those that match only; nothing is then said of the others")
	flag.IntVar(&o.concurrency, "concurrency", 0, "how many of Tempest's workers run at once; 0: what suits the mode")
	flag.StringVar(&o.coverage, "coverage", "", "file to write the covered routes to, as docs/conformance.tsv, from a whole run; ssh and scenario add the routes it lacks")
	flag.StringVar(&o.rest, "rest", "", "file to write the table of the skipped tests to, as docs/conformance-rest.md; from a whole run")
	flag.BoolVar(&o.keep, "keep", false, "leave the directory with the logs even after success")
	flag.IntVar(&o.times, "times", 1, "how often to run Tempest against one cloud: memory that grows with each is a leak")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: scripts/conformance [flags] union|api|neutron|ssh|scenario\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	o.mode = flag.Arg(0)
	if flag.NArg() != 1 || modes[o.mode].conf == nil {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	good, err := o.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

// run is the whole of it; false when a test was not as it should be.
func (o options) run(ctx context.Context) (good bool, err error) {
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return false, err
	}
	m := modes[o.mode]
	work, err := os.MkdirTemp("/tmp", "hearth-conformance-")
	if err != nil {
		return false, err
	}
	if err := os.Chmod(work, 0o711); err != nil { // guests run as users of their own
		return false, err
	}
	defer func() {
		if good && !o.keep {
			_ = os.RemoveAll(work)
			return
		}
		fmt.Println("logs are left in", work)
	}()
	own, err := outside.New(o.bin, work, "", append([]string{"HEARTH_NODE=conformance", "HEARTH_LOG_LEVEL=info"}, m.conf...)...)
	if err != nil {
		return false, err
	}
	c := &theCloud{own}
	defer c.Down()
	if err := c.Up(ctx); err != nil {
		return false, err
	}
	ws, err := c.prepare(ctx, m)
	if err != nil {
		return false, err
	}
	before := c.pss()
	results, took, err := o.repeat(ctx, c, ws, m)
	if err != nil {
		return false, err
	}
	return o.report(c, ws, m, results, took, before)
}

// report prints the closing lines.
func (o options) report(c *theCloud, ws *workspace, m mode, results []result, took time.Duration, before float64) (bool, error) {
	expected, err := outside.ReadExpected(filepath.Join(o.dir, "expected-failures.txt"))
	if err != nil {
		return false, err
	}
	v := judge(results, ws.wanted, expected)
	for reason, tests := range groupSkips(results) {
		fmt.Printf("skipped %4d  %s\n", len(tests), reason)
	}
	for _, w := range slices.Concat(v.wrong, v.stale) {
		fmt.Println(w)
	}
	fmt.Printf("%s: %d passed, %d failed (%d expected), %d skipped, of %d; %s; memory of hearth %.1f MiB before, %.1f MiB after\n",
		o.mode, v.passed, v.failed, v.expected, v.skipped, v.passed+v.failed+v.skipped, took.Round(time.Second), before, c.pss())
	if o.coverage != "" {
		n, err := writeCoverage(o.coverage, ws.log(), c.LogFile(), results, m.guests)
		if err != nil {
			return false, err
		}
		fmt.Printf("%d routes are covered, written to %s\n", n, o.coverage)
	}
	if o.rest != "" {
		if err := writeRest(o.rest, o.mode, v, results); err != nil {
			return false, err
		}
	}
	return len(v.wrong)+len(v.stale) == 0, nil
}
