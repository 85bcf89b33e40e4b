package neutron

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// row is a line of the table in docs/extensions.md: the alias, its kind, and the test
// that sees it, with the file that the test is in, but for those from outside.
var row = regexp.MustCompile("(?m)^\\| `([a-z0-9_-]+)` \\| (node|api) \\| [^|]* \\| `([A-Za-z0-9_.]+)`(?: ([a-z0-9_/.]+))? \\|$")

// TestAliasesAreSeen: what is advertised is enforced, and by which test is told.
func TestAliasesAreSeen(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	table, err := os.ReadFile(filepath.Join(root, "docs", "extensions.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for _, m := range row.FindAllStringSubmatch(string(table), -1) {
		if rows[m[1]] != nil {
			t.Errorf("%s is there twice", m[1])
		}
		rows[m[1]] = m
	}
	if lines := strings.Count(string(table), "\n| `"); lines != len(rows) {
		t.Errorf("%d of %d rows can be read", len(rows), lines)
	}
	for _, e := range extensions {
		m := rows[e.alias]
		if m == nil {
			t.Errorf("%s is advertised, and docs/extensions.md does not say which test sees it", e.alias)
			continue
		}
		delete(rows, e.alias)
		kind, test, file := m[2], m[3], m[4]
		if file == "" {
			if kind == "node" || !strings.HasPrefix(test, "tempest.") && !strings.HasPrefix(test, "neutron_tempest_plugin.") {
				t.Errorf("%s: no file for %s", e.alias, test)
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil || !strings.Contains(string(text), "func "+test+"(t *testing.T) {") {
			t.Errorf("%s: there is no %s in %s (%v)", e.alias, test, file, err)
		}
	}
	for alias := range rows {
		t.Errorf("docs/extensions.md has %s, which is not advertised", alias)
	}
}
