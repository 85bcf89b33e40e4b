package convert

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"

	"hearth/internal/disk"
	"hearth/internal/disk/ova"
	"hearth/internal/disk/workdir"
)

// Stream is an image that comes as a stream, whose beginning was looked at. As [Options.Input]
// it is read from that beginning on.
type Stream struct {
	io.Reader
	head []byte
	stop func()
}

// NewStream looks at the beginning of a stream. Reading ends when ctx does, though a read
// of r may not: of a terminal, or of a pipe to which nobody writes. Close lets it go.
func NewStream(ctx context.Context, r io.Reader) (*Stream, error) {
	src, stop := interruptible(ctx, r)
	head := make([]byte, disk.SniffLen)
	n, err := io.ReadFull(src, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		stop()
		return nil, err
	}
	head = head[:n]
	return &Stream{io.MultiReader(bytes.NewReader(head), src), head, stop}, nil
}

// Close lets the stream go.
func (s *Stream) Close() { s.stop() }

// packaged tells whether it is an OVA.
func (s *Stream) packaged() bool { return ova.Is(bytes.NewReader(s.head)) }

// HoldsFiles tells whether it is an archive, a dump or something packed, which are read
// from a file only. An OVA, which is an archive too, holds a disk.
func (s *Stream) HoldsFiles() bool {
	content := disk.Sniff(s.head).Content
	return (content == disk.Archive || content == disk.Packed) && !s.packaged()
}

// Spool puts what is left of the stream into a file of this name, in a folder of its own
// in the one for temporary files. remove takes it away.
func (s *Stream) Spool(ctx context.Context, name string) (path string, remove func(), err error) {
	dir, remove, err := workdir.Temp("", "hearth-convert-")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, filepath.Base(name))
	if err := disk.CopySparse(ctx, path, atMost(s)); err != nil {
		remove()
		return "", nil, err
	}
	return path, remove, nil
}

// atMost ends a stream that is longer than any image.
func atMost(r io.Reader) io.Reader { return &bound{r, disk.DefaultMaxVirtualSize} }

type bound struct {
	r    io.Reader
	left int64
}

// Read reads on.
func (b *bound) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, &disk.Error{Kind: disk.TooBig, Op: "convert image", Reason: "the stream is longer than any image may be"}
	}
	return n, err
}

// interruptible reads r until ctx ends.
func interruptible(ctx context.Context, r io.Reader) (io.Reader, func()) {
	out, in := io.Pipe()
	go func() {
		_, err := io.CopyBuffer(in, struct{ io.Reader }{r}, make([]byte, 256<<10))
		in.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	return out, func() { stop(); out.Close() }
}
