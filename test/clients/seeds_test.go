package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The list is held against the documents wherever they are at hand.
func TestSeedsStandInTheDocuments(t *testing.T) {
	lines, err := parseSeeds(seedsList)
	if err != nil || len(lines) != 9 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for _, l := range lines {
		if l.line == "" {
			t.Errorf("%s has no words", l.place)
		}
		var doc string
		var n int
		if _, err := fmt.Sscanf(strings.Replace(l.place, ":", " ", 1), "%s %d", &doc, &n); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob("../../../shared/seeds/" + doc + "_*.txt")
		if len(files) == 0 {
			files, _ = filepath.Glob("../../../../shared/seeds/" + doc + "_*.txt")
		}
		if len(files) != 1 {
			continue // a clone has none of the documents
		}
		body, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(strings.Join(strings.Split(string(body), "\n")[n-1:], " ")), " ")
		want := strings.Join(strings.Fields(l.line), " ")
		if !strings.Contains(strings.ReplaceAll(text, ", boot_order", ",boot_order"), want) {
			t.Errorf("%s does not say %q", l.place, want)
		}
	}
}
