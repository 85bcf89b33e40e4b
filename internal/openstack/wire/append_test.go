package wire

import (
	"testing"
)

// TestAppendTextIsEncodingJSON compares texts with what answers had before.
func TestAppendTextIsEncodingJSON(t *testing.T) {
	for _, s := range []string{"", "plain", `"quoted"`, `back\slash`, "<a&b>", "tab\tline\nret\r\b\f\x00\x1f\x7f", "grüße", "\u2028 \u2029", "broken \xff utf-8", "日本語"} {
		want := string(appendValue([]byte("x"), s))
		if got := string(AppendText([]byte("x"), s)); got != want {
			t.Errorf("%q: %s, encoding/json says %s", s, got, want)
		}
	}
	if got := string(AppendOptional(nil, nil)); got != "null" {
		t.Errorf("no text is %s", got)
	}
}

// FuzzAppendText does so with any text.
func FuzzAppendText(f *testing.F) {
	f.Add("a\"b\\c\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := string(AppendText(nil, s)), string(appendValue(nil, s)); got != want {
			t.Errorf("%q: %s, encoding/json says %s", s, got, want)
		}
	})
}
