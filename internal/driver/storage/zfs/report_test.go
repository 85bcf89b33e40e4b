package zfs

import (
	"strings"
	"testing"
)

// report is what 'zfs get' 2.1.11 prints, less some of the properties, of a disk with a snapshot that has two clones, and of
// others' datasets.
const report = "tank/hearth/d-a\tvolsize\t1048576\tlocal\n" +
	"tank/hearth/d-a\tvolblocksize\t16384\t-\n" +
	"tank/hearth/d-a\tdefer_destroy\t-\t-\n" +
	"tank/hearth/d-a\tclones\t-\t-\n" +
	"tank/hearth/d-a\thearth:kind\tdisk\tlocal\n" +
	"tank/hearth/d-a\thearth:owner\tnode1\treceived\n" +
	"tank/hearth/d-a@h-late\tcreatetxg\t12\t-\n" +
	"tank/hearth/d-a@h-late\thearth:kind\tdisk\tinherited from tank/hearth/d-a\n" +
	"tank/hearth/d-a@h-1\tvolsize\t1048576\t-\n" +
	"tank/hearth/d-a@h-1\tcreatetxg\t11\t-\n" +
	"tank/hearth/d-a@h-1\tdefer_destroy\ton\t-\n" +
	"tank/hearth/d-a@h-1\tclones\ttank/hearth/d-b,tank/theirs\t-\n" +
	"tank/hearth/d-a@h-1\thearth:kind\tcopy\tlocal\n" +
	"tank/hearth/theirs\tvolsize\t4096\tlocal\n" +
	"tank/hearth/theirs\thearth:kind\tdisk\tinherited from tank\n" +
	"tank/hearth/fs@snap\tcreatetxg\t3\t-\n" +
	"tank/hearth/deeper/vol\tvolsize\t4096\tlocal\n" +
	"tank/hearth@snap\tcreatetxg\t3\t-\n" +
	"tank/hearthstone\tvolsize\t4096\tlocal\n"

func TestParse(t *testing.T) {
	all, err := parse(report, "tank/hearth")
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	a := all["d-a"]
	if !a.own() || a.Size != 1<<20 || a.Block != 16384 || a.Owner != "node1" || a.To != "" || len(a.Snaps) != 2 {
		t.Fatalf("%+v", a)
	}
	if s := a.Snaps[0]; s.Name != "h-1" || s.Kind != kindCopy || !s.Deferred || len(s.Clones) != 2 || s.Clones[1] != "tank/theirs" {
		t.Errorf("%+v", s)
	}
	if s := a.Snaps[1]; s.Name != "h-late" || s.Kind != "" || s.Deferred || len(s.Clones) != 0 {
		t.Errorf("what a snapshot inherits is taken for its own: %+v", s)
	}
	if all["theirs"].own() {
		t.Error("what a volume inherits is taken for its own")
	}
	for _, bad := range []string{"x", "a\tb\tc\n", "a\tb\tc\td\te\n"} {
		if _, err := parse(bad, "tank/hearth"); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// FuzzParse has zfs say anything: nothing of it may be taken for a volume of Hearth's outside the
// dataset, or without a property of its own.
func FuzzParse(f *testing.F) {
	f.Add(report)
	f.Add("tank/hearth/@\tvolsize\t1\t-\n")
	f.Add("tank/hearth/a\tvolsize\t-1\tlocal\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parse(text, "tank/hearth")
		if err != nil {
			return
		}
		for name, v := range all {
			if name == "" || strings.ContainsAny(name, "/@") || v.Name != name || v.Size <= 0 {
				t.Errorf("%q: %+v", name, v)
			}
			if v.own() && !strings.Contains(text, "\thearth:kind\t"+v.Kind+"\tlocal") && !strings.Contains(text, "\thearth:kind\t"+v.Kind+"\treceived") {
				t.Errorf("%q is taken for Hearth's", name)
			}
			_, _ = v.base()
			_ = v.round(1)
		}
	})
}
