package linux

import (
	"errors"
	"os"
	"strings"
	"testing"

	"hearth/internal/cloud"
)

func TestOwn(t *testing.T) {
	folder, a, b := t.TempDir(), t.TempDir(), t.TempDir()
	open := func() *Driver {
		d, err := New(Config{Node: "one"})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	some := func() (bool, error) { return true, nil }
	none := func() (bool, error) { return false, nil }
	first := open()
	if err := first.own(folder, a, some); err != nil { // namespaces from before owners were written down
		t.Fatal(err)
	}
	second := open()
	if err := second.own(folder, b, none); cloud.KindOf(err) != cloud.Conflict || !strings.Contains(err.Error(), "hearth down --data "+a) {
		t.Errorf("beside one at work: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.own(folder, b, some); cloud.KindOf(err) != cloud.Conflict {
		t.Errorf("over namespaces of another: %v", err)
	}
	broken := errors.New("no list")
	if err := second.own(folder, b, func() (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("without a list: %v", err)
	}
	again := open()
	if err := again.own(folder, a, some); err != nil {
		t.Errorf("the owner itself: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.own(folder, b, none); err != nil {
		t.Errorf("after the other's are gone: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open().own(folder, a, some); cloud.KindOf(err) != cloud.Conflict {
		t.Errorf("the first one, later: %v", err)
	}
	if err := os.Remove(b); err != nil {
		t.Fatal(err)
	}
	if err := open().own(folder, a, some); err != nil {
		t.Errorf("after the other's data are gone: %v", err)
	}
}
