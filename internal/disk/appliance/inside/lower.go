package inside

import (
	"errors"

	"golang.org/x/sys/unix"
)

// lowering makes a mounted btrfs small: chunks that are not full are put together, and the end
// comes down, by ever smaller steps, until nothing more moves.
type lowering struct {
	size    int64 // bytes that it has
	balance func() error
	resize  func(size int64) error
	again   func() error // mounts it anew
	said    func()       // after each step
	broke   int
}

const (
	leastBtrfs = 128 << 20 // bytes
	mostBroken = 8
)

func (l *lowering) run() error {
	for range 3 {
		before := l.size
		if _, err := l.try(l.balance()); err != nil {
			return err
		}
		if err := l.lower(); err != nil {
			return err
		}
		if before-l.size < before/50 {
			break
		}
	}
	return nil
}

// lower brings the end down as far as it goes.
func (l *lowering) lower() error {
	for step := l.size / 2; step >= 4<<20; {
		want := (l.size - step) >> 20 << 20
		done := false
		if want >= leastBtrfs {
			var err error
			if done, err = l.try(l.resize(want)); err != nil {
				return err
			}
		}
		if done {
			l.size = want
		} else {
			step /= 2
		}
	}
	return nil
}

// try tells whether a step was done. One for which there is no room is not, nor is one that ran
// out of room in the middle of a transaction: then the kernel (6.1) aborts that and has the file system
// read-only (__btrfs_free_extent: errno=-28), which is as it was before once it is mounted anew.
func (l *lowering) try(err error) (bool, error) {
	l.said()
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL):
		return false, nil
	case errors.Is(err, unix.EROFS) && l.broke < mostBroken:
		l.broke++
		return false, l.again()
	}
	return false, err
}
