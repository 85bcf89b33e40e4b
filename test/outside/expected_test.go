package outside

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadExpected(t *testing.T) {
	for _, tt := range []struct {
		body string
		n    int
		err  string
	}{
		{"# words\n\na.test\twhy\nb.test\twhy\n", 2, ""},
		{"a.test\twhy\nb.test\n", 0, ":2: a known failure needs a tab and a reason"},
		{"a.test\t \n", 0, ":1:"},
	} {
		file := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(file, []byte(tt.body), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadExpected(file)
		if len(got) != tt.n || (tt.err == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%q: %v, %v", tt.body, got, err)
		}
	}
}
