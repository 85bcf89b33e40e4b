package fill

import (
	"strings"
	"testing"
	"time"
)

type nic struct{ MAC string }

var data = map[string]any{"Name": "web1", "NICs": []nic{{"aa"}, {"bb"}, {"cc"}}, "Settings": map[string]string{"RACK": "r1"}}

func TestFill(t *testing.T) {
	for text, want := range map[string]string{
		"":           "",
		"plain\n":    "plain\n",
		"{{.Name}}!": "web1!",
		"{{range .NICs}} {{.MAC}}{{else}}none{{end}}":                                   " aa bb cc",
		"{{range $i, $n := .NICs}}{{if $i}}, {{end}}{{$n.MAC}}{{end}}":                  "aa, bb, cc",
		"{{range .NICs}}{{if eq .MAC \"bb\"}}{{break}}{{end}}{{.MAC}}{{end}}":           "aa",
		"{{range 3}}{{.}}{{end}}":                                                       "012",
		"{{define \"a\"}}<{{.}}>{{end}}{{template \"a\" .Name}}":                        "<web1>",
		"{{block \"b\" .Name}}{{.}}{{end}}":                                             "web1",
		"{{with .Settings}}{{.RACK | printf \"%5s|%-5s\" \"x\"}}{{end}}":                "    x|r1   ",
		"{{print 1 .Name}} {{println 2}}{{html \"<\"}}{{js \"'\"}}{{urlquery \"a b\"}}": "1web1 2\n&lt;\\'a+b",
		"{{- range .NICs -}}\n x\n {{- end -}}\n":                                       "xxx",
	} {
		got, err := New().Fill("t", []byte(text), data)
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	double := "{{$a := printf \"%999d\" 1}}" + strings.Repeat("{{$a = print $a $a}}", 40)
	for name, text := range map[string]string{
		"missing":   "{{.None}}",
		"syntax":    "{{range}",
		"no end":    "{{range 9000000000000000000}}{{end}}",
		"nested":    strings.Repeat("{{range $.NICs}}", 60) + strings.Repeat("{{end}}", 60),
		"recursive": "{{define \"a\"}}{{if .}}{{template \"a\" .}}{{end}}{{end}}{{template \"a\" 1}}",
		"doubling":  doubled(60),
		"words":     double,
		"each":      "{{range .NICs}}" + double + "{{end}}",
		"kept":      "{{range 1000000}}{{$a := printf \"%999d\" 1}}{{end}}",
		"width":     "{{printf \"%1000000d\" 1}}",
		"star":      "{{printf \"%*d\" 1000000 1}}",
		"precision": "{{printf \"%.9999f\" 1.5}}",
		"again":     "{{$a := printf \"%900d\" 1}}{{$a = print $a $a $a $a $a $a $a $a $a $a}}{{$a = print $a $a $a $a $a $a $a $a $a $a}}{{printf \"" + strings.Repeat("%[1]s", 3000) + "\" $a}}",
		"html":      "{{$a := printf \"%999d\" 1}}" + strings.Repeat("{{$a = html $a \"<\" $a}}", 40),
		"says":      "{{range 100000}}" + strings.Repeat("x", 1000) + "{{end}}",
		"long":      strings.Repeat("x", MaxText+1),
		"step":      "{{hearth_step -1000}}",
	} {
		begin, f := time.Now(), New()
		f.steps /= 20
		got, err := f.Fill("t", []byte(text), data)
		if err == nil {
			t.Errorf("%s is filled: %d bytes", name, len(got))
		}
		t.Logf("%-10s %6.2f s: %.100v", name, time.Since(begin).Seconds(), err)
	}
}

// doubled are templates of which each calls the next twice.
func doubled(n int) string {
	var b strings.Builder
	b.WriteString("{{define \"t0\"}}{{end}}")
	for i := 1; i <= n; i++ {
		call := "{{template \"t" + strings.Repeat("i", i-1) + "\"}}"
		if i == 1 {
			call = "{{template \"t0\"}}"
		}
		b.WriteString("{{define \"t" + strings.Repeat("i", i) + "\"}}" + call + call + "{{end}}")
	}
	b.WriteString("{{template \"t" + strings.Repeat("i", n) + "\"}}")
	return b.String()
}

// TestTogether has many templates of one overlay share its room.
func TestTogether(t *testing.T) {
	f, text := New(), []byte("{{range 900}}"+strings.Repeat("x", 1000)+"{{end}}")
	for i := range 100 {
		if _, err := f.Fill("t", text, nil); err != nil {
			if i < 10 {
				t.Errorf("after %d: %v", i, err)
			}
			return
		}
	}
	t.Error("a hundred templates of 900 kB each")
}

func FuzzFill(f *testing.F) {
	for _, text := range []string{"{{.Name}}", "{{range .NICs}}{{.MAC}}{{end}}", "{{range 99999999}}{{end}}", "{{printf \"%5s\" .Name}}", "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		begin := time.Now()
		got, err := New().Fill("t", text, data)
		if len(got) > MaxText || err == nil && time.Since(begin) > time.Minute {
			t.Errorf("%d bytes in %s", len(got), time.Since(begin))
		}
	})
}
