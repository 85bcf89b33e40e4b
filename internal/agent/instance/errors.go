package instance

import (
	"errors"
	"syscall"
	"time"

	"hearth/internal/cloud"
)

// hostError gives an error of the operating system a kind.
func hostError(op string, err error) error {
	var known *cloud.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC):
		return cloud.E(op, cloud.NoCapacity, "the disk where the node keeps its instances is full: %w", err)
	}
	return cloud.E(op, cloud.Internal, "%w", err)
}

// passing tells whether a failure may pass by itself: the step is tried again.
func passing(err error) bool {
	switch cloud.KindOf(err) {
	case cloud.Unavailable, cloud.Internal:
		return true
	}
	return false
}

// backoff is the wait before the next try after n failures: 0.5 s, doubled up
// to half a minute.
func backoff(n int) time.Duration {
	return min(500*time.Millisecond<<min(max(n-1, 0), 10), 30*time.Second)
}
