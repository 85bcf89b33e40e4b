package file

import (
	"context"
	"errors"
	"os"
	"syscall"

	"hearth/internal/cloud"
)

// hostError gives an error of the operating system its kind: a full disk is a
// lack of capacity, what a later try may heal is Unavailable.
func hostError(op string, err error) error {
	var known *cloud.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return cloud.E(op, cloud.NoCapacity, "the disk where images and disks are kept is full: free some space there or move it (--data): %w", err)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return cloud.E(op, cloud.Unavailable, "stopped before it was done: %w", err)
	case errors.Is(err, os.ErrPermission):
		return cloud.E(op, cloud.Internal, "hearth may not do this with its own files; check their owner: %w", err)
	}
	return cloud.E(op, cloud.Internal, "%w", err)
}
