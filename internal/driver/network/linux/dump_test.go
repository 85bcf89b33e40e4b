package linux

import (
	"errors"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestDump(t *testing.T) {
	interrupted, calls := 3, 0
	read := func() ([]int, error) {
		if calls++; calls <= interrupted {
			return []int{1}, netlink.ErrDumpInterrupted
		}
		return []int{1, 2}, nil
	}
	if list, err := dump(read); err != nil || len(list) != 2 || calls != 4 {
		t.Errorf("a list read while it changed: %v, %v after %d calls", list, err, calls)
	}
	interrupted, calls = dumpTries+1, 0
	if list, err := dump(read); !errors.Is(err, netlink.ErrDumpInterrupted) || list != nil {
		t.Errorf("a list that never holds still: %v, %v", list, err)
	}
	broken := errors.New("broken")
	calls = 0
	if _, err := dump(func() ([]int, error) { calls++; return nil, broken }); !errors.Is(err, broken) || calls != 1 {
		t.Errorf("another error: %v after %d calls", err, calls)
	}
}
