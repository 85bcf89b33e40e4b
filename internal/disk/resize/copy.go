package resize

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"hearth/internal/disk"
)

// piecewise is how much is read at a time.
const piecewise = 1 << 20

var zeros [disk.HoleSize]byte

// copyData writes to out, at the byte at, what r has in size bytes from the byte from
// on. Zeros are not written: out has holes there. What r does not store is not read.
// tell is told to what byte of out it has come; it may be nil.
func copyData(ctx context.Context, out *os.File, at int64, r io.ReaderAt, from, size int64, tell func(at int64)) error {
	b, end := make([]byte, piecewise), from+size
	for off := from; off < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		begin, stop, err := stored(r, off, end)
		if err != nil {
			return err
		}
		if begin >= end {
			return nil
		}
		p := b[:min(piecewise, stop-begin)]
		if n, err := r.ReadAt(p, begin); err != nil && (n < len(p) || !errors.Is(err, io.EOF)) {
			return err
		}
		if err := writeData(out, p, at+begin-from); err != nil {
			return err
		}
		if off = begin + int64(len(p)); tell != nil {
			tell(at + off - from)
		}
	}
	return nil
}

// writeData writes the blocks of p that are not zero, runs of them at once.
func writeData(out *os.File, p []byte, at int64) error {
	zero := func(i int) bool { b := p[i:min(i+len(zeros), len(p))]; return bytes.Equal(b, zeros[:len(b)]) }
	for i := 0; i < len(p); {
		if zero(i) {
			i += len(zeros)
			continue
		}
		j := i
		for j < len(p) && !zero(j) {
			j += len(zeros)
		}
		j = min(j, len(p))
		if _, err := out.WriteAt(p[i:j], at+int64(i)); err != nil {
			return err
		}
		i = j
	}
	return nil
}

// stored finds the next bytes from off on that are not known to be zero.
func stored(r io.ReaderAt, off, end int64) (begin, stop int64, err error) {
	switch r := r.(type) {
	case *os.File:
		begin, err = r.Seek(off, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return end, end, nil
		}
		if err != nil { // a file system or device that does not tell
			return off, end, nil
		}
		if stop, err = r.Seek(begin, unix.SEEK_HOLE); err != nil {
			return begin, end, nil
		}
		return begin, min(stop, end), nil
	case *disk.QCOW2Reader:
		for off < end {
			has, n, err := r.Stored(off)
			if err != nil {
				return 0, 0, err
			}
			if has {
				return off, min(off+n, end), nil
			}
			off += n
		}
		return end, end, nil
	}
	return off, end, nil
}
