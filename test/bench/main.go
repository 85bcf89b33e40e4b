// Command bench measures a cloud against the goals of docs/performance.md and
// prints a table. It runs as root, with ./hearth built and QEMU there; every
// figure is the median of several runs, with the spread beside it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// figure is one line of the table.
type figure struct {
	what, goal string
	values     []float64
	unit       string
	met        bool
}

// median of what was measured.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// String is the figure's row in docs/performance.md.
func (f figure) String() string {
	goal := f.goal
	switch {
	case goal != "" && !f.met:
		goal += " " + f.unit + " MISSED"
	case goal != "":
		goal += " " + f.unit
	}
	return fmt.Sprintf("| %s | %.2f %s | %.2f–%.2f, %d | %s |", f.what, median(f.values), f.unit, slices.Min(f.values), slices.Max(f.values), len(f.values), goal)
}

// atMost and atLeast judge a figure by its median.
func atMost(what string, goal float64, unit string, values []float64) figure {
	return figure{what, fmt.Sprintf("≤ %g", goal), values, unit, median(values) <= goal}
}

func atLeast(what string, goal float64, unit string, values []float64) figure {
	return figure{what, fmt.Sprintf("≥ %g", goal), values, unit, median(values) >= goal}
}

func plain(what, unit string, values []float64) figure {
	return figure{what: what, values: values, unit: unit}
}

// bench is what the parts share.
type bench struct {
	bin, cache string
	runs       int
}

func main() {
	b := bench{}
	only := flag.String("only", "", "run the parts with this in their name only")
	flag.StringVar(&b.bin, "hearth", "./hearth", "the binary")
	flag.StringVar(&b.cache, "cache", "/var/cache/hearth-e2e", "where baked images are kept")
	flag.IntVar(&b.runs, "runs", 5, "runs of each measurement")
	flag.Parse()
	var err error
	b.bin, err = filepath.Abs(b.bin)
	check(err)
	fmt.Println(conditions(b.bin))
	fmt.Print("| what | measured | range, runs | goal |\n| --- | --- | --- | --- |\n")
	for _, part := range []struct {
		name string
		run  func() []figure
	}{{"start", b.start}, {"create", b.create}, {"list", b.list}, {"network", b.network}, {"upload", b.upload}, {"volume", b.volume}, {"guest", b.guest}, {"tempest", b.tempest}} {
		if !strings.Contains(part.name, *only) {
			continue
		}
		began := time.Now()
		for _, f := range part.run() {
			fmt.Println(f)
		}
		fmt.Fprintf(os.Stderr, "%s took %s\n", part.name, time.Since(began).Round(time.Second)) // not of the table
	}
}

// check ends the run: a bench that fails half way has nothing to say.
func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		tidy()
		undo()
		os.Exit(1)
	}
}
