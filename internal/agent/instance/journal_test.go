package instance

import (
	"os"
	"path/filepath"
	"testing"

	"hearth/internal/cloud"
)

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.jsonl")
	j := journal{path: path}
	for i := range int64(5000) { // larger than the bound by far
		must(t, j.add(record{State: cloud.InstanceRunning, Generation: i}, false))
	}
	j.close()
	if fi, err := os.Stat(path); err != nil || fi.Size() > maxJournal {
		t.Errorf("%v, %v", fi, err)
	}
	for name, c := range map[string]struct {
		tail string
		want int64
	}{
		"whole": {"", 4999}, "cut short": {`{"State":"running","Gener`, 4999}, "zeros": {"\x00\x00\x00\n", 4999},
		"cut, then whole": {"{\"St\n{\"Generation\":7}\n", 7},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			must(t, err)
			p := filepath.Join(t.TempDir(), "x")
			must(t, os.WriteFile(p, append(data, c.tail...), 0o600))
			var r record
			found, err := lastRecord(p, &r)
			if err != nil || !found || r.Generation != c.want {
				t.Errorf("%v, %v, %d", found, err, r.Generation)
			}
		})
	}
	var r record
	if found, err := lastRecord(path+".none", &r); found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
	must(t, os.WriteFile(path, []byte("no line"), 0o600))
	if found, err := lastRecord(path, &r); found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}
