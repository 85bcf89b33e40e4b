package file

import (
	"errors"
	"os"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// hostError gives an error of the operating system its kind: a full disk is a
// lack of capacity, what a later try may heal is Unavailable.
func hostError(op string, err error) error {
	if known := storage.HostError(op, "the disk where images and disks are kept is full: free some space there or move it (--data)", err); known != nil || err == nil {
		return known
	}
	if errors.Is(err, os.ErrPermission) {
		return cloud.E(op, cloud.Internal, "hearth may not do this with its own files; check their owner: %w", err)
	}
	return cloud.E(op, cloud.Internal, "%w", err)
}
