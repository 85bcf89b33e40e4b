package main

import (
	"fmt"
	"strings"
)

// The states of a result.
const (
	passed  = "passed"
	failed  = "failed"
	skipped = "skipped"
)

// result is how one test came out.
type result struct{ name, state, reason string }

// verdict is what is to be thought of a run.
type verdict struct {
	passed, failed, skipped int
	known                   int      // of those that failed
	wrong                   []string // sentences
}

// lineFor is the line of the list that speaks of a test; "" for none. A line may
// end in * for all tests that begin so.
func lineFor(name string, expected map[string]string) string {
	if _, ok := expected[name]; ok {
		return name
	}
	for line := range expected {
		if prefix, ok := strings.CutSuffix(line, "*"); ok && strings.HasPrefix(name, prefix) {
			return line
		}
	}
	return ""
}

// judge holds results against the known failures. A line of which tests ran and
// none failed is no longer true.
func judge(results []result, expected map[string]string) verdict {
	var v verdict
	ran, broke := map[string]bool{}, map[string]bool{}
	for _, r := range results {
		line := lineFor(r.name, expected)
		switch r.state {
		case passed:
			v.passed++
			ran[line] = true
		case skipped:
			v.skipped++
		default:
			v.failed++
			ran[line], broke[line] = true, true
			if line != "" {
				v.known++
				continue
			}
			v.wrong = append(v.wrong, fmt.Sprintf("FAILED and not expected: %s: %s", r.name, r.reason))
		}
	}
	for line := range expected {
		if ran[line] && !broke[line] {
			v.wrong = append(v.wrong, "take this from expected-failures.txt, it passes: "+line)
		}
	}
	return v
}
