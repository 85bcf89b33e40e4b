package storage

import (
	"context"
	"errors"
	"syscall"

	"hearth/internal/cloud"
)

// HostError gives an error of the operating system its kind: NoCapacity where room lacks, which
// full tells whose it is; Unavailable where it was stopped. One that has a kind is as it was; nil
// is what is none of these.
func HostError(op, full string, err error) error {
	var known *cloud.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return cloud.E(op, cloud.NoCapacity, full+": %w", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return cloud.E(op, cloud.Unavailable, "stopped before it was done: %w", err)
	}
	return nil
}
