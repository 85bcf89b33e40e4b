package inside

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLowering has a btrfs come down to what it needs, though it breaks when it is close to that.
func TestLowering(t *testing.T) {
	const needs = 700 << 20
	for name, brittle := range map[string]int64{"sound": 0, "breaks": 90 << 20} {
		broken, anew, breaks := false, 0, 0
		l := lowering{size: 3 << 30, said: func() {}, balance: func() error { return nil },
			again: func() error { broken = false; anew++; return nil },
			resize: func(size int64) error {
				switch {
				case broken:
					t.Fatalf("%s: resized while it is read-only", name)
				case size < needs:
					return unix.ENOSPC
				case size < needs+brittle && breaks < 3:
					broken = true
					breaks++
					return unix.EROFS
				}
				return nil
			}}
		if err := l.run(); err != nil || l.size < needs || l.size > needs+8<<20 || anew != breaks || broken {
			t.Errorf("%s: %d bytes, mounted anew %d times of %d, %v", name, l.size, anew, breaks, err)
		}
	}
}

// TestLoweringEnds gives up where each step breaks it, and where it is not mounted again.
func TestLoweringEnds(t *testing.T) {
	gone := errors.New("the kernel does not mount it")
	for _, again := range []error{nil, gone} {
		l := lowering{size: 3 << 30, said: func() {}, balance: func() error { return nil }, resize: func(int64) error { return unix.EROFS }, again: func() error { return again }}
		if err := l.run(); again != nil && !errors.Is(err, gone) || again == nil && !errors.Is(err, unix.EROFS) {
			t.Errorf("%v: %v", again, err)
		}
	}
}
