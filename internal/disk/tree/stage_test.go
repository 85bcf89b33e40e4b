package tree

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestStageManySmall holds what a small file costs besides its content: system images
// have tens of thousands of them.
func TestStageManySmall(t *testing.T) {
	var many list
	for i := range 2000 {
		if i%100 == 0 {
			many = append(many, list{{Entry: Entry{Path: fmt.Sprintf("/d%d", i/100), Mode: TypeDir | 0o755}}}...)
		}
		many = append(many, list{{Entry: Entry{Path: fmt.Sprintf("/d%d/%d", i/100, i), Mode: TypeFile | 0o644}, content: "x"}}...)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s, err := Stage(context.Background(), many, Limits{}, filepath.Join(t.TempDir(), "tree"))
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / 2000; got > 8<<10 {
		t.Errorf("each file took %d bytes of memory", got)
	}
	if len(s.Entries) != 2020 || s.Bytes != 2000*blockSize {
		t.Errorf("%d entries, %d bytes", len(s.Entries), s.Bytes)
	}
}

// TestStageReplaced names a folder again that was open, and gone meanwhile.
func TestStageReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tree")
	_, err := Stage(context.Background(), list{
		{Entry: Entry{Path: "/d", Mode: TypeDir | 0o755}},
		{Entry: Entry{Path: "/d/x", Mode: TypeFile | 0o644}, content: "1"},
		{Entry: Entry{Path: "/d/x", Mode: TypeChar | 0o644}},
		{Entry: Entry{Path: "/d", Mode: TypeLink | 0o777, Link: "/"}},
		{Entry: Entry{Path: "/d", Mode: TypeDir | 0o755}},
		{Entry: Entry{Path: "/d/y", Mode: TypeFile | 0o644}, content: "2"},
	}, Limits{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "d/y")); err != nil || string(b) != "2" {
		t.Errorf("%q, %v", b, err)
	}
}
