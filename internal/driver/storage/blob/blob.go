// Package blob keeps the bytes of images in a folder, each file named by what it
// holds: the SHA-512 digest. Zeros take no room.
//
//	DIR/sha512/<hex>   the bytes, whole, never changed
//	DIR/staged/<id>    uploads under way; whatever is there at start-up is left over
//	DIR/parts/<id>     uploads that come in parts, see parts.go
//
// It implements the Blobs of service/image. The files may be read by anybody, so
// that a node on this host can link them into its cache for the user that guests
// run as; the folder may not, so that nobody gets at them by name.
package blob

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"hearth/internal/cloud"
)

// Store is a folder of blobs. It is safe for concurrent use, by one process.
type Store struct{ blobs, staged, parts string }

// stage is an upload under way. It is spelt as in service/image: an alias of an
// unnamed interface, so that neither room imports the other.
type stage = interface {
	io.Writer
	io.ReaderAt
	Name() string
	Seal() error
	Keep(digest string) error
	Discard()
}

// Open opens a folder, and makes it if need be.
func Open(dir string) (*Store, error) {
	d := &Store{blobs: filepath.Join(dir, "sha512"), staged: filepath.Join(dir, "staged"), parts: filepath.Join(dir, "parts")}
	for _, path := range []string{dir, d.blobs, d.staged, d.parts} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, cloud.E("blob.Open", cloud.Internal, "the folder of the images cannot be made: %w", err)
		}
	}
	return d, nil
}

// Stage begins an upload.
func (d *Store) Stage(context.Context) (stage, error) {
	f, err := os.OpenFile(filepath.Join(d.staged, cloud.NewID()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, failed("blob.Stage", err)
	}
	return newStaged(d, f)
}

// Open reads a blob; NotFound.
func (d *Store) Open(digest string) (io.ReadSeekCloser, error) {
	path, err := d.Path(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, failed("blob.Open", err)
	}
	return &reader{f}, nil
}

// Path is the file with the bytes of a digest; NotFound.
func (d *Store) Path(digest string) (string, error) {
	const op = "blob.Path"
	path, err := d.place(digest)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", cloud.E(op, cloud.NotFound, "the image store has no bytes with the digest %s", digest)
	} else if err != nil {
		return "", failed(op, err)
	}
	return path, nil
}

// place is where the bytes of a digest belong.
func (d *Store) place(digest string) (string, error) {
	name, ok := strings.CutPrefix(digest, "sha512:")
	if raw, err := hex.DecodeString(name); !ok || err != nil || len(raw) != sha512.Size || strings.ToLower(name) != name {
		return "", cloud.E("blob.Path", cloud.Internal, "%q is not a digest: want sha512: and 128 hexadecimal digits", digest)
	}
	return filepath.Join(d.blobs, name), nil
}

// Remove removes a blob. No error when it is gone. Who reads it already, may
// read on.
func (d *Store) Remove(digest string) error {
	path, err := d.place(digest)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed("blob.Remove", err)
	}
	return nil
}

// Digests lists what is kept, sorted.
func (d *Store) Digests(context.Context) ([]string, error) {
	entries, err := os.ReadDir(d.blobs)
	if err != nil {
		return nil, failed("blob.Digests", err)
	}
	list := make([]string, 0, len(entries))
	for _, e := range entries {
		if digest := "sha512:" + e.Name(); e.Type().IsRegular() {
			if _, err := d.place(digest); err == nil {
				list = append(list, digest)
			}
		}
	}
	slices.Sort(list)
	return list, nil
}

// Clean removes what uploads left behind that died with their process. It must
// be called before the first Stage.
func (d *Store) Clean(context.Context) error {
	entries, err := os.ReadDir(d.staged)
	if err != nil {
		return failed("blob.Clean", err)
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(d.staged, e.Name())); err != nil {
			return failed("blob.Clean", err)
		}
	}
	return nil
}

// failed gives an error of the file system its kind.
func failed(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return cloud.E(op, cloud.TooLarge, "Image storage media is full: remove images or give the store more room. (%w)", err)
	case errors.Is(err, syscall.EFBIG):
		return cloud.E(op, cloud.TooLarge, "The image is larger than the file system of the image store takes. (%w)", err)
	}
	return cloud.E(op, cloud.Internal, "the image store failed: %w", err)
}
