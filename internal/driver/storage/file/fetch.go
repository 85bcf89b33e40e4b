package file

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"hearth/internal/cloud"
)

// fetch writes the bytes of an image to the new file dst, holes for zeros, and
// checks them against digest and size while it does.
func fetch(ctx context.Context, ref cloud.ImageRef, open func() (io.ReadCloser, error), dst string) error {
	const op = "storage.EnsureImage"
	src, err := open()
	if err != nil {
		return err
	}
	defer src.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return hostError(op, err)
	}
	h := sha512.New()
	limited := io.Reader(src)
	if ref.Size > 0 {
		limited = io.LimitReader(src, ref.Size+1) // one more tells that there are too many
	}
	w := &holeWriter{f: out}
	err = stream(ctx, io.MultiWriter(h, w), limited)
	if err = errors.Join(err, w.finish(), out.Close()); err != nil {
		return hostError(op, err)
	}
	if got := "sha512:" + hex.EncodeToString(h.Sum(nil)); got != ref.Digest || (ref.Size > 0 && w.at != ref.Size) {
		return cloud.E(op, cloud.Unavailable, "the %d bytes fetched of image %s are not those of its digest (%s, wanted %s): the transfer or the image store is damaged", w.at, ref.ID, got, ref.Digest)
	}
	return nil
}

// stream copies until the end or until ctx ends.
func stream(ctx context.Context, w io.Writer, r io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return werr
			}
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return nil
		case err != nil:
			return cloud.E("storage.EnsureImage", cloud.Unavailable, "reading what is to be written broke off: %w", err)
		}
	}
}

// holeWriter writes a file in order and leaves holes for blocks of zeros.
type holeWriter struct {
	f  *os.File
	at int64
}

var zeros [64 << 10]byte

func (w *holeWriter) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(zeros), len(p)-done)
		block := p[done : done+n]
		if !bytes.Equal(block, zeros[:n]) {
			if _, err := w.f.WriteAt(block, w.at); err != nil {
				return done, err
			}
		}
		done += n
		w.at += int64(n)
	}
	return len(p), nil
}

// finish gives the file its length, for a hole may be last.
func (w *holeWriter) finish() error { return w.f.Truncate(w.at) }
