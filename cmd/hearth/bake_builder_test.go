package main

import (
	"os"
	"testing"
)

// TestMadeBy: what a bake left is taken away by the next one of the same host, and
// only when its process is no more.
func TestMadeBy(t *testing.T) {
	began := func(pid int) string { return map[int]string{7: "100"}[pid] }
	for name, want := range map[string]struct {
		whose string
		dead  bool
	}{
		"hearth-bake-here-7-100":      {"hearth-bake-here-7-100", false},
		"hearth-bake-here-7-100-test": {"hearth-bake-here-7-100", false},
		"hearth-bake-here-7-99":       {"hearth-bake-here-7-99", true}, // the number was given anew
		"hearth-bake-here-8-5-test":   {"hearth-bake-here-8-5", true},
		"hearth-bake-there-8-5":       {}, // nobody here knows
		"hearth-bake-cache":           {},
		"hearth-bake-here-x-5":        {},
		"web":                         {},
	} {
		if whose, dead := madeBy(name, "here", began); whose != want.whose || dead != want.dead {
			t.Errorf("%s: %q %v, want %q %v", name, whose, dead, want.whose, want.dead)
		}
	}
	if processBegan(os.Getpid()) == "" || processBegan(1<<30) != "" {
		t.Error("when a process began is not read right")
	}
}
