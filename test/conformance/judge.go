package main

import (
	"slices"
	"strings"
)

// verdict is what is to be thought of a run.
type verdict struct {
	passed, failed, skipped int
	expected                int      // of those that failed
	wrong                   []string // sentences: a test that should not have come out so
	stale                   []string // sentences: a line of the list that is no longer true
}

// bare is a test's name without its tags.
func bare(name string) string {
	name, _, _ = strings.Cut(name, "[")
	return name
}

// classOf is the class that a setUpClass or tearDownClass speaks of; "" for a
// test.
func classOf(name string) string {
	if _, class, ok := strings.Cut(name, "Class ("); ok {
		return strings.TrimSuffix(class, ")")
	}
	return ""
}

// judge holds results against the tests that must run and those known to fail.
// A class that could not be set up counts as each of its wanted tests failing.
// Lines of the list that nothing was run for are left unjudged: they belong to
// another mode.
func judge(results []result, wanted []string, expected map[string]string) verdict {
	var v verdict
	seen := map[string]string{} // state by bare name
	for _, r := range results {
		name, class := bare(r.name), classOf(r.name)
		switch {
		case class != "" && r.state == "SKIPPED":
			seen[class] = "SKIPPED: " + r.reason
			v.skipped += max(1, count(wanted, class))
		case r.state == "ok":
			v.passed++
			seen[name] = "ok"
		case r.state == "SKIPPED":
			v.skipped++
			seen[name] = "SKIPPED: " + r.reason
		default:
			if class != "" {
				name = r.name
				seen[class] = "FAILED"
			}
			seen[name] = "FAILED"
			v.failed++
			if expected[name] != "" {
				v.expected++
			} else {
				v.wrong = append(v.wrong, "FAILED and not expected: "+name)
			}
		}
	}
	v.absent(wanted, seen, expected)
	v.outlived(seen, expected)
	return v
}

// absent finds wanted tests that did not run.
func (v *verdict) absent(wanted []string, seen, expected map[string]string) {
	for _, test := range wanted {
		name := bare(test)
		state, ok := seen[name]
		if !ok {
			state = seen[name[:strings.LastIndex(name, ".")]]
		}
		switch {
		case expected[name] != "", state == "ok", state == "FAILED":
		case strings.HasPrefix(state, "SKIPPED"):
			v.wrong = append(v.wrong, state+": "+name)
		default:
			v.wrong = append(v.wrong, "did not run: "+name)
		}
	}
}

// outlived finds lines of the list that did not fail.
func (v *verdict) outlived(seen, expected map[string]string) {
	for name := range expected {
		state, ran := seen[name]
		if state == "ok" || (ran && state != "FAILED") {
			v.stale = append(v.stale, "take this from expected-failures.txt, it is "+state+": "+name)
		}
	}
	slices.Sort(v.stale)
}

// count is how many wanted tests are of a class.
func count(wanted []string, class string) int {
	n := 0
	for _, test := range wanted {
		if strings.HasPrefix(test, class+".") {
			n++
		}
	}
	return n
}

// groupSkips gathers skipped tests by the reason they gave.
func groupSkips(results []result) map[string][]string {
	by := map[string][]string{}
	for _, r := range results {
		if r.state == "SKIPPED" {
			by[r.reason] = append(by[r.reason], r.name)
		}
	}
	return by
}
