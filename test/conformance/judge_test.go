package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	const a, b, setUp = "x.Class.test_a[id-1]", "x.Class.test_b[id-2,smoke]", "setUpClass (x.Class)"
	for _, tt := range []struct {
		name         string
		results      []result
		wanted       []string
		expected     map[string]string
		wrong, stale string // part of the only sentence, "" for none
	}{
		{name: "all good", results: []result{{name: a, state: "ok"}, {name: b, state: "ok"}}, wanted: []string{a, b}},
		{name: "a failure", results: []result{{name: a, state: "FAILED"}}, wanted: []string{a}, wrong: "FAILED and not expected: x.Class.test_a"},
		{name: "a known failure", results: []result{{name: a, state: "FAILED"}}, wanted: []string{a}, expected: map[string]string{"x.Class.test_a": "why"}},
		{name: "a known failure that passes", results: []result{{name: a, state: "ok"}}, wanted: []string{a}, expected: map[string]string{"x.Class.test_a": "why"}, stale: "x.Class.test_a"},
		{name: "a skip of the list", results: []result{{name: a, state: "SKIPPED", reason: "no"}}, wanted: []string{a}, wrong: "SKIPPED: no: x.Class.test_a"},
		{name: "a skipped class of the list", results: []result{{name: setUp, state: "SKIPPED", reason: "no"}}, wanted: []string{b}, wrong: "SKIPPED: no: x.Class.test_b"},
		{name: "a class not set up", results: []result{{name: setUp, state: "FAILED"}}, wanted: []string{b}, wrong: "FAILED and not expected: setUpClass (x.Class)"},
		{name: "a test that did not run", wanted: []string{b}, wrong: "did not run: x.Class.test_b"},
		{name: "a skip outside of lists", results: []result{{name: a, state: "SKIPPED", reason: "no"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := judge(tt.results, tt.wanted, tt.expected)
			same(t, v.wrong, tt.wrong)
			same(t, v.stale, tt.stale)
		})
	}
}

func same(t *testing.T, have []string, want string) {
	t.Helper()
	if (want == "") != (len(have) == 0) || len(have) > 1 || !strings.Contains(strings.Join(have, ""), want) {
		t.Errorf("%q, not %q", have, want)
	}
}

func TestResultLines(t *testing.T) {
	said := "{0} x.Class.test_a[id-1] [0.300000s] ... ok\n{1} setUpClass (x.Class) ... SKIPPED: why: so\n\n    Traceback\n{0} x.Class.test_b [2.1s] ... FAILED\n"
	have := read(strings.NewReader(said), false)
	want := []result{{"x.Class.test_a[id-1]", "ok", ""}, {"setUpClass (x.Class)", "SKIPPED", "why: so"}, {"x.Class.test_b", "FAILED", ""}}
	if len(have) != len(want) {
		t.Fatalf("%v", have)
	}
	for i := range want {
		if have[i] != want[i] {
			t.Errorf("%v, not %v", have[i], want[i])
		}
	}
}

func TestCoverageIsByRequestOfPassedTests(t *testing.T) {
	dir := t.TempDir()
	const one, two, three = "req-00000000-0000-4000-8000-000000000001", "req-00000000-0000-4000-8000-000000000002", "req-00000000-0000-4000-8000-000000000003"
	tempest := filepath.Join(dir, "tempest.log")
	hearth := filepath.Join(dir, "hearth.log")
	write(t, tempest, "x [", one, " ", one, " ] Request (Class:test_a): 200 GET http://h/v3/users 0.1s\n",
		"x [", two, " ", two, " ] Request (Class:test_b): 200 GET http://h/v3/roles 0.1s\n",
		"x [", three, " ", three, " ] Request (Class:test_a): 404 GET http://h/v3/users/x 0.1s\n")
	write(t, hearth, line("/v3/users", 200, one), line("/v3/roles", 200, two), line("/v3/users/{user_id}", 404, three))
	out := filepath.Join(dir, "out.tsv")
	if _, err := writeCoverage(out, tempest, hearth, []result{{name: "x.Class.test_a[id-1]", state: "ok"}, {name: "x.Class.test_b", state: "FAILED"}}, false); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(out)
	if want := "GET\t/v3/users\tx.Class.test_a\n"; err != nil || string(body) != want {
		t.Errorf("%q, %v; not %q", body, err, want)
	}
	write(t, out, "GET\t/v3/roles\tother\n")
	if n, err := writeCoverage(out, tempest, hearth, []result{{name: "x.Class.test_a[id-1]", state: "ok"}}, true); err != nil || n != 2 {
		t.Errorf("%d routes, %v", n, err)
	}
	body, err = os.ReadFile(out)
	if want := "GET\t/v3/roles\tother\nGET\t/v3/users\tx.Class.test_a\n"; err != nil || string(body) != want {
		t.Errorf("added: %q, %v; not %q", body, err, want)
	}
}

// TestLists: what the mode union leaves to the mode ssh is there, and no list
// names a test twice.
func TestLists(t *testing.T) {
	o := options{dir: "."}
	seen := map[string]bool{}
	for _, name := range []string{"ssh", "scenario"} {
		tests, err := o.wantedTests(modes[name])
		if err != nil || len(tests) == 0 {
			t.Fatalf("%s: %d tests, %v", name, len(tests), err)
		}
		for _, test := range tests {
			if seen[bare(test)] || !strings.HasSuffix(test, "]") {
				t.Errorf("%s: %s is there twice, or has no id", name, test)
			}
			seen[bare(test)] = true
		}
	}
	body, err := os.ReadFile("interop-union.list")
	if err != nil {
		t.Fatal(err)
	}
	leftOut := regexp.MustCompile(inGuest)
	for line := range strings.Lines(string(body)) {
		if leftOut.MatchString(line) && !seen[bare(line)] {
			t.Errorf("no mode runs %s", line)
		}
	}
}

func line(route string, status int, id string) string {
	return strings.NewReplacer("ROUTE", route, "STATUS", map[int]string{200: "200", 404: "404"}[status], "ID", id).Replace(
		"time=x level=INFO msg=request method=GET path=/p status=STATUS bytes=1 took=1ms request=ID from=a api=identity route=ROUTE user=u\n")
}

func write(t *testing.T, path string, parts ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(parts, "")), 0o600); err != nil {
		t.Fatal(err)
	}
}
