package file

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// RawImage gives a file with the raw bytes of an image, for drivers that keep disks
// elsewhere: localPath itself, or one made in the folder dir, checked against the
// digest. Kernels and ISOs stay as they are. Unsupported for formats that are
// converted nowhere.
func RawImage(ctx context.Context, k Kitchen, dir string, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) (string, error) {
	const op = "storage.EnsureImage"
	asIs, err := storage.AsIs(ref)
	if err != nil {
		return "", err
	}
	path := localPath
	if path == "" {
		path = filepath.Join(dir, "source")
		if err := fetch(ctx, ref, open, path); err != nil {
			return "", err
		}
	}
	if asIs {
		return path, nil
	}
	raw := filepath.Join(dir, "raw")
	return raw, hostError(op, k.ToRaw(ctx, path, ref.Format, raw))
}

// Pour copies src to the beginning of dst, a file or a device that reads as zeros:
// zeros are left out.
func Pour(ctx context.Context, dst *os.File, src io.Reader) error {
	return hostError("storage.Write", stream(ctx, &holeWriter{f: dst}, src))
}
