package main

import (
	"strings"
	"testing"
)

func TestRest(t *testing.T) {
	got := restOf("api", verdict{passed: 2, skipped: 3}, []result{
		{name: "x.y.Class.test_a[id-1]", state: "ok"},
		{name: "x.y.Class.test_b[id-2]", state: "SKIPPED", reason: "Cold migration not available."},
		{name: "setUpClass (x.y.Other)", state: "SKIPPED", reason: "Found shared networks: [{'id': '7'}]"},
		{name: "x.y.Class.test_c[id-3]", state: "SKIPPED", reason: "a reason | of its own"},
	})
	for _, want := range []string{
		"2 passed, 0 failed, 3 skipped",
		"| Class.test_b | Cold migration not available. | needs two hosts",
		"| Other | Found shared networks | is for clouds without",
		"| Class.test_c | a reason \\| of its own |  |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
