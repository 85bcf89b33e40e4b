package outside

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// ReadExpected reads a list of known failures: a test, a tab, the reason. Empty
// lines and those that begin with # are left out; a line without a reason is an
// error that names it.
func ReadExpected(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	expected := map[string]string{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		test, reason, _ := strings.Cut(line, "\t")
		if strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s:%d: a known failure needs a tab and a reason", path, n)
		}
		expected[test] = reason
	}
	return expected, lines.Err()
}
