package image

import (
	"context"
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync"
	"sync/atomic"

	"hearth/internal/cloud"
)

// A received block is handed to all the hashes and to the disk at once. Blocks
// are small enough to stay in the processor's cache until the last has it, and
// so many that a slow one does not stop the others.
const (
	blockSize  = 256 << 10
	blockCount = 24
)

type block struct {
	data []byte
	n    int
	left atomic.Int32 // sinks that still need it
}

// sums is what is known of bytes that were received.
type sums struct {
	size        int64
	md5, sha512 string
}

// receiver reads a stream once, and hashes and writes it by the way.
type receiver struct {
	free    chan *block
	sinks   []chan *block
	work    sync.WaitGroup
	broken  atomic.Bool
	failure error // of the writer; read after work is done
}

// errTooMuch says that more bytes came than are allowed.
var errTooMuch = errors.New("too many bytes")

// readError is a failure of the side that sends.
type readError struct{ error }

// Unwrap gives the cause.
func (e readError) Unwrap() error { return e.error }

// receive copies src to dst in one pass, and gives its sums. It reads most bytes
// at most. Failures of src are a readError, those of dst are as they are. more are given
// all bytes too.
func receive(ctx context.Context, dst io.Writer, src io.Reader, most int64, more ...hash.Hash) (sums, error) {
	r := &receiver{free: make(chan *block, blockCount)}
	hashes := []hash.Hash{md5.New(), sha512.New()} // MD5 is what glance calls the checksum
	for _, h := range append(hashes, more...) {
		r.sink(func(p []byte) { h.Write(p) }) // hashes do not fail
	}
	r.sink(func(p []byte) {
		if r.failure == nil {
			if _, r.failure = dst.Write(p); r.failure != nil {
				r.broken.Store(true)
			}
		}
	})
	size, err := r.read(ctx, src, most)
	for _, s := range r.sinks {
		close(s)
	}
	r.work.Wait()
	if r.failure != nil {
		err = r.failure
	}
	text := func(i int) string { return hex.EncodeToString(hashes[i].Sum(nil)) }
	return sums{size, text(0), text(1)}, err
}

// sink starts what takes each block.
func (r *receiver) sink(take func([]byte)) {
	in := make(chan *block, blockCount)
	r.sinks = append(r.sinks, in)
	r.work.Go(func() {
		for b := range in {
			take(b.data[:b.n])
			if b.left.Add(-1) == 0 {
				r.free <- b
			}
		}
	})
}

// read hands out blocks until the end.
func (r *receiver) read(ctx context.Context, src io.Reader, most int64) (size int64, err error) {
	made := 0
	for !r.broken.Load() {
		if err := ctx.Err(); err != nil {
			return size, readError{err}
		}
		b := r.next(&made)
		b.n, err = fill(src, b.data)
		size += int64(b.n)
		if size > most {
			return size, errTooMuch
		}
		if b.n > 0 {
			b.left.Store(int32(len(r.sinks)))
			for _, s := range r.sinks {
				s <- b
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return size, nil
		case err != nil:
			return size, readError{err}
		}
	}
	return size, nil
}

// fill reads until the block is full or the stream has ended, with the stream's
// own error: io.ReadFull would call a broken connection and a short last block
// the same.
func fill(src io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = src.Read(p[n:])
		n += m
	}
	return n, err
}

// next gives a free block; small uploads never make all of them.
func (r *receiver) next(made *int) *block {
	select {
	case b := <-r.free:
		return b
	default:
	}
	if *made < blockCount {
		*made++
		return &block{data: make([]byte, blockSize)}
	}
	return <-r.free
}

// tooLarge is the error for more bytes than allowed.
func tooLarge(most int64) error {
	return cloud.E("image.Upload", cloud.TooLarge, "The image is larger than the %d bytes that are allowed here.", most)
}
