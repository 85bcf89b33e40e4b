package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// HoleSize is the block in which zeros are looked for. It is the block size of
// the usual file systems: a smaller hole saves nothing.
const HoleSize = 4 << 10

var zeros [HoleSize]byte

// SparseWriter writes a stream to a file and leaves out what is zero, so that
// a disk image takes the room of its data only. Call [SparseWriter.Finish]
// after the last byte.
type SparseWriter struct {
	f      *os.File
	off    int64
	stored int64
	buf    []byte // of ReadFrom
}

// NewSparseWriter writes to f, which must be empty: holes are not punched.
func NewSparseWriter(f *os.File) (*SparseWriter, error) {
	w := &SparseWriter{}
	return w, w.Reset(f)
}

// Reset begins with another file, which must be empty, and keeps the buffer: a MiB
// anew for each of many small files would be most of what writing them takes.
func (w *SparseWriter) Reset(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.Size() != 0 {
		return fmt.Errorf("sparse write to %s: the file is not empty", f.Name())
	}
	*w = SparseWriter{f: f, buf: w.buf}
	return nil
}

// Write takes the next bytes of the stream. Runs of data go out in one system call.
func (w *SparseWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n := w.run(p[done:], true)
		w.off += int64(n)
		done += n
		if n = w.run(p[done:], false); n == 0 {
			continue
		}
		m, err := w.f.WriteAt(p[done:done+n], w.off)
		w.off += int64(m)
		w.stored += int64(m)
		done += m
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// run measures how many first bytes of p, in blocks of the file, are all zero
// (or, with zero false, have data in each block).
func (w *SparseWriter) run(p []byte, zero bool) int {
	n := 0
	for n < len(p) {
		block := HoleSize - int((w.off+int64(n))%HoleSize)
		piece := p[n:min(n+block, len(p))]
		if bytes.Equal(piece, zeros[:len(piece)]) != zero {
			break
		}
		n += len(piece)
	}
	return n
}

// ReadFrom copies r to its end with a buffer large enough to see whole holes.
func (w *SparseWriter) ReadFrom(r io.Reader) (int64, error) {
	if w.buf == nil {
		w.buf = make([]byte, 1<<20)
	}
	total := int64(0)
	for {
		n, err := io.ReadFull(r, w.buf)
		m, werr := w.Write(w.buf[:n])
		total += int64(m)
		switch {
		case werr != nil:
			return total, werr
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// Skip leaves n bytes out, as zeros.
func (w *SparseWriter) Skip(n int64) { w.off += n }

// Size is how many bytes were given.
func (w *SparseWriter) Size() int64 { return w.off }

// Stored is how many of them were written; the others are holes.
func (w *SparseWriter) Stored() int64 { return w.stored }

// Finish gives the file its full length. It neither syncs nor closes it.
func (w *SparseWriter) Finish() error { return w.f.Truncate(w.off) }

// CopySparse writes what src has to the new file path without its zeros, until it
// or ctx ends; after an error what was written is there still.
func CopySparse(ctx context.Context, path string, src io.Reader) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, err := NewSparseWriter(f)
	if err != nil {
		return err
	}
	if _, err := w.ReadFrom(until{ctx, src}); err != nil {
		return err
	}
	return w.Finish()
}

// until is a reader that ends with a context.
type until struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (u until) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
