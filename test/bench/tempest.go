package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
)

// tempestTimes is how often the union runs against one cloud: what the first run
// leaves in memory may be what is made once, what the second adds is a leak.
const tempestTimes = 2

// tempestLine is what test/conformance says of each run.
var tempestLine = regexp.MustCompile(`run \d+: (\d+) s; memory after a collection: PSS ([\d.]+) MiB, heap ([\d.]+) MiB, (\d+) goroutines`)

// tempest measures the time of Tempest's interop tests, and what memory they
// leave behind.
func (b bench) tempest() []figure {
	dir, err := os.MkdirTemp("/tmp", "hearth-bench-")
	check(err)
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "conformance")
	for _, cmd := range []*exec.Cmd{exec.Command("go", "build", "-o", bin, "./test/conformance")} {
		cmd.Stderr = os.Stderr
		check(cmd.Run())
	}
	var said bytes.Buffer
	cmd := exec.Command(bin, "-hearth", b.bin, "-times", strconv.Itoa(tempestTimes), "union")
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&said, os.Stderr), os.Stderr
	if err := cmd.Run(); err != nil {
		check(fmt.Errorf("tempest: %w", err))
	}
	return tempestFigures(tempestLine.FindAllSubmatch(said.Bytes(), -1))
}

// tempestFigures are of the lines, the first of which is before any test.
func tempestFigures(lines [][][]byte) (out []figure) {
	if len(lines) != tempestTimes+1 {
		check(fmt.Errorf("tempest said %d lines of memory", len(lines)))
	}
	number := func(line, field int) float64 {
		v, err := strconv.ParseFloat(string(lines[line][field]), 64)
		check(err)
		return v
	}
	var wall []float64
	for i := 1; i <= tempestTimes; i++ {
		wall = append(wall, number(i, 1))
	}
	const last = tempestTimes
	return []figure{
		plain("Tempest's interop tests, 280", "s", wall),
		plain("memory before Tempest, PSS", "MiB", []float64{number(0, 2)}), plain("memory after it, PSS", "MiB", []float64{number(1, 2)}),
		plain("memory after it twice, PSS", "MiB", []float64{number(last, 2)}),
		plain("heap in use before Tempest", "MiB", []float64{number(0, 3)}), plain("heap in use after it", "MiB", []float64{number(1, 3)}),
		atMost("heap in use that the second Tempest adds", 2, "MiB", []float64{number(last, 3) - number(1, 3)}),
		atMost("goroutines that Tempest leaves", 20, "", []float64{number(last, 4) - number(0, 4)}),
	}
}
