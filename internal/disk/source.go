package disk

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Source is a disk to be read from its beginning to its end. It may be used side
// by side.
type Source interface {
	io.ReaderAt
	// Size is how many bytes the disk has.
	Size() int64
	// Next gives the next bytes at or after off that are stored; what is before
	// them reads as zeros. Both are the size of the disk when none are.
	Next(off int64) (from, to int64, err error)
}

// Open opens the file or block device that an image is in. Anything else is Unsupported, with
// what to do: a pipe would let whoever opens it wait for a writer.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // which files and disks do not heed
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	switch mode := st.Mode(); {
	case mode.IsRegular(), mode&os.ModeDevice != 0 && mode&os.ModeCharDevice == 0:
		return f, nil
	case mode.IsDir():
		err = fail(Unsupported, "open image", "%s is a folder: name the file of an image", path)
	case mode&os.ModeNamedPipe != 0:
		err = fail(Unsupported, "open image", "%s is a pipe: 'hearth image convert -' reads an image from standard input", path)
	default:
		err = fail(Unsupported, "open image", "%s is neither a file nor a block device", path)
	}
	return nil, errors.Join(err, f.Close())
}

// OpenSource opens the disk in a file or block device of the format Raw or QCOW2,
// read in process. Unsupported of others.
func OpenSource(f *os.File, format Format) (Source, error) {
	size, err := f.Seek(0, io.SeekEnd) // of a block device too
	if err != nil {
		return nil, err
	}
	switch format {
	case Raw, ISO, AMI, AKI, ARI:
		return &rawSource{f, size}, nil
	case QCOW2:
		return NewQCOW2Reader(f, size)
	}
	return nil, fail(Unsupported, "read image", "images of format %s are not read in process", format)
}

// rawSource is a raw disk; its holes are where the file system has none of it.
type rawSource struct {
	*os.File
	size int64
}

// Size implements Source.
func (s *rawSource) Size() int64 { return s.size }

// Next implements Source.
func (s *rawSource) Next(off int64) (from, to int64, err error) {
	if off >= s.size {
		return s.size, s.size, nil
	}
	fd := int(s.Fd())
	from, err = unix.Seek(fd, off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return s.size, s.size, nil
	case err != nil: // a block device, or a file system that does not know
		return off, s.size, nil
	}
	if to, err = unix.Seek(fd, from, unix.SEEK_HOLE); err != nil {
		to = s.size
	}
	return min(from, s.size), min(to, s.size), nil
}

// Next implements Source.
func (q *QCOW2Reader) Next(off int64) (from, to int64, err error) {
	for from = off; from < q.Size(); {
		if q.l1[from/q.cluster()/(q.cluster()/8)]&qcow2Offset == 0 { // nothing in all of a table
			span := q.cluster() / 8 * q.cluster()
			from = (from/span + 1) * span
			continue
		}
		stored, n, err := q.Stored(from)
		if err != nil {
			return 0, 0, err
		}
		if stored {
			return from, from + n, nil
		}
		from += n
	}
	return q.Size(), q.Size(), nil
}

// Feed is a disk that is read once, from its beginning to its end.
type Feed struct {
	// Size is how many bytes it has; -1 of a stream that does not say.
	Size int64
	next func(*batch) error
}

// FeedOf reads a disk; what is not stored is not read.
func FeedOf(s Source) Feed { return Feed{s.Size(), batches(s)} }

// FeedStream reads a raw disk as it comes, to its end. size is -1 if it is not
// known. Refused if it is cut short, TooBig beyond [DefaultMaxVirtualSize].
func FeedStream(r io.Reader, size int64) Feed { return Feed{size, streamed(r, size)} }

// batches gives a disk by pieces: stored bytes, which the batch reads when it is
// worked on, and zeros. Each begins at a whole batch or ends there, so that the
// clusters of an image are in one.
func batches(s Source) func(*batch) error {
	at, from, to := int64(0), int64(0), int64(0)
	return func(b *batch) error {
		if at >= s.Size() {
			return io.EOF
		}
		if at >= to {
			var err error
			if from, to, err = s.Next(at); err != nil {
				return err
			}
		}
		b.off = at
		begin := from / batchSize * batchSize // of the batch in which something is stored
		if from >= s.Size() {
			begin = s.Size()
		}
		if begin > at {
			b.zeros = begin - at
			at = begin
			return nil
		}
		n := min(batchSize, s.Size()-at)
		b.data = b.buf[:n]
		b.fill = func(p []byte) error {
			if n, err := s.ReadAt(p, b.off); n < len(p) {
				if err == nil || errors.Is(err, io.EOF) && KindOf(err) == "" {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
			return nil
		}
		at += n
		return nil
	}
}

// streamed gives what a stream has by pieces, to its end.
func streamed(r io.Reader, size int64) func(*batch) error {
	at, over, tail := int64(0), false, []byte(nil)
	return func(b *batch) error {
		if over {
			return wholeStream(at, size, tail)
		}
		n, err := io.ReadFull(r, b.buf)
		over = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		b.off, b.data = at, b.buf[:n]
		at += int64(n)
		tail = append(tail, b.data[max(0, n-512):]...)
		tail = tail[max(0, len(tail)-512):]
		switch {
		case err != nil && !over:
			return err
		case at > DefaultMaxVirtualSize:
			return fail(TooBig, "read image", "the stream has more than the %d bytes that a disk may have", int64(DefaultMaxVirtualSize))
		case n == 0:
			return wholeStream(at, size, tail)
		}
		return nil
	}
}

// wholeStream judges a stream at its end; io.EOF is a good one.
func wholeStream(came, size int64, tail []byte) error {
	switch {
	case size >= 0 && came != size:
		return fail(Refused, "read image", "the stream ended after %d of %d bytes", came, size)
	case len(tail) == 512 && string(tail[:8]) == "conectix":
		return fail(Unsupported, "read image", "the stream is no raw disk but a vhd, which only its end tells; put it into a file first")
	}
	return io.EOF
}
