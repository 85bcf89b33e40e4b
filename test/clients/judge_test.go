package main

import (
	"slices"
	"strings"
	"testing"

	"hearth/test/outside"
)

func TestJudge(t *testing.T) {
	expected := map[string]string{"a.known": "why", "b.*": "why", "c.mended": "why", "d.skipped": "why", "e.absent": "why"}
	v := judge([]result{
		{"a.known", failed, ""}, {"b.one", passed, ""}, {"b.two", failed, ""}, {"c.mended", passed, ""}, {"d.skipped", skipped, ""}, {"f.new", failed, "boom"},
	}, expected)
	slices.Sort(v.wrong)
	if v.passed != 2 || v.failed != 3 || v.known != 2 || v.skipped != 1 || len(v.wrong) != 2 ||
		!strings.Contains(v.wrong[0], "f.new: boom") || !strings.HasSuffix(v.wrong[1], "c.mended") {
		t.Errorf("%+v", v)
	}
}

func TestParseGo(t *testing.T) {
	const log = `{"Action":"run","Package":"x/internal/acceptance/openstack/identity/v3","Test":"TestA"}
{"Action":"output","Package":"x/internal/acceptance/openstack/identity/v3","Test":"TestA","Output":"    a_test.go:1: Failure in a_test.go, line 1: boom\n"}
{"Action":"fail","Package":"x/internal/acceptance/openstack/identity/v3","Test":"TestA"}
{"Action":"pass","Package":"x/internal/acceptance/openstack/identity/v3","Test":"TestB"}
{"Action":"pass","Package":"x/internal/acceptance/openstack/identity/v3","Test":"TestB/part"}
{"Action":"run","Package":"x/internal/acceptance/openstack/identity/v3","Test":"TestHangs"}
{"Action":"fail","Package":"x/internal/acceptance/openstack/identity/v3"}
`
	got, err := parseGo(strings.NewReader(log))
	want := []result{{"identity/v3.TestA", failed, "a_test.go:1: Failure in a_test.go, line 1: boom"}, {"identity/v3.TestB", passed, ""}, {"identity/v3.TestHangs", failed, "it did not end"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestKnownFailuresHaveReasons(t *testing.T) {
	if list, err := outside.ReadExpected("expected-failures.txt"); err != nil || len(list) == 0 {
		t.Errorf("%d lines, %v", len(list), err)
	}
}
