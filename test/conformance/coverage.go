package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Which test passed through which route is known by the request's id: hearth
// gives every answer one, Tempest's log names it beside the test that asked,
// and hearth's log names it beside the route that answered.
var (
	asked  = regexp.MustCompile(` \[(req-[0-9a-f-]{36}) .*?\] Request \((\w+):(\w+)\): `)
	served = regexp.MustCompile(`msg=request method=([A-Z]+) .* status=(\d+) .* request=(req-[0-9a-f-]{36}) .* route=(\S+)`)
)

// writeCoverage writes METHOD, ROUTE and a test that passed, for each route that
// answered one with less than 400, in order; it gives how many there are. With
// add, what the file says already stays, and only routes it lacks are added.
func writeCoverage(path, tempestLog, hearthLog string, results []result, add bool) (int, error) {
	tests, err := testsByRequest(tempestLog, passedTests(results))
	if err != nil {
		return 0, err
	}
	routes, err := routesOf(hearthLog, tests)
	if err != nil {
		return 0, err
	}
	if add {
		if err := readCoverage(path, routes); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	var b strings.Builder
	for _, route := range slices.Sorted(maps.Keys(routes)) {
		method, pattern, _ := strings.Cut(route, " ")
		fmt.Fprintf(&b, "%s\t%s\t%s\n", method, pattern, routes[route])
	}
	return len(routes), os.WriteFile(path, []byte(b.String()), 0o644)
}

// readCoverage puts what a file says over routes.
func readCoverage(path string, routes map[string]string) error {
	return eachLine(path, func(line string) {
		if f := strings.Split(line, "\t"); len(f) == 3 {
			routes[f[0]+" "+f[1]] = f[2]
		}
	})
}

// passedTests gives the full name of each test that passed by the last two
// parts of it, which is all that Tempest's log has.
func passedTests(results []result) map[string]string {
	passed := map[string]string{}
	for _, r := range results {
		parts := strings.Split(bare(r.name), ".")
		if r.state != "ok" || len(parts) < 2 {
			continue
		}
		short := strings.Join(parts[len(parts)-2:], ".")
		if have, ok := passed[short]; !ok || bare(r.name) < have {
			passed[short] = bare(r.name)
		}
		// What sets a class up and tidies it away is the suite's, too, when a test of the class passed.
		for _, around := range []string{"setUpClass", "setUp", "tearDownClass", "_run_cleanups", "tearDown"} {
			passed[parts[len(parts)-2]+"."+around] = strings.Join(parts[:len(parts)-1], ".") + " (" + around + ")"
		}
	}
	return passed
}

// eachLine reads a file of long lines.
func eachLine(path string, see func(line string)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		see(lines.Text())
	}
	return lines.Err()
}

// testsByRequest reads Tempest's log: which passed test asked a request.
func testsByRequest(path string, passed map[string]string) (map[string]string, error) {
	tests := map[string]string{}
	err := eachLine(path, func(line string) {
		if f := asked.FindStringSubmatch(line); f != nil && passed[f[2]+"."+f[3]] != "" {
			tests[f[1]] = passed[f[2]+"."+f[3]]
		}
	})
	return tests, err
}

// routesOf reads hearth's log: the first test, by name, of each route; one that
// asked itself goes before what is done around tests.
func routesOf(path string, tests map[string]string) (map[string]string, error) {
	routes := map[string]string{}
	err := eachLine(path, func(line string) {
		f := served.FindStringSubmatch(line)
		if f == nil || f[2] >= "400" || tests[f[3]] == "" {
			return
		}
		route, test := f[1]+" "+f[4], tests[f[3]]
		have, ok := routes[route]
		if direct := !strings.Contains(test, "("); !ok || direct == !strings.Contains(have, "(") && test < have || direct && strings.Contains(have, "(") {
			routes[route] = test
		}
	})
	return routes, err
}
