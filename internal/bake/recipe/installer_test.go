package recipe

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestInstaller reads the scaffold, and complains of what does not go together.
func TestInstaller(t *testing.T) {
	dir := t.TempDir()
	if _, err := Scaffold("installer", dir); err != nil {
		t.Fatal(err)
	}
	r, err := Load(filepath.Join(dir, "recipe.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if kind, answers, err := r.ReadAnswers(); kind != "preseed" || err != nil || !strings.Contains(string(answers), "partman-auto/method") {
		t.Errorf("%q, %v", kind, err)
	}
	for text, want := range map[string]string{
		"name: a\nbase: {installer: http://x.example/}\n":                                "an installer goes with its answers",
		"name: a\nbase: {installer: http://x.example/, answers: nothing.cfg}\n":          "nothing.cfg",
		"name: a\nbase: {installer: nowhere.iso, answers: kickstart=preseed.cfg}\n":      "nowhere.iso cannot be read",
		"name: a\nbase: {installer: http://x.example/, answers: a, bootstrap: debian}\n": "it has 2",
		"name: a\nbase: {installer: http://x.example/, answers: recipe.yaml}\n":          "of no kind that is known here",
		"name: a\nbase: {installer: http://x.example/, answers: autoyast=preseed.cfg}\n": "",
	} {
		r, err := Parse([]byte(text), filepath.Join(dir, "test.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, f := range r.Check() {
			said = append(said, f.Text)
		}
		if got := strings.Join(said, "|"); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
