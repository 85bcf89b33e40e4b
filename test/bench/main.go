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

func (f figure) String() string {
	mark := "     "
	switch {
	case f.goal != "" && f.met:
		mark = "met  "
	case f.goal != "":
		mark = "MISSED"
	}
	return fmt.Sprintf("%-58s %10.2f %-6s (%.2f to %.2f, n=%d)  %-10s %s", f.what, median(f.values), f.unit, slices.Min(f.values), slices.Max(f.values), len(f.values), f.goal, mark)
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
		fmt.Printf("  (%s took %s)\n", part.name, time.Since(began).Round(time.Second))
	}
}

// check ends the run: a bench that fails half way has nothing to say.
func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		tidy()
		if undoing != nil {
			undoing()
		}
		os.Exit(1)
	}
}
