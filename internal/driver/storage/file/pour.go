package file

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"hearth/internal/cloud"
	"hearth/internal/driver/storage"
)

// Made has make put a file into a folder of its own in tmp, and use gets it, open for reading,
// with its size in bytes. The folder goes when use is done. Errors are as make, use and the
// operating system give them.
func Made(tmp string, make func(dir string) (path string, err error), use func(src *os.File, size int64) error) error {
	dir, err := os.MkdirTemp(tmp, "made")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path, err := make(dir)
	if err != nil {
		return err
	}
	src, err := os.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	st, err := src.Stat()
	if err != nil {
		return err
	}
	return use(src, st.Size())
}

// MadeAs is the make of Made that writes the file NAME.
func MadeAs(name string, write func(path string) error) func(dir string) (string, error) {
	return func(dir string) (string, error) {
		path := filepath.Join(dir, name)
		return path, write(path)
	}
}

// RawImage is the make of Made that gives a file with the raw bytes of an image, for drivers
// that keep disks elsewhere: localPath itself, or one in the folder, checked against the digest.
// Kernels and ISOs stay as they are. Unsupported for formats that are converted nowhere.
func RawImage(ctx context.Context, k Kitchen, ref cloud.ImageRef, localPath string, open func() (io.ReadCloser, error)) func(dir string) (string, error) {
	return func(dir string) (string, error) {
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
}

// Pour copies src to the beginning of dst, a file or a device that reads as zeros:
// zeros are left out.
func Pour(ctx context.Context, dst *os.File, src io.Reader) error {
	return hostError("storage.Write", stream(ctx, &holeWriter{f: dst}, src))
}
